import DriveDatabase
import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// Checkpoints, and what an attempt without its lease may not do.
@Suite(.timeLimit(.minutes(3))) struct FencingTests {
    @Test(arguments: Engine.underTest)
    func goesOnFromItsCheckpointAfterAnInterruption(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue()
                let first = try await handler.attempts.next()
                #expect(first.task.checkpoint == nil)
                try await first.task.save(["step": 3], progress: 30, message: "a third")
                _ = try await site.service.pauseTask(id, in: .someone, by: .someone)
                try await site.untilStatus(.paused, id)
                #expect(try await site.task(id).statusMessage == "a third")
                _ = try await site.service.resumeTask(id, in: .someone, by: .someone)
                let second = try await handler.attempts.next()
                #expect(second.task.checkpoint?["step"] == 3)
                #expect(second.task.progress == 30)
                #expect(second.task.attempt == 1)
                // Progress never goes back.
                try await second.task.save(["step": 4], progress: 10)
                #expect(try await site.task(id).progress == 30)
                second.complete(["steps": 4])
                try await site.untilStatus(.completed, id)
                let done = try await site.task(id)
                #expect(done.progress == 100)
                #expect(done.results["steps"] == 4)
            }
        }
    }

    /// A worker that was taken for lost writes nothing: neither a commit with what it would change, nor its end.
    @Test(arguments: Engine.underTest, [false, true])
    func aWorkerThatLostItsLeaseWritesNothing(kind: Engine, fails: Bool) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler(.custom, .ignores)
            site.engine.register([handler])
            try await site.withWorker { running in
                let id = try await site.enqueue()
                let old = try await handler.attempts.next()
                // As another server does; this worker takes the task again as any other would.
                #expect(try await site.engine.rescue(running.worker.id, heartbeat: nil) == 1)
                try await site.database.write { [engine = site.engine] sql in
                    try engine.enlist(running.worker.id, name: "one", isLease: false, in: sql)
                }
                let new = try await handler.attempts.next()
                #expect(new.task.taskId == id)
                #expect(new.task.fencingToken > old.task.fencingToken)
                await #expect(throws: TaskInterruption.self) {
                    try await old.task.commit(checkpoint: ["old": true], progress: 90, message: nil) { sql in
                        _ = try sql.execute("DELETE FROM tasks")
                    }
                }
                if fails { old.fail(TaskFailure(code: "OLD", message: "Old.", isRetryable: false)) } else { old.complete(["old": true]) }
                try await new.task.save(["new": true], progress: 20)
                #expect(try await site.task(id).progress == 20)
                new.complete(["new": true])
                try await site.untilStatus(.completed, id)
                #expect(try await site.task(id).results == ["new": true])
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func anEndWithoutALeaseIsDroppedAndTold(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue()
            let old = try await site.claim(1)
            try await site.end(old, .released)
            let new = try await site.claim(1)
            #expect(new.map(\.attempt) == [1])
            for end in [AttemptEnd.completed(results: "{}"), .paused, .released] { #expect(try await site.end(old, end) == [id]) }
            #expect(try await site.fail(old) == [id])
            #expect(try await site.task(id).status == .inProgress)
            #expect(try await site.end(new).isEmpty)
            // Nothing twice, where a reply was lost.
            #expect(try await site.end(new) == [id])
            #expect(try await site.eventTypes().filter { $0 == "task.completed" }.count == 1)
        }
    }

    /// What a commit changes stays together with its checkpoint, or not at all.
    @Test(arguments: Engine.underTest)
    func aCommitIsOneTransaction(kind: Engine) async throws {
        struct Undone: Error {}
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue()
                let attempt = try await handler.attempts.next()
                await #expect(throws: Undone.self) {
                    try await attempt.task.commit(checkpoint: ["step": 1], progress: nil, message: nil) { _ in throw Undone() }
                }
                #expect(try await site.database.number("SELECT COUNT(*) AS value FROM tasks WHERE checkpoint IS NOT NULL") == 0)
                let items = [TaskItem(itemId: "f", outcome: .succeeded)]
                try await attempt.task.commit(checkpoint: ["step": 1], progress: 50, message: nil) { sql in
                    try TaskItems.append(items, startingAt: 0, task: id, in: sql)
                }
                #expect(try await site.service.items(id, offset: 0, limit: 10, in: .someone).total == 1)
                attempt.complete()
                try await site.untilStatus(.completed, id)
            }
        }
    }
}
