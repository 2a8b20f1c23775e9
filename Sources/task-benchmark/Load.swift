import ArgumentParser
import DriveDatabase
import DriveModel
import DriveTasks
import Foundation

/// A steady load while somebody outside troubles the database. Says `running` when it is under way, goes on until its input
/// ends, lets all tasks end, and answers what became of them. Rates are in the table: `completed_at` of each task.
struct Load: AsyncParsableCommand {
    @OptionGroup var target: Target
    @Option var producers = 16
    @Option(help: "Producers wait while so many tasks are open, so that the load stays the same however long it lasts.")
    var backlog = 2000
    @Option(help: "Seconds that the last tasks may take to end.")
    var patience = 60

    func run() async throws {
        let ledger = LoadLedger()
        let engine = try await target.engine(EffectHandler(ledger: ledger))
        _ = try await engine.database.write { sql in try sql.execute(EffectHandler.table) }
        let worker = TaskWorker(engine: engine, name: "bench")
        let working = Task { try await worker.run() }
        let input = AsyncStream<Never>.makeStream()
        let reader = Thread {
            while readLine() != nil {}
            input.continuation.finish()
        }
        reader.start()
        let producing = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<producers { group.addTask { try await produce(engine, ledger) } }
                try await group.waitForAll()
            }
        }
        while ledger.ended < 200 { try await Task.sleep(for: .milliseconds(5)) }
        try say("running")
        for await _ in input.stream {}
        ledger.stop()
        try await producing.value
        try await waitForAll(engine)
        try answer(try await account(engine, ledger))
        working.cancel()
        try await working.value
        await engine.database.close()
    }

    /// An account's tasks, one after the other. What the database refuses is made anew, as by a client without keys: where
    /// the refused one exists after all, it is a task like the others.
    private func produce(_ engine: TaskEngine, _ ledger: LoadLedger) async throws {
        let account = UUID()
        while !ledger.isOver {
            guard ledger.open < backlog else {
                try await Task.sleep(for: .milliseconds(2))
                continue
            }
            do {
                ledger.accepted(try await engine.enqueueNothing(account: account))
            } catch let error as DatabaseError where error.isRetryable {
                ledger.refused()
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func waitForAll(_ engine: TaskEngine) async throws {
        let deadline = ContinuousClock.now + .seconds(patience)
        while ContinuousClock.now < deadline {
            // In one statement: between two a task could pass unseen.
            let open = try? await engine.database.read { sql in
                try sql.first("SELECT 1 AS found FROM tasks WHERE kind = 'bench' AND status IN ('Pending', 'InProgress') LIMIT 1") != nil
            }
            // Nil: the database does not answer yet.
            if open == false { return }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// What is in the database, held against what was answered. Every task counts, also one whose producer got no answer.
    private func account(_ engine: TaskEngine, _ ledger: LoadLedger) async throws -> [String: JSONValue] {
        let found = try await engine.database.read { sql in
            // Compared here: the server's planner knows nothing of tables this young.
            func ids(_ statement: String) throws -> [String] { try sql.query(statement).map { try $0.text("task_id") } }
            return (
                all: try ids("SELECT task_id FROM tasks WHERE kind = 'bench'"),
                completed: Set(try ids("SELECT task_id FROM tasks WHERE kind = 'bench' AND status = 'Completed'")),
                effects: try ids("SELECT task_id FROM bench_effects"),
                told: try ids("SELECT task_id FROM events WHERE type = 'task.completed'"),
                failedAttempts: try ids("SELECT task_id FROM task_attempts").count
            )
        }
        let (counts, effects, told) = (ledger.counts, Set(found.effects), Set(found.told))
        let numbers = [
            "accepted": counts.accepted.count, "refused": counts.refused, "completed": found.completed.count,
            "lost": counts.accepted.count { !found.completed.contains($0) }, "unended": found.all.count - found.completed.count,
            "effectsTwice": found.effects.count - effects.count, "effectsMissing": found.completed.subtracting(effects).count,
            "toldTwice": found.told.count - told.count, "untold": found.completed.subtracting(told).count,
            "failedAttempts": found.failedAttempts, "runsAgain": counts.runs - found.all.count,
        ]
        return numbers.mapValues { .integer(Int64($0)) }
    }
}
