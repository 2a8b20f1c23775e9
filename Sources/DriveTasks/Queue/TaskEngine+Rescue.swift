import DriveDatabase
import DriveModel
import Foundation

extension TaskEngine {
    /// Tasks of a lost worker that are put back in one transaction.
    static let rescueBatch = 200

    /// Puts a worker on record. Its heartbeat counter begins anew.
    func enlist(_ worker: String, name: String, isLease: Bool, in sql: any SQLSession) throws {
        try sql.execute(
            """
            INSERT INTO task_workers (worker_id, name, is_lease, heartbeat, started_at) VALUES ($1, $2, $3, 0, $4)
            ON CONFLICT (worker_id) DO UPDATE SET heartbeat = task_workers.heartbeat + 1
            """, [.text(worker), .text(name), .bool(isLease), .timestamp(surroundings.now())])
    }

    /// Whether the worker is on record; held until the transaction ends, so that nobody takes it for lost meanwhile.
    func isEnlisted(_ worker: String, in sql: any SQLSession) throws -> Bool {
        try sql.first("SELECT 1 AS known FROM task_workers WHERE worker_id = $1\(sql.dialect.forKeyShare)", [.text(worker)]) != nil
    }

    /// A sign of life; false where the worker was taken for lost meanwhile.
    func beat(_ worker: String, in sql: any SQLSession) throws -> Bool {
        try sql.execute("UPDATE task_workers SET heartbeat = heartbeat + 1 WHERE worker_id = $1", [.text(worker)]) == 1
    }

    func dismiss(_ worker: String, in sql: any SQLSession) throws {
        try sql.execute("DELETE FROM task_workers WHERE worker_id = $1", [.text(worker)])
    }

    /// Every worker's counter.
    func heartbeats() async throws -> [String: Int64] {
        try await database.read { sql in
            let rows = try sql.query("SELECT worker_id, heartbeat FROM task_workers")
            return Dictionary(try rows.map { (try $0.text("worker_id"), try $0.int64("heartbeat")) }, uniquingKeysWith: { _, last in last })
        }
    }

    /// Takes the tasks of a worker that shows no sign of life, in transactions of `rescueBatch`.
    ///
    /// - Parameter heartbeat: its counter when it was judged; where it beat since, nothing is taken. Nil: it is certainly dead.
    /// - Returns: how many tasks run again, or are dead letters now.
    func rescue(_ worker: String, heartbeat: Int64?) async throws -> Int {
        var rescued = 0
        while true {
            let count = try await database.write { [self] sql -> Int? in
                if let heartbeat {
                    // Under the row's lock: a worker that beats now is alive, and one that beats later finds itself dismissed.
                    let row = try sql.first(
                        "SELECT heartbeat FROM task_workers WHERE worker_id = $1\(sql.dialect.forUpdate)", [.text(worker)])
                    guard let row, try row.int64("heartbeat") == heartbeat else { return nil }
                }
                let rows = try sql.query(
                    "SELECT \(TaskRow.columns(sql.dialect)) FROM tasks WHERE lease_owner = $1 AND status = 'InProgress' ORDER BY task_id LIMIT $2\(sql.dialect.forUpdate)",
                    [.text(worker), .int(Self.rescueBatch)])
                let name = try sql.first("SELECT name FROM task_workers WHERE worker_id = $1", [.text(worker)])?.text("name")
                let now = surroundings.now()
                var outcome = Outcome()
                for row in rows {
                    let task = try TaskRow(row)
                    outcome.stopRunning(task.laneId)
                    let failure = TaskFailure(
                        code: "WORKER_LOST", message: "Its worker showed no sign of life any more.", isRetryable: true)
                    try fail(task, failure, how: .lost, worker: name ?? "unknown", now: now, outcome: &outcome, in: sql)
                }
                try settle(outcome, now: now, in: sql)
                if rows.count < Self.rescueBatch { try dismiss(worker, in: sql) }
                return rows.count
            }
            guard let count else { return rescued }
            rescued += count
            if count < Self.rescueBatch { return rescued }
        }
    }

    /// When each task that a worker outside holds last showed progress, by its lease.
    func leaseActivity() async throws -> [String: Int64] {
        try await database.read { sql in
            let rows = try sql.query(
                """
                SELECT w.worker_id, t.last_activity FROM task_workers w JOIN tasks t ON t.lease_owner = w.worker_id
                WHERE w.is_lease AND t.status = 'InProgress'
                """)
            return Dictionary(
                try rows.map { (try $0.text("worker_id"), try $0.timestamp("last_activity").microseconds) },
                uniquingKeysWith: { _, last in last })
        }
    }

    /// Ends the attempt of a worker outside that shows signs of life, and no progress since `activity`.
    func endStalledLease(_ lease: String, activity: Int64) async throws {
        try await database.write { [self] sql in
            let worker = try sql.first(
                "SELECT name FROM task_workers WHERE worker_id = $1 AND is_lease\(sql.dialect.forUpdate)", [.text(lease)])
            let found = try sql.first(
                "SELECT * FROM tasks WHERE lease_owner = $1 AND status = 'InProgress'\(sql.dialect.forUpdate)", [.text(lease)])
            guard let worker, let task = try found.map(TaskRow.init), task.summary.lastActivity.microseconds == activity else { return }
            let failure = TaskFailure(code: "TASK_STALLED", message: "It showed no progress for too long.", isRetryable: true)
            let ended = EndedAttempt(taskId: task.taskId, fencingToken: task.fencingToken, end: .failed(failure, outcome: .stalled))
            _ = try finish([ended], worker: try worker.text("name"), in: sql)
            try dismiss(lease, in: sql)
        }
    }

    /// At the start of the one process that owns its database: all other workers in it are dead. Workers outside of Drive
    /// are not: they hold their leases over a restart. Returns how many tasks run again.
    public func takeBackOrphans() async throws -> Int {
        let workers = try await database.read { sql in
            try sql.query("SELECT worker_id FROM task_workers WHERE NOT is_lease").map { try $0.text("worker_id") }
        }
        var count = 0
        for worker in workers { count += try await rescue(worker, heartbeat: nil) }
        // Leases without a worker's row, as nobody watches them.
        let ownerless = try await database.read { sql in
            try sql.query(
                """
                SELECT DISTINCT lease_owner FROM tasks WHERE lease_owner IS NOT NULL AND status = 'InProgress'
                AND NOT EXISTS (SELECT 1 FROM task_workers w WHERE w.worker_id = tasks.lease_owner)
                """
            ).map { try $0.text("lease_owner") }
        }
        for worker in ownerless { count += try await rescue(worker, heartbeat: nil) }
        return count
    }
}
