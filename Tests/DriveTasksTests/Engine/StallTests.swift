import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// A running task without a sign of progress frees its slot, and somebody is told.
@Suite(.timeLimit(.minutes(3))) struct StallTests {
    @Test(arguments: Engine.underTest, [HeldHandler.Manner.heeds, .ignores])
    func freesItsSlotAndTells(kind: Engine, manner: HeldHandler.Manner) async throws {
        try await TaskSite.with(
            kind,
            {
                $0.slots = 1
                $0.interruptionPatience = .milliseconds(300)
            }
        ) { site in
            let handler = HeldHandler(.custom, policy: TaskPolicy(stallAfter: .milliseconds(200)), manner)
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue { $0.maximumAttempts = 1 }
                let attempt = try await handler.attempts.next()
                let next = try await site.enqueue(kind: "quick")
                try await site.untilStatus(.failed, id)
                #expect(try await site.task(id).errorCode == "TASK_STALLED")
                #expect(try await site.service.attempts(id, in: .someone).map(\.outcome) == [.stalled])
                #expect(try await site.eventTypes(task: id) == ["task.created", "task.stalled", "task.failed"])
                // The one slot there is.
                try await site.untilStatus(.completed, next)
                attempt.complete(["late": true])
                #expect(try await site.task(id).results == [:])
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func isTriedAgain(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            // The second attempt ends well within this, on a busy machine too.
            let handler = HeldHandler(.custom, policy: TaskPolicy(stallAfter: .seconds(2)))
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue()
                _ = try await handler.attempts.next()
                try await eventually { try await site.task(id).errorCode == "TASK_STALLED" }
                site.clock.advance(by: .seconds(10))
                try await site.wake()
                let second = try await handler.attempts.next()
                #expect(second.task.attempt == 2)
                second.complete()
                try await site.untilStatus(.completed, id)
            }
        }
    }

    /// Reports are signs of life, also where the number stays the same.
    @Test(arguments: Engine.underTest)
    func whoReportsDoesNotStall(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let policy = TaskPolicy(stallAfter: .seconds(2))
            site.engine.register([
                QuickHandler(kind: "slow", policy: policy) { task in
                    // Work of four seconds in steps.
                    for _ in 0..<40 {
                        try await Task.sleep(for: .milliseconds(100))
                        task.report(1)
                    }
                    return [:]
                }
            ])
            try await site.withWorker { _ in
                let id = try await site.enqueue(kind: "slow")
                try await site.untilStatus(.completed, id, within: .seconds(20))
                #expect(try await site.task(id).attempt == 1)
            }
        }
    }
}
