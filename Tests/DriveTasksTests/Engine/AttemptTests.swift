import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// What becomes of a task whose attempts fail.
@Suite(.timeLimit(.minutes(3))) struct AttemptTests {
    @Test(arguments: Engine.underTest)
    func isTriedAgainLaterAndThenIsADeadLetter(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue { $0.maximumAttempts = 3 }
            for attempt in 1...3 {
                let claimed = try await site.claim(1)
                #expect(claimed.map(\.attempt) == [attempt])
                try await site.fail(claimed, code: "BROKEN_\(attempt)")
                let task = try await site.task(id)
                #expect(task.errorCode == "BROKEN_\(attempt)")
                guard attempt < 3 else { break }
                #expect(task.status == .pending)
                // 2 s doubled for each attempt, and a fifth more or less.
                let base = RetryPolicy().delay(afterAttempt: attempt, random: 0.5).inSeconds
                let wait = (try #require(task.runAt) - task.lastActivity).inSeconds
                #expect((base * 0.79...base * 1.21).contains(wait), "\(wait)")
                #expect(try await site.claim(1).isEmpty)
                site.clock.advance(by: .seconds(base * 1.3))
            }
            let dead = try await site.task(id)
            #expect(dead.status == .failed)
            #expect(dead.deadAt != nil)
            #expect(dead.errorMessage == "It broke.")
            let attempts = try await site.service.attempts(id, in: .someone)
            #expect(attempts.map(\.attempt) == [1, 2, 3])
            #expect(attempts.map(\.errorCode) == ["BROKEN_1", "BROKEN_2", "BROKEN_3"])
            #expect(attempts.allSatisfy { $0.outcome == .failed && $0.startedAt != nil })
            #expect(try await site.eventTypes(task: id) == ["task.created", "task.retrying", "task.retrying", "task.failed"])
            site.clock.advance(by: .seconds(86_400))
            #expect(try await site.claim(1).isEmpty)
        }
    }

    @Test(arguments: Engine.underTest)
    func whatRepetitionCannotMendFailsAtOnce(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([
                QuickHandler(kind: "wrong") { _ in throw DriveError(.fileNotFound, "Gone.") },
                QuickHandler(kind: "passing") { task in
                    if task.attempt == 1 { throw DriveError(.storageFull, "Full.") }
                    return ["attempt": .integer(Int64(task.attempt))]
                },
            ])
            try await site.withWorker { _ in
                let wrong = try await site.enqueue(kind: "wrong")
                try await site.untilStatus(.failed, wrong)
                #expect(try await site.task(wrong).errorCode == "FILE_NOT_FOUND")
                #expect(try await site.task(wrong).attempt == 1)
                let passing = try await site.enqueue(kind: "passing")
                try await eventually { try await site.task(passing).errorCode == "STORAGE_FULL" }
                site.clock.advance(by: .seconds(3))
                try await site.wake()
                try await site.untilStatus(.completed, passing)
                let done = try await site.task(passing)
                #expect(done.results["attempt"] == 2)
                #expect(done.errorCode == nil)
                #expect(try await site.service.attempts(passing, in: .someone).count == 1)
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func deadLettersAreListedAndRedriven(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            var dead: [String] = []
            for _ in 0..<5 { dead.append(try await site.enqueue()) }
            let others = try await site.enqueue(.other)
            try await site.fail(try await site.claim(10), retryable: false)
            let waiting = try await site.enqueue()
            var query = TaskListQuery()
            query.onlyDead = true
            let service = site.service
            #expect(try await service.tasks(query, in: .someone).total == 5)
            #expect(try await service.tasks(query, in: .everybody).total == 6)
            // All or none.
            await expectRefusal(.taskState) { _ = try await service.redrive([dead[0], waiting], in: .someone, by: .someone) }
            await expectRefusal(.taskNotFound) { _ = try await service.redrive([dead[0], others], in: .someone, by: .someone) }
            #expect(try await service.tasks(query, in: .someone).total == 5)
            #expect(try await service.redrive(Array(dead.prefix(2)), in: .someone, by: .someone) == Array(dead.prefix(2)))
            #expect(try await service.tasks(query, in: .someone).total == 3)
            #expect(Set(try await service.redrive(nil, in: .someone, by: .someone)) == Set(dead.suffix(3)))
            #expect(try await service.tasks(query, in: .everybody).items.map(\.taskId) == [others])
            let again = try await site.claim(10)
            #expect(Set(again.map(\.taskId)) == Set(dead + [waiting]))
            #expect(again.allSatisfy { $0.attempt == 1 })
            try await site.end(again)
            #expect(try await site.task(dead[0]).errorCode == nil)
        }
    }

    /// What its owner cancelled is no dead letter, and comes back by `retry` alone.
    @Test(arguments: Engine.underTest)
    func whatWasCancelledIsNoDeadLetter(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue()
            _ = try await site.service.cancelTask(id, in: .someone, by: .someone)
            await expectRefusal(.taskState) { _ = try await site.service.redrive([id], in: .someone, by: .someone) }
            #expect(try await site.service.redrive(nil, in: .someone, by: .someone) == [])
            #expect(try await site.service.retryTask(id, in: .someone, by: .someone).status == .pending)
        }
    }

    /// An upload is driven by its client: it never comes into the queue.
    @Test(arguments: Engine.underTest)
    func anUploadIsNotRedriven(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue(.someone, .fileUpload)
            try await site.database.change(
                "UPDATE tasks SET queue = NULL, rank = NULL, lane_id = NULL, status = 'Cancelled', completed_at = $1",
                [.timestamp(site.clock.now)])
            await expectRefusal(.taskState) { _ = try await site.service.redrive([id], in: .someone, by: .someone) }
            #expect(try await site.claim(1).isEmpty)
        }
    }

    @Test(arguments: Engine.underTest)
    func aRetryGoesOnFromTheLastCheckpoint(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue { $0.maximumAttempts = 1 }
                let first = try await handler.attempts.next()
                try await first.task.save(["step": 7], progress: 40)
                first.fail(TaskFailure(code: "BROKEN", message: "It broke.", isRetryable: true))
                try await site.untilStatus(.failed, id)
                _ = try await site.service.retryTask(id, in: .someone, by: .someone)
                let second = try await handler.attempts.next()
                #expect(second.task.checkpoint?["step"] == 7)
                #expect(second.task.progress == 40)
                #expect(second.task.attempt == 1)
                second.complete()
                try await site.untilStatus(.completed, id)
            }
        }
    }

    /// Results and errors that a database cannot store end the task; they do not leave it running for ever.
    @Test(arguments: Engine.underTest, [false, true])
    func whatCannotBeStoredDoesNotKeepTheTaskRunning(kind: Engine, fails: Bool) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([
                QuickHandler(kind: "nul") { _ in
                    if fails { throw TaskFailure(code: "NUL", message: "a\u{0}b", isRetryable: false) }
                    return ["name": "a\u{0}b"]
                }
            ])
            try await site.withWorker { _ in
                let id = try await site.enqueue(kind: "nul") { $0.maximumAttempts = 1 }
                let quick = try await site.enqueue(kind: "quick")
                try await site.untilStatus(.completed, quick)
                try await eventually(within: .seconds(5)) { try await site.task(id).status.isTerminal }
            }
        }
    }
}
