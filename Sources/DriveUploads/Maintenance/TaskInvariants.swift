import DriveDatabase
import DriveModel
import Foundation

/// What must hold of the task engine's rows after every fault; a part of `InvariantChecker`.
///
/// Each rule is one statement over one snapshot, so that it may be asked beside running servers. The tasks of a worker that was
/// killed are no finding: its row in `task_workers` stands until another worker takes them, and so do its leases. Uploads and
/// other tasks without a queue are not the engine's.
struct TaskInvariants: Sendable {
    let now: Timestamp
    let repair: Bool

    private static let open = "('Pending', 'InProgress', 'Paused')"

    /// Runs every check in one transaction. What is mended earlier is found right by those that come later.
    func findings(in sql: any SQLSession) throws -> [Finding] {
        try leases(in: sql) + dependencies(in: sql) + waits(in: sql) + stranded(in: sql) + lanes(in: sql) + accounts(in: sql)
            + running(in: sql) + batches(in: sql)
    }

    private func finding(_ kind: String, _ subject: String, _ message: String, isMended: Bool = true) -> Finding {
        Finding(kind: kind, subject: subject, message: message, repaired: repair && isMended)
    }

    /// A task runs under a worker that is on record, whose end somebody would notice.
    private func leases(in sql: any SQLSession) throws -> [Finding] {
        let rows = try sql.query(
            """
            SELECT task_id, lease_owner FROM tasks t WHERE status = 'InProgress' AND queue IS NOT NULL
            AND (lease_owner IS NULL OR NOT EXISTS (SELECT 1 FROM task_workers w WHERE w.worker_id = t.lease_owner))
            """)
        return try rows.map { row in
            let (taskId, owner) = (try row.text("task_id"), try row.optionalText("lease_owner"))
            if repair {
                // On record as one that is dead, so that the engine itself takes back what it held.
                let worker = owner ?? "lost"
                try sql.execute(
                    """
                    INSERT INTO task_workers (worker_id, name, is_lease, heartbeat, started_at) VALUES ($1, $2, $3, 0, $4)
                    ON CONFLICT (worker_id) DO NOTHING
                    """, [.text(worker), .text("lost"), .bool(false), .timestamp(now)])
                try sql.execute("UPDATE tasks SET lease_owner = $2 WHERE task_id = $1", [.text(taskId), .text(worker)])
            }
            return finding("task.lease", taskId, "InProgress, but \(owner == nil ? "nobody has its lease" : "its worker is not on record")")
        }
    }

    // MARK: Dependencies

    private func dependencies(in sql: any SQLSession) throws -> [Finding] {
        let orphans = try sql.query(
            """
            SELECT DISTINCT d.task_id FROM task_dependencies d
            WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.task_id = d.task_id)
            """)
        if repair {
            for row in orphans { try sql.execute("DELETE FROM task_dependencies WHERE task_id = $1", [.text(try row.text("task_id"))]) }
        }
        // Who waits for a task that is over would wait for ever.
        let endless = try sql.query(
            """
            SELECT d.task_id, d.depends_on, o.status FROM task_dependencies d JOIN tasks t ON t.task_id = d.task_id
            LEFT JOIN tasks o ON o.task_id = d.depends_on
            WHERE t.status IN \(Self.open) AND (o.task_id IS NULL OR o.status NOT IN \(Self.open))
            AND NOT EXISTS (SELECT 1 FROM task_settlements s WHERE s.task_id = d.depends_on)
            """)
        return try orphans.map { finding("task.dependency", try $0.text("task_id"), "dependencies of a task that is gone") }
            + endless.map { row in
                finding(
                    "task.dependency", try row.text("task_id"),
                    "waits for \(try row.text("depends_on")), which is \(try row.optionalText("status") ?? "gone"); cancel and retry it",
                    isMended: false)
            }
    }

    private func waits(in sql: any SQLSession) throws -> [Finding] {
        let rows = try sql.query(
            """
            SELECT task_id, waits_for, dependencies FROM (
                SELECT t.task_id, t.waits_for,
                    (SELECT COUNT(*) FROM task_dependencies d WHERE d.task_id = t.task_id) AS dependencies
                FROM tasks t WHERE t.status IN \(Self.open)) x
            WHERE waits_for <> dependencies
            """)
        return try rows.map { row in
            let (taskId, dependencies) = (try row.text("task_id"), try row.int64("dependencies"))
            if repair {
                // One that waits for nothing any more is due.
                try sql.execute(
                    """
                    UPDATE tasks SET waits_for = $2, run_at = CASE WHEN $2 = 0 AND rank IS NULL THEN COALESCE(run_at, $3) ELSE run_at END
                    WHERE task_id = $1
                    """, [.text(taskId), .integer(dependencies), .timestamp(now)])
            }
            return finding("task.waitsFor", taskId, "waits for \(try row.int64("waits_for")) tasks, there are \(dependencies)")
        }
    }

    // MARK: Waiting

    /// Pending tasks that no claim would ever find: without a time, a dependency, or a lane that exists.
    private func stranded(in sql: any SQLSession) throws -> [Finding] {
        let rows = try sql.query(
            """
            SELECT task_id FROM tasks t WHERE status = 'Pending' AND queue IS NOT NULL
            AND ((rank IS NULL AND run_at IS NULL AND waits_for = 0)
                OR (rank IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task_lanes l WHERE l.lane_id = t.lane_id)))
            """)
        return try rows.map { row in
            let taskId = try row.text("task_id")
            if repair {
                // The next claim puts it into its lane.
                try sql.execute(
                    "UPDATE tasks SET rank = NULL, lane_id = NULL, run_at = $2 WHERE task_id = $1", [.text(taskId), .timestamp(now)])
            }
            return finding("task.stranded", taskId, "Pending where no worker looks")
        }
    }

    private func lanes(in sql: any SQLSession) throws -> [Finding] {
        let rows = try sql.query(
            """
            SELECT l.lane_id, l.queue FROM task_lanes l WHERE NOT l.is_waiting AND EXISTS
            (SELECT 1 FROM tasks t WHERE t.lane_id = l.lane_id AND t.status = 'Pending' AND t.rank IS NOT NULL)
            """)
        return try rows.map { row in
            let lane = try row.int64("lane_id")
            if repair {
                try sql.execute("UPDATE task_lanes SET is_waiting = $2 WHERE lane_id = $1", [.integer(lane), .bool(true)])
            }
            return finding("task.lane", "\(lane)", "has waiting tasks in \(try row.text("queue")) and is not marked as waiting")
        }
    }

    private func accounts(in sql: any SQLSession) throws -> [Finding] {
        let rows = try sql.query(
            """
            SELECT DISTINCT l.queue, l.account_id FROM task_lanes l WHERE l.is_waiting AND NOT EXISTS
            (SELECT 1 FROM task_accounts a WHERE a.queue = l.queue AND a.account_id = l.account_id AND a.is_waiting)
            """)
        return try rows.map { row in
            let (queue, account) = (try row.text("queue"), try row.uuid("account_id"))
            if repair {
                // Level with where the queue stands, as one that comes anew.
                let level =
                    try sql.first("SELECT virtual_time FROM task_queues WHERE queue = $1", [.text(queue)])?.int64("virtual_time") ?? 0
                try sql.execute(
                    """
                    INSERT INTO task_accounts (queue, account_id, tag, lane_time, turn, is_waiting)
                    VALUES ($1, $2, $4, 0, $4, $3)
                    ON CONFLICT (queue, account_id) DO UPDATE SET is_waiting = excluded.is_waiting
                    """, [.text(queue), .uuid(account), .bool(true), .integer(level)])
            }
            return finding(
                "task.account", account.lowercaseString, "has waiting tasks in \(queue) and is not marked as waiting")
        }
    }

    // MARK: Counts

    /// By these counts the limits hold.
    private func running(in sql: any SQLSession) throws -> [Finding] {
        let rows = try sql.query(
            """
            SELECT lane_id, CAST(SUM(stored) AS BIGINT) AS stored, CAST(SUM(running) AS BIGINT) AS running FROM (
                SELECT lane_id, running AS stored, 0 AS running FROM task_running
                UNION ALL
                SELECT lane_id, 0, COUNT(*) FROM tasks WHERE status = 'InProgress' AND lane_id IS NOT NULL GROUP BY lane_id) x
            GROUP BY lane_id HAVING SUM(stored) <> SUM(running)
            """)
        return try rows.map { row in
            let (lane, stored, running) = (try row.int64("lane_id"), try row.int64("stored"), try row.int64("running"))
            if repair {
                try sql.execute(
                    """
                    INSERT INTO task_running (lane_id, running) VALUES ($1, $2)
                    ON CONFLICT (lane_id) DO UPDATE SET running = excluded.running
                    """, [.integer(lane), .integer(running)])
            }
            return finding("task.running", "\(lane)", "counts \(stored) running tasks, there are \(running)")
        }
    }

    /// Of batches whose tasks are all there still; ended ones are removed in the course of time.
    private func batches(in sql: any SQLSession) throws -> [Finding] {
        let rows = try sql.query(
            """
            SELECT b.batch_id, b.completed, b.failed, b.cancelled, x.is_completed, x.is_failed, x.is_cancelled,
                CASE WHEN b.completed_at IS NULL THEN 0 ELSE 1 END AS has_ended,
                CASE WHEN x.is_completed + x.is_failed + x.is_cancelled >= b.total THEN 1 ELSE 0 END AS is_over
            FROM task_batches b JOIN (
                SELECT batch_id, COUNT(*) AS tasks, COUNT(CASE WHEN status = 'Completed' THEN 1 END) AS is_completed,
                    COUNT(CASE WHEN status IN ('Failed', 'Expired') THEN 1 END) AS is_failed,
                    COUNT(CASE WHEN status = 'Cancelled' THEN 1 END) AS is_cancelled
                FROM tasks WHERE batch_id IS NOT NULL GROUP BY batch_id) x ON x.batch_id = b.batch_id
            WHERE x.tasks = b.total
            """)
        return try rows.compactMap { row in
            let batch = try row.text("batch_id")
            let names = ["completed", "failed", "cancelled"]
            let (stored, counted) = (try names.map { try row.int64($0) }, try names.map { try row.int64("is_" + $0) })
            guard try stored != counted || row.int64("has_ended") != row.int64("is_over") else { return nil }
            if repair {
                try sql.execute(
                    """
                    UPDATE task_batches SET completed = $2, failed = $3, cancelled = $4,
                        completed_at = CASE WHEN $5 THEN COALESCE(completed_at, $6) ELSE NULL END WHERE batch_id = $1
                    """,
                    [.text(batch)] + counted.map { .integer($0) } + [.bool(try row.int64("is_over") == 1), .timestamp(now)])
            }
            let end = try row.int64("is_over") == 1 ? "all ended" : "not all ended"
            return finding(
                "task.batch", batch, "counts \(stored) completed, failed and cancelled tasks, there are \(counted), \(end)")
        }
    }
}
