import DriveDatabase
import DriveModel
import EngineTestSupport

@testable import DriveTasks

/// What must hold between transactions, whatever happened.
extension TaskSite {
    private static let open = "('Pending', 'InProgress', 'Paused')"

    /// Each counts rows that break a rule.
    private static let rules: [(rule: String, count: String)] = [
        (
            "a lane's running count is not that of its running tasks",
            """
            SELECT COUNT(*) AS value FROM task_lanes l LEFT JOIN task_running r ON r.lane_id = l.lane_id
            WHERE COALESCE(r.running, 0) <> (SELECT COUNT(*) FROM tasks t WHERE t.lane_id = l.lane_id AND t.status = 'InProgress')
            """
        ),
        (
            "a running count belongs to no lane",
            "SELECT COUNT(*) AS value FROM task_running WHERE lane_id NOT IN (SELECT lane_id FROM task_lanes)"
        ),
        (
            "a ready task lies in no waiting lane of its own priority, type and queue",
            """
            SELECT COUNT(*) AS value FROM tasks t WHERE t.status = 'Pending' AND t.rank IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM task_lanes l WHERE l.lane_id = t.lane_id AND l.is_waiting AND l.priority = t.priority AND l.type = CASE WHEN t.kind IS NULL THEN t.type ELSE t.type || ':' || t.kind END
            AND l.queue = t.queue AND l.account_id = t.account_id)
            """
        ),
        (
            "a waiting lane's account does not wait",
            """
            SELECT COUNT(*) AS value FROM task_lanes l WHERE l.is_waiting AND NOT EXISTS (SELECT 1 FROM task_accounts a
            WHERE a.queue = l.queue AND a.account_id = l.account_id AND a.is_waiting)
            """
        ),
        (
            "a Pending task waits for nothing and is not ready",
            """
            SELECT COUNT(*) AS value FROM tasks WHERE status = 'Pending' AND queue IS NOT NULL AND rank IS NULL AND run_at IS NULL
            AND waits_for = 0
            """
        ),
        (
            "waits_for is not the number of what is waited for",
            """
            SELECT COUNT(*) AS value FROM tasks t WHERE t.status IN \(open) AND t.waits_for <> (SELECT COUNT(*) FROM task_dependencies d
            JOIN tasks o ON o.task_id = d.depends_on WHERE d.task_id = t.task_id AND o.status IN \(open))
            """
        ),
        (
            "a task runs without a lease, or has one without running",
            "SELECT COUNT(*) AS value FROM tasks WHERE (status = 'InProgress') <> (lease_owner IS NOT NULL)"
        ),
        (
            "an open task has an end, or an ended one has none",
            "SELECT COUNT(*) AS value FROM tasks WHERE (status IN \(open)) <> (completed_at IS NULL)"
        ),
        ("a dead letter is not Failed", "SELECT COUNT(*) AS value FROM tasks WHERE dead_at IS NOT NULL AND status <> 'Failed'"),
        (
            "something is asked of a task that does not run",
            "SELECT COUNT(*) AS value FROM tasks WHERE requested IS NOT NULL AND status <> 'InProgress'"
        ),
        (
            "a batch's counts are not those of its tasks",
            """
            SELECT COUNT(*) AS value FROM task_batches b WHERE b.total = (SELECT COUNT(*) FROM tasks t WHERE t.batch_id = b.batch_id) AND
            (b.completed <> (SELECT COUNT(*) FROM tasks t WHERE t.batch_id = b.batch_id AND t.status = 'Completed')
            OR b.failed <> (SELECT COUNT(*) FROM tasks t WHERE t.batch_id = b.batch_id AND t.status IN ('Failed', 'Expired'))
            OR b.cancelled <> (SELECT COUNT(*) FROM tasks t WHERE t.batch_id = b.batch_id AND t.status = 'Cancelled'))
            """
        ),
        (
            "a batch's end is not that of its last task",
            "SELECT COUNT(*) AS value FROM task_batches WHERE (completed + failed + cancelled >= total) <> (completed_at IS NOT NULL)"
        ),
        (
            "an account's events have gaps",
            """
            SELECT COUNT(*) AS value FROM event_sequences s WHERE s.last_sequence <>
            (SELECT COUNT(*) FROM events e WHERE e.account_id = s.account_id AND e.sequence BETWEEN 1 AND s.last_sequence)
            """
        ),
    ]

    /// The rules that are broken; empty where all is well.
    func findings() async throws -> [String] {
        var findings: [String] = []
        for (rule, count) in Self.rules where try await database.number(count) != 0 { findings.append(rule) }
        let account = SQLValue.uuid(TaskEngine.systemAccount)
        if try await database.number("SELECT COUNT(*) AS value FROM events WHERE account_id = $1", [account]) != 0 {
            findings.append("the system account has events")
        }
        return findings
    }
}
