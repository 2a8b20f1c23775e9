import DriveDatabase
import DriveEvents
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// Workers outside of Drive.
@Suite(.timeLimit(.minutes(3))) struct HTTPLeaseTests {
    @discardableResult
    private func make(
        _ site: TaskSite, _ kind: String = "outside", _ caller: Caller = .someone, attempts: Int? = nil
    ) async throws -> String {
        let request = CreateTaskRequest(type: .custom, kind: kind, parameters: ["a": 1], maxAttempts: attempts)
        return try await site.service.createTask(request, idempotencyKey: nil, by: caller).task.taskId
    }

    private func lease(
        _ site: TaskSite, _ kinds: [String] = ["outside"], wait: Duration = .zero, in scope: TaskScope = .someone
    ) async throws -> TaskLease? {
        try await site.service.lease(kinds: kinds, worker: "python", wait: wait, in: scope)
    }

    /// Signs of life are no progress: who shows none for too long loses the task, and what it says then is not taken.
    @Test(arguments: Engine.underTest)
    func oneWithoutProgressLosesItsLease(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await make(site)
            let lease = try #require(try await lease(site))
            let before = try await site.engine.leaseActivity()
            _ = try await site.service.heartbeat(lease.leaseId, in: .someone)
            #expect(try await site.engine.leaseActivity() == before)
            let activity = try #require(before[lease.leaseId])
            site.clock.advance(by: .seconds(1))
            _ = try await site.service.updateTaskProgress(
                lease.leaseId, progress: 10, message: nil, checkpoint: nil, in: .someone)
            // It moved since it was judged.
            try await site.engine.endStalledLease(lease.leaseId, activity: activity)
            #expect(try await site.task(id).status == .inProgress)
            let last = try #require(try await site.engine.leaseActivity()[lease.leaseId])
            try await site.engine.endStalledLease(lease.leaseId, activity: last)
            #expect(try await site.service.attempts(id, in: .someone).map(\.outcome) == [.stalled])
            #expect(try await site.eventTypes(task: id).contains("task.stalled"))
            await expectRefusal(.leaseLost) { _ = try await site.service.markTaskCompleted(lease.leaseId, results: [:], in: .someone) }
            #expect(try await site.task(id).status == .pending)
        }
    }

    /// A small step before a long silence, through which the worker shows signs of life alone.
    @Test(arguments: Engine.underTest)
    func aSmallStepIsToldWhenItsSecondHasPassed(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            func told() async throws -> [JSONValue?] {
                try await site.events().filter { $0.type == "task.progress" }.map { $0.data["progress"] }
            }
            let id = try await make(site)
            let lease = try #require(try await lease(site))
            for (progress, message) in [(10.0, "ten"), (12, "twelve"), (13, nil)] as [(Double, String?)] {
                _ = try await site.service.updateTaskProgress(
                    lease.leaseId, progress: progress, message: message, checkpoint: nil, in: .someone)
            }
            _ = try await site.service.heartbeat(lease.leaseId, in: .someone)
            #expect(try await told() == [10])
            await site.engine.heldProgress.tellDue(at: .now + .seconds(2))
            #expect(try await told() == [10, 13])
            let event = try #require(try await site.events().last)
            #expect(event.data["taskId"] == .string(id) && event.data["statusMessage"] == "twelve", "its last words")
            // What it says then is measured from there, and an end takes the place of what is held.
            _ = try await site.service.updateTaskProgress(lease.leaseId, progress: 17, message: nil, checkpoint: nil, in: .someone)
            _ = try await site.service.markTaskCompleted(lease.leaseId, results: [:], in: .someone)
            await site.engine.heldProgress.tellDue(at: .now + .seconds(4))
            #expect(try await told() == [10, 13])
            #expect(site.engine.heldProgress.count == 0)
        }
    }

    @Test(arguments: Engine.underTest)
    func worksThroughATask(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let id = try await make(site)
            #expect(try await lease(site, ["else"]) == nil)
            // Drive's own workers leave it alone.
            #expect(try await site.claim(1).isEmpty)
            let lease = try #require(try await lease(site, ["else", "outside"]))
            #expect(lease.task.taskId == id)
            #expect(lease.task.status == .inProgress)
            #expect(lease.task.parameters == ["a": 1])
            #expect(lease.expiresInSeconds == 30)
            #expect(try await self.lease(site) == nil)
            #expect(try await service.heartbeat(lease.leaseId, in: .someone) == nil)
            #expect(
                try await service.updateTaskProgress(
                    lease.leaseId, progress: 40, message: "on", checkpoint: ["step": 1], in: .someone) == nil)
            #expect(try await site.task(id).progress == 40)
            #expect(try await site.task(id).statusMessage == "on")
            let done = try await service.markTaskCompleted(lease.leaseId, results: ["n": 3], in: .someone)
            #expect(done.status == .completed)
            #expect(done.results == ["n": 3])
            await expectRefusal(.leaseLost) { _ = try await service.markTaskCompleted(lease.leaseId, results: [:], in: .someone) }
            #expect(try await site.engine.heartbeats().isEmpty)
            #expect(try await site.eventTypes() == ["task.created", "task.progress", "task.completed"])
        }
    }

    @Test(arguments: Engine.underTest)
    func failsAndIsTriedAgainFromTheCheckpoint(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let id = try await make(site, attempts: 2)
            let first = try #require(try await lease(site))
            _ = try await service.updateTaskProgress(first.leaseId, progress: 10, message: nil, checkpoint: ["step": 1], in: .someone)
            let failure = TaskFailure(code: "BROKEN", message: "It broke.", isRetryable: true)
            #expect(try await service.markTaskFailed(first.leaseId, failure: failure, in: .someone).status == .pending)
            #expect(try await lease(site) == nil)
            site.clock.advance(by: .seconds(5))
            let second = try #require(try await lease(site))
            #expect(second.checkpoint == ["step": 1])
            #expect(second.task.attempt == 2)
            #expect(second.leaseId != first.leaseId)
            #expect(try await service.markTaskFailed(second.leaseId, failure: failure, in: .someone).status == .failed)
            let attempts = try await service.attempts(id, in: .someone)
            #expect(attempts.map(\.worker) == ["python", "python"])
        }
    }

    @Test(arguments: Engine.underTest)
    func aPauseIsToldAndReachedByRelease(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let id = try await make(site)
            let lease = try #require(try await lease(site))
            _ = try await service.pauseTask(id, in: .someone, by: .someone)
            #expect(try await service.heartbeat(lease.leaseId, in: .someone) == .pause)
            let paused = try await service.release(lease.leaseId, in: .someone)
            #expect(paused.status == .paused)
            #expect(paused.attempt == 0)
            _ = try await service.resumeTask(id, in: .someone, by: .someone)
            let second = try #require(try await self.lease(site))
            #expect(try await service.release(second.leaseId, in: .someone).status == .pending)
            #expect(try await self.lease(site)?.task.attempt == 1)
        }
    }

    enum Loss: CaseIterable, Sendable { case cancelled, expired }

    @Test(arguments: Engine.underTest, Loss.allCases)
    func aLostLeaseIsToldByEveryCall(kind: Engine, loss: Loss) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let id = try await make(site)
            let lease = try #require(try await lease(site))
            switch loss {
            case .cancelled: _ = try await service.cancelTask(id, in: .someone, by: .someone)
            case .expired:
                let heartbeat = try await site.engine.heartbeats()[lease.leaseId]
                #expect(try await site.engine.rescue(lease.leaseId, heartbeat: heartbeat) == 1)
                #expect(try await self.lease(site)?.task.taskId == id)
            }
            let before = try await site.task(id)
            await expectRefusal(.leaseLost) { _ = try await service.heartbeat(lease.leaseId, in: .someone) }
            await expectRefusal(.leaseLost) {
                _ = try await service.updateTaskProgress(lease.leaseId, progress: 50, message: nil, checkpoint: nil, in: .someone)
            }
            await expectRefusal(.leaseLost) { _ = try await service.release(lease.leaseId, in: .someone) }
            await expectRefusal(.leaseLost) { _ = try await service.markTaskCompleted(lease.leaseId, results: [:], in: .someone) }
            let failure = TaskFailure(code: "A", message: "B", isRetryable: true)
            await expectRefusal(.leaseLost) { _ = try await service.markTaskFailed(lease.leaseId, failure: failure, in: .someone) }
            #expect(try await site.task(id) == before)
        }
    }

    @Test(arguments: Engine.underTest)
    func anotherAccountsTaskIsNobodyElses(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let id = try await make(site)
            #expect(try await lease(site, in: .other) == nil)
            let lease = try #require(try await lease(site, in: .everybody))
            #expect(lease.task.taskId == id)
            await expectRefusal(.leaseLost) { _ = try await service.heartbeat(lease.leaseId, in: .other) }
            await expectRefusal(.leaseLost) { _ = try await service.markTaskCompleted(lease.leaseId, results: [:], in: .other) }
            // A worker inside is no lease, whatever its id.
            let inside = try await site.enqueue()
            _ = try await site.claim(1, worker: "inside")
            await expectRefusal(.leaseLost) { _ = try await service.markTaskCompleted("inside", results: [:], in: .everybody) }
            #expect(try await site.task(inside).status == .inProgress)
        }
    }

    /// The long poll ends with the enqueue, not with the next look.
    @Test(arguments: Engine.underTest)
    func aLongPollIsWokenByAnEnqueue(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.pollInterval = .seconds(25) }) { site in
            async let found = lease(site, wait: .seconds(30))
            // Listening begins before the first look; this comes somewhere around it.
            let id = try await make(site)
            #expect(try await found?.task.taskId == id)
            async let second = lease(site, wait: .seconds(30))
            try await make(site, "else")
            let later = try await make(site)
            #expect(try await second?.task.taskId == later)
        }
    }

    @Test(arguments: Engine.underTest)
    func aLongPollEndsWithNothing(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let none = try await lease(site, wait: .milliseconds(50))
            #expect(none == nil)
            await expectRefusal(.invalidRequest) { _ = try await lease(site, []) }
            await expectRefusal(.invalidRequest) { _ = try await lease(site, ["drive.internal"]) }
        }
    }

    @Test(arguments: Engine.underTest)
    func refusesWhatCannotBeStored(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            try await make(site)
            let lease = try #require(try await lease(site))
            for progress in [-1, 101, Double.nan, .infinity] {
                await expectRefusal(.invalidRequest) {
                    _ = try await service.updateTaskProgress(lease.leaseId, progress: progress, message: nil, checkpoint: nil, in: .someone)
                }
            }
            await expectRefusal(.invalidRequest) {
                _ = try await service.markTaskCompleted(lease.leaseId, results: ["a": "\u{0}"], in: .someone)
            }
            await expectRefusal(.invalidRequest) {
                _ = try await service.markTaskFailed(
                    lease.leaseId, failure: TaskFailure(code: "A", message: "a\u{0}", isRetryable: true), in: .someone)
            }
            #expect(try await service.heartbeat(lease.leaseId, in: .someone) == nil)
        }
    }
}
