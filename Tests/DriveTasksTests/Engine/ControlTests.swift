import DriveDatabase
import DriveEvents
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// Pause, resume, cancel and retry, in every state.
@Suite(.timeLimit(.minutes(3))) struct ControlTests {
    enum Start: CaseIterable, Sendable {
        case pending, delayed, running, pausing, paused, completed, failed, cancelled

        /// A task in this state, the account's only one.
        func task(_ site: TaskSite, of account: UUID) async throws -> String {
            let (someone, caller) = (TaskScope.account(account), Caller(accountId: account, role: .user))
            let id = try await site.enqueue(account) { [now = site.clock.now] in if self == .delayed { $0.runAt = now + .seconds(3600) } }
            switch self {
            case .pending, .delayed: break
            case .running: _ = try await site.claim(1, account: account)
            case .pausing:
                _ = try await site.claim(1, account: account)
                _ = try await site.service.pauseTask(id, in: someone, by: caller)
            case .paused: _ = try await site.service.pauseTask(id, in: someone, by: caller)
            case .completed: try await site.end(try await site.claim(1, account: account))
            case .failed: try await site.fail(try await site.claim(1, account: account), retryable: false)
            case .cancelled: _ = try await site.service.cancelTask(id, in: someone, by: caller)
            }
            return id
        }
    }

    private func call(_ event: TaskEvent, _ taskId: String, _ site: TaskSite, in scope: TaskScope) async throws -> TaskSummary {
        switch event {
        case .pause: try await site.service.pauseTask(taskId, in: scope, by: .someone)
        case .resume: try await site.service.resumeTask(taskId, in: scope, by: .someone)
        case .cancel: try await site.service.cancelTask(taskId, in: scope, by: .someone)
        default: try await site.service.retryTask(taskId, in: scope, by: .someone)
        }
    }

    /// The rows do as the one function says, and a refusal names both states and changes nothing.
    @Test(arguments: Engine.underTest, Start.allCases)
    func doesAsTheLifeCycleSays(kind: Engine, start: Start) async throws {
        try await TaskSite.with(kind) { site in
            for (number, event) in [TaskEvent.pause, .resume, .cancel, .retry].enumerated() {
                let scope = TaskScope.account(.account(number))
                let id = try await start.task(site, of: .account(number))
                let before = try await site.task(id)
                let next = TaskLifeCycle.next(TaskState(before.status, requested: before.requested), on: event)
                await expectRefusal(.taskNotFound) { _ = try await call(event, id, site, in: .other) }
                if let next {
                    let after = try await call(event, id, site, in: scope)
                    #expect(TaskState(after.status, requested: after.requested) == next, "\(start) \(event)")
                } else {
                    let error = await expectRefusal(.taskState) { _ = try await call(event, id, site, in: scope) }
                    #expect(error?.details["status"] == .string(before.status.rawValue))
                    #expect(error?.details["wanted"] == .string(TaskLifeCycle.goal(of: event).rawValue))
                    #expect(try await site.task(id) == before)
                }
                #expect(try await site.findings() == [])
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func aPauseThatIsAskedForIsToldFromOneThatIsReached(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler(.custom, .ignores)
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue()
                let attempt = try await handler.attempts.next()
                let asked = try await site.service.pauseTask(id, in: .someone, by: .someone)
                #expect(asked.status == .inProgress)
                #expect(asked.requested == .pause)
                await attempt.interrupted.wait()
                #expect(try await site.task(id).status == .inProgress)
                #expect(try await !site.eventTypes().contains("task.paused"))
                attempt.fail(TaskInterruption.paused)
                try await site.untilStatus(.paused, id)
                #expect(try await site.task(id).requested == nil)
                #expect(try await site.task(id).attempt == 0)
                #expect(try await site.eventTypes().last == "task.paused")
                _ = try await site.service.resumeTask(id, in: .someone, by: .someone)
                let second = try await handler.attempts.next()
                #expect(second.task.attempt == 1)
                #expect(second.task.fencingToken > attempt.task.fencingToken)
                second.complete()
                try await site.untilStatus(.completed, id)
                #expect(try await site.service.attempts(id, in: .someone).isEmpty)
            }
        }
    }

    /// Resumed before the handler came to a safe step: it goes on, here or in another attempt, and ends.
    @Test(arguments: Engine.underTest)
    func resumedWhileItPausesItGoesOn(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler(.custom, .ignores)
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue()
                let attempt = try await handler.attempts.next()
                _ = try await site.service.pauseTask(id, in: .someone, by: .someone)
                await attempt.interrupted.wait()
                #expect(try await site.service.resumeTask(id, in: .someone, by: .someone).requested == nil)
                attempt.fail(TaskInterruption.paused)
                try await handler.attempts.next().complete()
                try await site.untilStatus(.completed, id)
                #expect(try await site.task(id).attempt == 1)
            }
        }
    }

    enum Asked: CaseIterable, Sendable { case pause, cancel }

    /// On another server, within a second; what it still does after a cancellation is not written.
    @Test(arguments: Engine.underTest, Asked.allCases)
    func reachesARunningTaskElsewhereWithinASecond(kind: Engine, asked: Asked) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            let here = TaskService(engine: site.secondEngine([]))
            try await site.withWorker { worker in
                var times: [Duration] = []
                for _ in 0..<3 {
                    let id = try await site.enqueue()
                    let attempt = try await handler.attempts.next()
                    let start = ContinuousClock.now
                    switch asked {
                    case .pause: _ = try await here.pauseTask(id, in: .someone, by: .someone)
                    case .cancel: #expect(try await here.cancelTask(id, in: .someone, by: .someone).status == .cancelled)
                    }
                    await attempt.interrupted.wait()
                    times.append(ContinuousClock.now - start)
                    try await site.untilStatus(asked == .pause ? .paused : .cancelled, id)
                    try await eventually { worker.worker.runningCount == 0 }
                    await #expect(throws: TaskInterruption.self) { try await attempt.task.save(["late": true]) }
                }
                // The least: a busy machine may hold one of them up.
                let least = try #require(times.min())
                #expect(least < .seconds(1), "\(times)")
            }
        }
    }

    /// A failure that meets a pause: the task is Paused, its error kept, and the attempt counts.
    @Test(arguments: Engine.underTest)
    func aFailureThatMeetsAPausePauses(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue()
            let claimed = try await site.claim(1)
            _ = try await site.service.pauseTask(id, in: .someone, by: .someone)
            try await site.fail(claimed)
            let task = try await site.task(id)
            #expect(task.status == .paused)
            #expect(task.attempt == 1)
            #expect(task.errorCode == "BROKEN")
            _ = try await site.service.resumeTask(id, in: .someone, by: .someone)
            site.clock.advance(by: .seconds(10))
            #expect(try await site.claim(1).map(\.attempt) == [2])
        }
    }
}
