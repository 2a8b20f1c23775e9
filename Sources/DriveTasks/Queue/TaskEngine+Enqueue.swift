import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// What came of an enqueue.
public struct EnqueuedTask: Hashable, Sendable {
    public var taskId: String
    /// False where an open task of the account with the same unique key is the answer.
    public var isNew: Bool
}

extension TaskEngine {
    /// Puts a task into the queue, in the caller's transaction: it exists if that commits, and not otherwise.
    ///
    /// Throws `TASK_NOT_FOUND` for a dependency that is not the account's, `TASK_STATE` for one that ended without completing.
    @discardableResult
    public func enqueue(_ task: NewTask, in sql: any SQLSession) throws -> EnqueuedTask {
        let now = surroundings.now()
        let taskId = newTaskId(now)
        let open = try openDependencies(of: task, in: sql)
        let isReady = open.isEmpty && task.runAt.map { $0 <= now } ?? true
        let lane = isReady ? try self.lane(LaneKey(task), in: sql) : nil
        let conflict =
            task.uniqueKey == nil
            ? ""
            : " ON CONFLICT (account_id, unique_key) WHERE unique_key IS NOT NULL AND status IN ('Pending', 'InProgress', 'Paused') DO NOTHING"
        let inserted = try sql.execute(
            """
            INSERT INTO tasks (id, task_id, name, description, type, kind, status, account_id, parameters, results, last_activity, priority,
                estimated_duration_seconds, created_at, updated_at, queue, rank, lane_id, run_at, max_attempts, parent_task_id, pool_id, size,
                unique_key, batch_id, waits_for)
            VALUES ($1, $2, $3, $4, $5, $6, 'Pending', $7, $8, '{}', $9, $10, $11, $9, $9, $12,
                \(isReady ? sql.dialect.nextOrder : "NULL"), $13, $14, $15, $16, $17, $18, $19, $20, $21)\(conflict)
            """,
            [
                .uuid(newUUID(now)), .text(taskId), .text(task.name), .text(task.description), .text(task.type.rawValue), .text(task.kind),
                .uuid(task.accountId), .json(task.parameters), .timestamp(now), .int(task.priority),
                .integer(estimatedSeconds(type: task.type, kind: task.kind, size: task.size)), .text(task.queue), .integer(lane),
                .timestamp(task.runAt), .int(task.maximumAttempts), .text(task.parentTaskId), .uuid(task.poolId), .integer(task.size),
                .text(task.uniqueKey), .text(task.batchId), .int(open.count),
            ])
        guard inserted == 1 else { return EnqueuedTask(taskId: try existing(task, in: sql), isNew: false) }
        for dependency in open {
            try sql.execute("INSERT INTO task_dependencies (task_id, depends_on) VALUES ($1, $2)", [.text(taskId), .text(dependency)])
        }
        if task.accountId != Self.systemAccount {
            let subject = TaskEvents.Subject(
                taskId: taskId, name: task.name, type: task.type, kind: task.kind, accountId: task.accountId)
            try EventOutbox.append([TaskEvents.created(subject, now: now)], now: now, in: sql)
        }
        if isReady || task.runAt != nil { sql.notify(Self.workChannel, task.queue) }
        return EnqueuedTask(taskId: taskId, isNew: true)
    }

    private func existing(_ task: NewTask, in sql: any SQLSession) throws -> String {
        let row = try sql.first(
            "SELECT task_id FROM tasks WHERE account_id = $1 AND unique_key = $2 AND status IN ('Pending', 'InProgress', 'Paused')",
            [.uuid(task.accountId), .text(task.uniqueKey)])
        guard let row else {
            // It ended in this moment; the caller's repetition makes the task.
            throw DatabaseError(.busy, "the task of this unique key ended meanwhile")
        }
        return try row.text("task_id")
    }

    /// Those of the dependencies that are not Completed yet; locked, so that none ends unseen.
    private func openDependencies(of task: NewTask, in sql: any SQLSession) throws -> [String] {
        var open: [String] = []
        for id in Set(task.dependsOn).sorted() {
            let row = try TaskRow.expect(id, in: .account(task.accountId), locking: true, sql: sql)
            switch row.summary.status {
            case .completed: continue
            case .pending, .inProgress, .paused: open.append(id)
            case .failed, .cancelled, .expired:
                throw DriveError(
                    .taskState, "A task cannot wait for one that is \(row.summary.status.rawValue).",
                    details: [
                        "rule": "dependsOn", "taskId": .string(id), "status": .string(row.summary.status.rawValue),
                        "wanted": .string(TaskStatus.completed.rawValue),
                    ])
            }
        }
        for id in open where !open.isEmpty {
            try sql.execute("UPDATE tasks SET has_dependents = $2 WHERE task_id = $1", [.text(id), .bool(true)])
        }
        return open
    }

    // MARK: Lanes

    /// What tells lanes apart.
    struct LaneKey: Hashable {
        var queue: String
        var accountId: UUID
        var type: String
        var pool: String
        var priority: Int

        init(_ task: NewTask) {
            queue = task.queue
            accountId = task.accountId
            type = task.type.rawValue
            pool = task.poolId?.uuidString.lowercased() ?? ""
            priority = task.priority
        }

        init(_ task: TaskRow) {
            queue = task.queue ?? TaskQueues.drive
            accountId = task.summary.accountId
            type = task.summary.type.rawValue
            pool = task.poolId?.uuidString.lowercased() ?? ""
            priority = task.summary.priority
        }
    }

    /// The lane for a task that waits from now on, marked as waiting.
    ///
    /// In a busy lane this only reads: the key-share lock lets others add too, and keeps the claim from taking the lane for
    /// empty before this transaction's task can be seen.
    func lane(_ key: LaneKey, in sql: any SQLSession) throws -> Int64 {
        let arguments: [SQLValue] = [.text(key.queue), .uuid(key.accountId), .text(key.type), .text(key.pool), .int(key.priority)]
        let find = """
            SELECT lane_id, tag, is_waiting FROM task_lanes
            WHERE queue = $1 AND account_id = $2 AND type = $3 AND pool_key = $4 AND priority = $5\(sql.dialect.forKeyShare)
            """
        var row = try sql.first(find, arguments)
        if row == nil {
            try sql.execute(
                """
                INSERT INTO task_lanes (queue, account_id, type, pool_key, priority, tag, is_waiting)
                VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT (queue, account_id, type, pool_key, priority) DO NOTHING
                """, arguments + [.bool(false)])
            row = try sql.first(find, arguments)
        }
        guard let row else { throw DatabaseError(.busy, "the lane went away meanwhile") }
        let laneId = try row.int64("lane_id")
        if try row.bool("is_waiting") { return laneId }
        try beginWaiting(lane: laneId, key, in: sql)
        return laneId
    }

    /// An idle lane, and its account, begin where the others are.
    private func beginWaiting(lane laneId: Int64, _ key: LaneKey, in sql: any SQLSession) throws {
        let virtualTime = try sql.first("SELECT virtual_time FROM task_queues WHERE queue = $1", [.text(key.queue)])?.int64("virtual_time")
        let urgency = Int64(key.priority) * TurnPlanner.priorityStep
        // The lane before the account: claims change them in the same order.
        try sql.execute(
            """
            UPDATE task_lanes SET is_waiting = $4, tag = CASE WHEN is_waiting THEN tag ELSE
                COALESCE((SELECT CASE WHEN a.lane_time > task_lanes.tag THEN a.lane_time ELSE task_lanes.tag END
                    FROM task_accounts a WHERE a.queue = $2 AND a.account_id = $3), tag) END
            WHERE lane_id = $1
            """, [.integer(laneId), .text(key.queue), .uuid(key.accountId), .bool(true)])
        try sql.execute(
            """
            INSERT INTO task_accounts (queue, account_id, tag, lane_time, turn, is_waiting) VALUES ($1, $2, $3, 0, $3 - $4, $5)
            ON CONFLICT (queue, account_id) DO UPDATE SET
                turn = CASE
                    WHEN NOT task_accounts.is_waiting AND task_accounts.tag < $3 THEN $3 - $4
                    WHEN task_accounts.is_waiting AND task_accounts.turn < task_accounts.tag - $4 THEN task_accounts.turn
                    ELSE task_accounts.tag - $4 END,
                tag = CASE WHEN NOT task_accounts.is_waiting AND task_accounts.tag < $3 THEN $3 ELSE task_accounts.tag END,
                is_waiting = $5
            """, [.text(key.queue), .uuid(key.accountId), .integer(virtualTime ?? 0), .integer(urgency), .bool(true)])
    }

    /// Puts a Pending task that waited for a time or for other tasks into its lane.
    func makeReady(_ task: TaskRow, in sql: any SQLSession) throws {
        let lane = try lane(LaneKey(task), in: sql)
        // Its place in the order where it had one: it is older than those behind it.
        try sql.execute(
            "UPDATE tasks SET rank = COALESCE(rank, \(sql.dialect.nextOrder)), lane_id = $2, run_at = NULL WHERE task_id = $1 AND status = 'Pending'",
            [.text(task.taskId), .integer(lane)])
        sql.notify(Self.workChannel, task.queue ?? TaskQueues.drive)
    }
}
