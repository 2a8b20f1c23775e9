import ArgumentParser
import DriveDatabase
import DriveModel
import DriveTasks
import Foundation

/// No-op tasks per second: each enqueued in a transaction of its own, taken, run, ended.
struct Rate: AsyncParsableCommand {
    @OptionGroup var target: Target
    @Option var producers = 16
    @Option(help: "Accounts the producers spread over.") var accounts = 16
    @Option var tasks = 20_000
    @Option(help: "Finished tasks that lie in the table already.") var old = 0

    func run() async throws {
        let engine = try await target.engine(BenchmarkHandler { _ in })
        let owners = (0..<accounts).map { _ in UUID() }
        if old > 0 { try await addFinished(old, engine: engine) }
        let worker = TaskWorker(engine: engine, name: "bench")
        let working = Task { try await worker.run() }
        // The first tasks open connections and prepare statements.
        for index in 0..<200 { _ = try await engine.enqueueNothing(account: owners[index % owners.count]) }
        while try await engine.count(.completed) < 200 { try await Task.sleep(for: .milliseconds(5)) }
        let syncs = try await walSyncs(engine)
        let cpu = processorSeconds()
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for producer in 0..<producers {
                let (share, owner) = (tasks / producers, owners[producer % owners.count])
                group.addTask { for _ in 0..<share { _ = try await engine.enqueueNothing(account: owner) } }
            }
            try await group.waitForAll()
        }
        let enqueued = ContinuousClock.now - start
        let wanted = 200 + tasks / producers * producers
        while try await engine.count(.completed) < wanted { try await Task.sleep(for: .milliseconds(2)) }
        let taken = ContinuousClock.now - start
        let done = Double(wanted - 200)
        var values: [String: JSONValue] = [
            "tasks": .integer(Int64(done)), "seconds": .double(taken.inSeconds), "perSecond": .double(done / taken.inSeconds),
            "enqueuedPerSecond": .double(done / enqueued.inSeconds),
            "cpuMicrosecondsPerTask": .double((processorSeconds() - cpu) / done * 1e6),
        ]
        if let syncs, let now = try await walSyncs(engine) { values["fsyncsPerTask"] = .double(Double(now - syncs) / done) }
        try answer(values)
        working.cancel()
        try await working.value
        await engine.database.close()
    }

    /// Flushes of PostgreSQL's write-ahead log so far; nil over SQLite, whose flushes a tracer counts.
    private func walSyncs(_ engine: TaskEngine) async throws -> Int64? {
        guard engine.database.dialect == .postgresql else { return nil }
        // The backends tell what they did some time later.
        try await Task.sleep(for: .milliseconds(1500))
        return try await engine.database.read { sql in try sql.first("SELECT wal_sync FROM pg_stat_wal")?.int64("wal_sync") }
    }

    /// Finished tasks of a month, of other accounts, as they would lie there.
    private func addFinished(_ count: Int, engine: TaskEngine) async throws {
        let now = Surroundings.system.now()
        var made = 0
        while made < count {
            let (from, portion) = (made, min(50_000, count - made))
            try await engine.database.write { sql in
                let numbers =
                    sql.dialect == .postgresql
                    ? "generate_series($1::bigint, $2::bigint) AS n(value)"
                    : "(WITH RECURSIVE n(value) AS (SELECT $1 UNION ALL SELECT value + 1 FROM n WHERE value < $2) SELECT value FROM n) AS n"
                let id =
                    sql.dialect == .postgresql
                    ? "('00000000-0000-7000-8000-' || lpad(n.value::text, 12, '0'))::uuid"
                    : "'00000000-0000-7000-8000-' || printf('%012d', n.value)"
                let account =
                    sql.dialect == .postgresql
                    ? "('00000000-0000-4000-8000-' || lpad((n.value % 1000)::text, 12, '0'))::uuid"
                    : "'00000000-0000-4000-8000-' || printf('%012d', n.value % 1000)"
                let taskId =
                    sql.dialect == .postgresql
                    ? "'0UAAAA' || lpad(n.value::text, 8, '0') || md5(n.value::text)"
                    : "'0UAAAA' || printf('%08d', n.value) || lower(hex(randomblob(16)))"
                try sql.execute(
                    """
                    INSERT INTO tasks (id, task_id, name, type, kind, status, account_id, progress, parameters, results, last_activity,
                        created_at, updated_at, started_at, completed_at, attempt, max_attempts, queue)
                    SELECT \(id), \(taskId), 'old', 'Custom', 'old', 'Completed', \(account), 100, '{}', '{}', $3, $3, $3, $3, $3, 1, 5, 'drive'
                    FROM \(numbers)
                    """,
                    [.int(from), .int(from + portion - 1), .timestamp(now - .seconds(20 * 86_400))])
            }
            made += portion
        }
        if engine.database.dialect == .postgresql {
            // Outside a transaction block ANALYZE alone may run in one.
            try await engine.database.write { sql in try sql.execute("ANALYZE tasks") }
        }
    }
}
