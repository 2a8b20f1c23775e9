import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// A task whose time runs out.
@Suite(.timeLimit(.minutes(3))) struct ExpiryTests {
    private func make(_ site: TaskSite, dependsOn: [String] = []) async throws -> String {
        let expiresAt = site.clock.now + .seconds(60)
        return try await site.enqueue {
            $0.expiresAt = expiresAt
            $0.dependsOn = dependsOn
        }
    }

    @Test(arguments: Engine.underTest)
    func openOnesExpireWhateverTheyWaitFor(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let (pending, paused, running) = (try await make(site), try await make(site), try await make(site))
            let waiting = try await make(site, dependsOn: [pending])
            let held = try await site.enqueue { $0.dependsOn = [running] }
            _ = try await site.service.pauseTask(paused, in: .someone, by: .someone)
            _ = try await site.service.setPriority(50, of: running, in: .someone, by: .someone)
            let claimed = try await site.claim(1)
            #expect(claimed.map(\.taskId) == [running])
            site.clock.advance(by: .seconds(59))
            #expect(try await site.engine.expireDue() == 0)
            site.clock.advance(by: .seconds(2))
            #expect(try await site.engine.expireDue() > 0)
            for id in [pending, paused, running] {
                let task = try await site.task(id)
                #expect(task.status == .expired && task.errorCode == "TASK_EXPIRED" && task.completedAt != nil, "\(task)")
                #expect(try await site.eventTypes(task: id).last == "task.expired")
            }
            // It had a time of its own, or lost the one it waited for first.
            #expect([.expired, .cancelled].contains(try await site.task(waiting).status))
            let dependent = try await site.task(held)
            #expect(dependent.status == .cancelled && dependent.errorMessage?.contains("Expired") == true, "\(dependent)")
            #expect(try await site.end(claimed) == [running], "its worker has lost it")
            await expectRefusal(.taskState) { _ = try await site.service.retryTask(running, in: .someone, by: .someone) }
        }
    }

    @Test(arguments: Engine.underTest)
    func aRunningOneIsStopped(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await make(site)
                let attempt = try await handler.attempts.next()
                site.clock.advance(by: .seconds(61))
                await attempt.interrupted.wait()
                #expect(try await site.task(id).status == .expired)
            }
        }
    }

    /// Nothing begins whose time is over, also where no sweep came by.
    @Test(arguments: Engine.underTest)
    func aWorkerBeginsNoneThatIsOver(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            let late = try await make(site)
            site.clock.advance(by: .seconds(61))
            let fresh = try await make(site)
            try await site.withWorker { _ in
                let first = try await handler.attempts.next()
                #expect(first.task.taskId == fresh)
                first.complete()
                try await site.untilStatus(.completed, fresh)
            }
            let task = try await site.task(late)
            #expect(task.status == .expired && task.attempt == 0 && task.startedAt == nil, "\(task)")
        }
    }

    @Test(arguments: Engine.underTest)
    func itCountsAsFailedInItsBatch(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let expiresAt = site.clock.now + .seconds(60)
            let batch = try await site.service.createBatch(
                name: "batch", tasks: [CreateTaskRequest(type: .custom, kind: "work", expiresAt: expiresAt)], idempotencyKey: nil,
                by: .someone)
            site.clock.advance(by: .seconds(60))
            #expect(try await site.engine.expireDue() == 1)
            let ended = try await site.service.batch(batch.batchId, in: .someone)
            #expect(ended.failedTasks == 1 && ended.completedAt != nil, "\(ended)")
        }
    }

    @Test(arguments: Engine.underTest)
    func aTimeInThePastOrBeforeTheStartIsRefused(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let now = site.clock.now
            for (runAt, expiresAt) in [(nil, now), (nil, now - .seconds(1)), (now + .seconds(60), now + .seconds(60))] {
                let request = CreateTaskRequest(type: .custom, kind: "work", runAt: runAt, expiresAt: expiresAt)
                let error = await expectRefusal(.invalidRequest) {
                    _ = try await site.service.createTask(request, idempotencyKey: nil, by: .someone)
                }
                #expect(error?.details["rule"] == "expiresAt")
            }
        }
    }
}
