import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

extension TaskEngine {
    /// Changes a task's status as its owner wants. Throws `TASK_NOT_FOUND`, `TASK_STATE`.
    func control(_ taskId: String, _ event: TaskEvent, in scope: TaskScope, sql: any SQLSession) throws -> TaskRow {
        let now = surroundings.now()
        let task = try TaskRow.expect(taskId, in: scope, locking: true, sql: sql)
        var outcome = Outcome()
        switch event {
        case .pause: try pause(task, now: now, outcome: &outcome, in: sql)
        case .resume: try resume(task, now: now, outcome: &outcome, in: sql)
        case .cancel: try cancel(task, code: nil, reason: "Cancelled by its owner.", now: now, outcome: &outcome, in: sql)
        case .retry: try retry(task, now: now, outcome: &outcome, in: sql)
        default: _ = try TaskLifeCycle.change(task.state, on: event, task: taskId)
        }
        try settle(outcome, now: now, in: sql)
        return try TaskRow.expect(taskId, in: scope, sql: sql)
    }

    private func pause(_ task: TaskRow, now: Timestamp, outcome: inout Outcome, in sql: any SQLSession) throws {
        let next = try TaskLifeCycle.change(task.state, on: .pause, task: task.taskId)
        guard next != task.state else { return }
        try sql.execute(
            "UPDATE tasks SET status = $2, requested = $3, last_activity = $4, updated_at = $4 WHERE task_id = $1",
            [.text(task.taskId), .text(next.status.rawValue), .text(next.requested?.rawValue), .timestamp(now)])
        if next.status == .paused {
            outcome.add(TaskEvents.changed("paused", .init(task.summary), status: .paused, reason: nil, now: now))
        } else {
            sql.notify(Self.controlChannel, task.taskId)
        }
    }

    private func resume(_ task: TaskRow, now: Timestamp, outcome: inout Outcome, in sql: any SQLSession) throws {
        let next = try TaskLifeCycle.change(task.state, on: .resume, task: task.taskId)
        try sql.execute(
            "UPDATE tasks SET status = $2, requested = NULL, last_activity = $3, updated_at = $3 WHERE task_id = $1",
            [.text(task.taskId), .text(next.status.rawValue), .timestamp(now)])
        outcome.add(TaskEvents.changed("resumed", .init(task.summary), status: next.status, reason: nil, now: now))
        if next.status == .pending, task.summary.waitsFor == 0, task.summary.runAt.map({ $0 <= now }) ?? true {
            outcome.ready.append(ReadyTask(task))
        } else if next.status == .pending {
            sql.notify(Self.workChannel, task.queue ?? TaskQueues.drive)
        } else {
            sql.notify(Self.controlChannel, task.taskId)
        }
    }

    /// From the beginning, with all attempts again, but from the last checkpoint.
    private func retry(_ task: TaskRow, now: Timestamp, outcome: inout Outcome, in sql: any SQLSession) throws {
        let next = try TaskLifeCycle.change(task.state, on: .retry, task: task.taskId)
        // What completed meanwhile, or is gone, is not waited for.
        try sql.execute(
            """
            DELETE FROM task_dependencies WHERE task_id = $1 AND NOT EXISTS
            (SELECT 1 FROM tasks t WHERE t.task_id = task_dependencies.depends_on AND t.status <> 'Completed')
            """, [.text(task.taskId)])
        let dependencies =
            try sql.first(
                "SELECT COUNT(*) AS open FROM task_dependencies WHERE task_id = $1", [.text(task.taskId)])?.int("open") ?? 0
        if dependencies > 0 {
            // Those that ended otherwise than completed are to be tried again first.
            let lost = try sql.first(
                """
                SELECT d.depends_on FROM task_dependencies d JOIN tasks t ON t.task_id = d.depends_on
                WHERE d.task_id = $1 AND t.status IN ('Failed', 'Cancelled', 'Expired') LIMIT 1
                """, [.text(task.taskId)])
            if let lost {
                throw DriveError(
                    .taskState, "It waits for a task that did not complete; retry that one first.",
                    details: [
                        "rule": "dependsOn", "taskId": .string(try lost.text("depends_on")),
                        "status": .string(task.summary.status.rawValue),
                        "wanted": .string(next.status.rawValue),
                    ])
            }
        }
        if let key = task.summary.uniqueKey {
            let other = try sql.first(
                """
                SELECT task_id FROM tasks WHERE account_id = $1 AND unique_key = $2 AND status IN ('Pending', 'InProgress', 'Paused')
                """, [.uuid(task.summary.accountId), .text(key)])
            if let other {
                throw DriveError(
                    .taskState, "Another open task has its unique key.",
                    details: [
                        "rule": "uniqueKey", "taskId": .string(try other.text("task_id")), "status": .string(task.summary.status.rawValue),
                        "wanted": .string(next.status.rawValue),
                    ])
            }
        }
        try sql.execute(
            """
            UPDATE tasks SET status = $2, requested = NULL, attempt = 0, checkpoint_attempt = 0, error_code = NULL, error_message = NULL,
                run_at = NULL, rank = NULL, completed_at = NULL, dead_at = NULL, last_activity = $3, updated_at = $3, waits_for = $4
            WHERE task_id = $1
            """, [.text(task.taskId), .text(next.status.rawValue), .timestamp(now), .int(dependencies)])
        // Those that wait for it still wait for this new run of it.
        try sql.execute("DELETE FROM task_settlements WHERE task_id = $1", [.text(task.taskId)])
        if let batch = task.summary.batchId { try TaskBatches.reopen(batch, status: task.summary.status, in: sql) }
        outcome.add(TaskEvents.retrying(.init(task.summary), attempt: 0, message: task.summary.errorMessage ?? "", runAt: now, now: now))
        if dependencies == 0 { outcome.ready.append(ReadyTask(task)) }
    }

    /// Cancels a batch's open tasks; returns how many.
    func cancelAll(inBatch batchId: String, sql: any SQLSession) throws -> Int {
        let now = surroundings.now()
        let open = try sql.query(
            """
            SELECT \(TaskRow.columns(sql.dialect)) FROM tasks WHERE batch_id = $1 AND status IN ('Pending', 'InProgress', 'Paused')
            ORDER BY task_id\(sql.dialect.forUpdate)
            """, [.text(batchId)]
        ).map { try TaskRow($0) }
        var outcome = Outcome()
        for task in open { try cancel(task, code: nil, reason: "Cancelled with its batch.", now: now, outcome: &outcome, in: sql) }
        try settle(outcome, now: now, in: sql)
        return open.count
    }

    /// Moves a task to another priority; a waiting one changes its lane and keeps its age.
    func setPriority(_ priority: Int, of taskId: String, in scope: TaskScope, sql: any SQLSession) throws -> TaskRow {
        let now = surroundings.now()
        var task = try TaskRow.expect(taskId, in: scope, locking: true, sql: sql)
        guard !task.summary.status.isTerminal else {
            throw DriveError(
                .taskState, "The task is \(task.summary.status.rawValue); its priority does not matter any more.",
                details: [
                    "rule": "priority", "taskId": .string(taskId), "status": .string(task.summary.status.rawValue),
                    "wanted": .string(TaskStatus.pending.rawValue),
                ])
        }
        try sql.execute(
            "UPDATE tasks SET priority = $2, updated_at = $3 WHERE task_id = $1", [.text(taskId), .int(priority), .timestamp(now)])
        let isReady =
            try sql.first(
                "SELECT 1 AS ready FROM tasks WHERE task_id = $1 AND status = 'Pending' AND rank IS NOT NULL", [.text(taskId)]) != nil
        if isReady {
            task.summary.priority = priority
            try makeReady([ReadyTask(task)], in: sql)
        }
        return try TaskRow.expect(taskId, in: scope, sql: sql)
    }

    /// Removes ended tasks with what they left behind, and empty batches and idle lanes; at most `limit` of each. Returns the most
    /// that it removed of one.
    public static func removeEnded(
        before cutoff: Timestamp, ofServerBefore serverCutoff: Timestamp, limit: Int, in sql: any SQLSession
    ) throws -> Int {
        let old = try sql.query(
            """
            SELECT task_id FROM tasks WHERE completed_at IS NOT NULL AND completed_at < $2
            AND status IN ('Completed', 'Failed', 'Cancelled', 'Expired') AND (completed_at < $1 OR account_id = $3)
            ORDER BY completed_at LIMIT $4\(sql.dialect.forUpdateSkipLocked)
            """, [.timestamp(cutoff), .timestamp(max(cutoff, serverCutoff)), .uuid(systemAccount), .int(limit)])
        // Their items count too: a transaction stays short, whatever a task worked on.
        var room = mostItemsRemoved
        for row in old where room > 0 {
            let taskId = try row.text("task_id")
            let items = try removeItems(of: taskId, limit: room, in: sql)
            room -= items
            if room > 0 { try remove(taskId, in: sql) }
        }
        let batches = try sql.execute(
            """
            DELETE FROM task_batches WHERE batch_id IN (SELECT batch_id FROM task_batches b WHERE completed_at < $1
            AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.batch_id = b.batch_id) LIMIT $2)
            """, [.timestamp(cutoff), .int(limit)])
        return max(old.count, batches, try removeIdleLanes(limit: limit, in: sql))
    }

    /// Lanes and accounts of which nothing waits or runs; they are made anew when something does.
    private static func removeIdleLanes(limit: Int, in sql: any SQLSession) throws -> Int {
        // Whoever is adding to one holds it, and it stays.
        let lanes = try sql.query(
            """
            SELECT lane_id FROM task_lanes WHERE NOT is_waiting
            AND NOT EXISTS (SELECT 1 FROM task_running r WHERE r.lane_id = task_lanes.lane_id AND r.running <> 0)
            LIMIT $1\(sql.dialect.forUpdateSkipLocked)
            """, [.int(limit)]
        ).map { try $0.int64("lane_id") }
        for lane in lanes {
            let removed = try sql.execute(
                """
                DELETE FROM task_lanes WHERE lane_id = $1 AND NOT is_waiting AND NOT EXISTS
                (SELECT 1 FROM tasks WHERE lane_id = $1 AND status = 'Pending' AND rank IS NOT NULL)
                """, [.integer(lane)])
            if removed == 1 { try sql.execute("DELETE FROM task_running WHERE lane_id = $1 AND running = 0", [.integer(lane)]) }
        }
        try sql.execute(
            """
            DELETE FROM task_accounts WHERE NOT is_waiting AND NOT EXISTS (SELECT 1 FROM task_lanes l
                WHERE l.queue = task_accounts.queue AND l.account_id = task_accounts.account_id)
            AND tag <= (SELECT virtual_time FROM task_queues q WHERE q.queue = task_accounts.queue)
            """)
        return lanes.count
    }

    /// Item rows that one transaction removes.
    static let mostItemsRemoved = 10_000

    /// Removes items of an ended task, the last first; returns how many.
    static func removeItems(of taskId: String, limit: Int, in sql: any SQLSession) throws -> Int {
        try sql.execute(
            """
            DELETE FROM task_items WHERE task_id = $1 AND position IN
            (SELECT position FROM task_items WHERE task_id = $1 ORDER BY position DESC LIMIT $2)
            """, [.text(taskId), .int(limit)])
    }

    /// Removes an ended task with all that belongs to it.
    static func remove(_ taskId: String, in sql: any SQLSession) throws {
        let key: [SQLValue] = [.text(taskId)]
        try sql.execute("DELETE FROM task_items WHERE task_id = $1", key)
        try sql.execute("DELETE FROM task_attempts WHERE task_id = $1", key)
        try sql.execute("DELETE FROM task_dependencies WHERE task_id = $1", key)
        try sql.execute("DELETE FROM upload_chunks WHERE session_id IN (SELECT id FROM upload_tasks WHERE task_id = $1)", key)
        try sql.execute("DELETE FROM upload_tasks WHERE task_id = $1", key)
        try sql.execute("DELETE FROM tasks WHERE task_id = $1", key)
    }
}
