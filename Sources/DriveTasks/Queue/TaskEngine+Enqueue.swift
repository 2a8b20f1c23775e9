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

// Every transaction of the engine takes its locks in one order, so that none waits for another in a circle: rows of tasks,
// lanes, accounts, batches, events, durations, counters of what runs; several of a kind sorted. A claim waits for nobody.
extension TaskEngine {
    /// Puts a task into the queue, in the caller's transaction: it exists if that commits, and not otherwise.
    ///
    /// Throws `TASK_NOT_FOUND` for a dependency that is not the account's, `TASK_STATE` for one that ended without completing.
    @discardableResult
    public func enqueue(_ task: NewTask, in sql: any SQLSession) throws -> EnqueuedTask {
        guard let enqueued = try enqueue([task], in: sql).first else {
            throw DatabaseError(.unexpectedResult, "nothing was enqueued")
        }
        return enqueued
    }

    /// Puts several tasks into the queue. `dependsOn` may name an earlier one of them by `#` and its place, from 0.
    public func enqueue(_ tasks: [NewTask], in sql: any SQLSession) throws -> [EnqueuedTask] {
        let now = surroundings.now()
        let ids = tasks.map { _ in newTaskId(now) }
        let dependencies = try openDependencies(of: tasks, ids: ids, in: sql)
        let isReady = tasks.indices.map { dependencies[$0].isEmpty && tasks[$0].runAt.map { $0 <= now } ?? true }
        let lanes = try self.lanes(Set(tasks.indices.filter { isReady[$0] }.map { LaneKey(tasks[$0]) }), in: sql)
        var events: [OutboxEvent] = []
        var enqueued: [EnqueuedTask] = []
        for (index, task) in tasks.enumerated() {
            let lane = isReady[index] ? lanes[LaneKey(task)] : nil
            guard try insert(task, id: ids[index], lane: lane, waitsFor: dependencies[index].count, now: now, in: sql) else {
                enqueued.append(EnqueuedTask(taskId: try existing(task, in: sql), isNew: false))
                continue
            }
            enqueued.append(EnqueuedTask(taskId: ids[index], isNew: true))
            for dependency in dependencies[index] {
                try sql.execute(
                    "INSERT INTO task_dependencies (task_id, depends_on) VALUES ($1, $2)", [.text(ids[index]), .text(dependency)])
            }
            if task.accountId != Self.systemAccount {
                let subject = TaskEvents.Subject(
                    taskId: ids[index], name: task.name, type: task.type, kind: task.kind, accountId: task.accountId)
                events.append(TaskEvents.created(subject, now: now))
            }
            if isReady[index] || task.runAt != nil { sql.notify(Self.workChannel, task.queue) }
        }
        for id in Set(dependencies.joined()).intersection(ids) {
            try sql.execute("UPDATE tasks SET has_dependents = $2 WHERE task_id = $1", [.text(id), .bool(true)])
        }
        try EventOutbox.append(events, now: now, in: sql)
        return enqueued
    }

    /// False where an open task has the unique key.
    private func insert(
        _ task: NewTask, id taskId: String, lane: Int64?, waitsFor: Int, now: Timestamp, in sql: any SQLSession
    ) throws -> Bool {
        let conflict =
            task.uniqueKey == nil
            ? ""
            : " ON CONFLICT (account_id, unique_key) WHERE unique_key IS NOT NULL AND status IN ('Pending', 'InProgress', 'Paused') DO NOTHING"
        let inserted = try sql.execute(
            """
            INSERT INTO tasks (id, task_id, name, description, type, kind, status, account_id, parameters, results, last_activity, priority,
                estimated_duration_seconds, created_at, updated_at, queue, rank, lane_id, run_at, max_attempts, parent_task_id, pool_id, size,
                unique_key, batch_id, waits_for, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, 'Pending', $7, $8, '{}', $9, $10, $11, $9, $9, $12,
                \(lane == nil ? "NULL" : sql.dialect.nextOrder), $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)\(conflict)
            """,
            [
                .uuid(newUUID(now)), .text(taskId), .text(task.name), .text(task.description), .text(task.type.rawValue), .text(task.kind),
                .uuid(task.accountId), .json(task.parameters), .timestamp(now), .int(task.priority),
                .integer(estimatedSeconds(type: task.type, kind: task.kind, size: task.size)), .text(task.queue), .integer(lane),
                .timestamp(task.runAt), .int(task.maximumAttempts), .text(task.parentTaskId), .uuid(task.poolId), .integer(task.size),
                .text(task.uniqueKey), .text(task.batchId), .int(waitsFor), .timestamp(task.expiresAt),
            ])
        if lane != nil { try advanceOrder(in: sql) }
        return inserted == 1
    }

    /// SQLite's counterpart of a sequence.
    private func advanceOrder(in sql: any SQLSession) throws {
        if sql.dialect == .sqlite { try sql.execute("UPDATE task_order SET last = last + 1") }
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

    /// For each task those of its dependencies that are not Completed yet; locked, so that none ends unseen.
    private func openDependencies(of tasks: [NewTask], ids: [String], in sql: any SQLSession) throws -> [[String]] {
        guard tasks.contains(where: { !$0.dependsOn.isEmpty }) else { return tasks.map { _ in [] } }
        var named: [Set<String>] = []
        for (index, task) in tasks.enumerated() {
            named.append(Set(try task.dependsOn.map { try Self.resolve($0, among: ids.prefix(index), index: index) }))
        }
        let new = Set(ids)
        var isOpen: [String: Bool] = [:]
        for id in Set(named.joined()).subtracting(new).sorted() {
            let account = tasks.indices.first { named[$0].contains(id) }.map { tasks[$0].accountId } ?? Self.systemAccount
            let row = try TaskRow.expect(id, in: .account(account), locking: true, sql: sql)
            switch row.summary.status {
            case .completed: isOpen[id] = false
            case .pending, .inProgress, .paused: isOpen[id] = true
            case .failed, .cancelled, .expired:
                throw DriveError(
                    .taskState, "A task cannot wait for one that is \(row.summary.status.rawValue).",
                    details: [
                        "rule": "dependsOn", "status": .string(row.summary.status.rawValue),
                        "wanted": .string(TaskStatus.completed.rawValue),
                    ])
            }
        }
        let open = named.map { $0.filter { new.contains($0) || isOpen[$0] == true }.sorted() }
        for id in Set(open.joined()).subtracting(new).sorted() {
            try sql.execute("UPDATE tasks SET has_dependents = $2 WHERE task_id = $1", [.text(id), .bool(true)])
        }
        return open
    }

    private static func resolve(_ reference: String, among ids: ArraySlice<String>, index: Int) throws(DriveError) -> String {
        guard reference.hasPrefix("#") else { return reference }
        guard let place = Int(reference.dropFirst()), ids.indices.contains(place) else {
            throw DriveError(
                .invalidRequest, "dependsOn names with \(reference) no earlier task of the batch.",
                details: ["rule": "dependsOn", "index": .integer(Int64(index))])
        }
        return ids[place]
    }

    // MARK: Lanes

    /// The type by which lanes and limits go: a Custom task's has its kind in it.
    static func laneType(_ type: TaskType, kind: String?) -> String { kind.map { "\(type.rawValue):\($0)" } ?? type.rawValue }

    /// What tells lanes apart.
    struct LaneKey: Hashable, Comparable {
        var queue: String
        var accountId: UUID
        var type: String
        var pool: String
        var priority: Int

        init(_ task: NewTask) {
            queue = task.queue
            accountId = task.accountId
            type = TaskEngine.laneType(task.type, kind: task.kind)
            pool = task.poolId?.lowercaseString ?? ""
            priority = task.priority
        }

        init(queue: String?, accountId: UUID, type: TaskType, kind: String?, poolId: UUID?, priority: Int) {
            self.queue = queue ?? TaskQueues.drive
            self.accountId = accountId
            self.type = TaskEngine.laneType(type, kind: kind)
            pool = poolId?.lowercaseString ?? ""
            self.priority = priority
        }

        private var order: (String, String, String, String, Int) { (queue, accountId.uuidString, type, pool, priority) }
        static func < (left: LaneKey, right: LaneKey) -> Bool { left.order < right.order }
    }

    /// A task that may wait for a worker from now on.
    struct ReadyTask: Hashable {
        var taskId: String
        var lane: LaneKey

        init(_ task: TaskRow) {
            taskId = task.taskId
            lane = LaneKey(
                queue: task.queue, accountId: task.summary.accountId, type: task.summary.type, kind: task.summary.kind, poolId: task.poolId,
                priority: task.summary.priority)
        }

        /// From the columns that say it; nil for a type that this program does not know.
        init?(_ row: SQLRow) throws {
            guard let type = TaskType(rawValue: try row.text("type")) else { return nil }
            taskId = try row.text("task_id")
            lane = LaneKey(
                queue: try row.optionalText("queue"), accountId: try row.uuid("account_id"), type: type, kind: try row.optionalText("kind"),
                poolId: try row.optionalUUID("pool_id"), priority: try row.int("priority"))
        }
    }

    /// The lanes for tasks that wait from now on, marked as waiting.
    ///
    /// In a busy lane this only reads: the key-share lock lets others add too, and keeps the claim from taking the lane for
    /// empty before this transaction's task can be seen.
    private func lanes(_ keys: Set<LaneKey>, in sql: any SQLSession) throws -> [LaneKey: Int64] {
        var lanes: [LaneKey: Int64] = [:]
        var idle: [LaneKey] = []
        let sorted = keys.sorted()
        for key in sorted {
            let (laneId, isWaiting) = try lane(key, in: sql)
            lanes[key] = laneId
            if !isWaiting {
                try beginWaiting(lane: laneId, key, in: sql)
                idle.append(key)
            }
        }
        // All lanes before the first account.
        for key in idle { try beginWaiting(accountOf: key, in: sql) }
        return lanes
    }

    private func lane(_ key: LaneKey, in sql: any SQLSession) throws -> (id: Int64, isWaiting: Bool) {
        let arguments: [SQLValue] = [.text(key.queue), .uuid(key.accountId), .text(key.type), .text(key.pool), .int(key.priority)]
        let find = """
            SELECT lane_id, is_waiting FROM task_lanes
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
        return (try row.int64("lane_id"), try row.bool("is_waiting"))
    }

    /// An idle lane begins level with the least served of its priority in its account, or of all.
    private func beginWaiting(lane laneId: Int64, _ key: LaneKey, in sql: any SQLSession) throws {
        let level =
            try sql.first(
                """
                SELECT COALESCE(MIN(CASE WHEN priority = $3 THEN tag END), MIN(tag),
                    (SELECT lane_time FROM task_accounts WHERE queue = $1 AND account_id = $2), 0) AS level
                FROM task_lanes WHERE queue = $1 AND account_id = $2 AND is_waiting AND lane_id <> $4
                """, [.text(key.queue), .uuid(key.accountId), .int(key.priority), .integer(laneId)])?.int64("level") ?? 0
        try sql.execute(
            """
            UPDATE task_lanes SET is_waiting = $2, tag = CASE WHEN is_waiting OR tag > $3 THEN tag ELSE $3 END WHERE lane_id = $1
            """, [.integer(laneId), .bool(true), .integer(level)])
    }

    /// An idle account begins level with the least served of its urgency, or of all that wait, or where the queue stands.
    private func beginWaiting(accountOf key: LaneKey, in sql: any SQLSession) throws {
        let urgency = Int64(key.priority) * TurnPlanner.priorityStep
        let level =
            try sql.first(
                """
                SELECT COALESCE(
                    (SELECT tag FROM task_accounts WHERE queue = $1 AND is_waiting AND tag - turn = $2 ORDER BY tag LIMIT 1),
                    (SELECT tag FROM task_accounts WHERE queue = $1 AND is_waiting ORDER BY tag LIMIT 1),
                    (SELECT virtual_time FROM task_queues WHERE queue = $1), 0) AS level
                """, [.text(key.queue), .integer(urgency)])?.int64("level") ?? 0
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
            """, [.text(key.queue), .uuid(key.accountId), .integer(level), .integer(urgency), .bool(true)])
    }

    /// Puts Pending tasks that waited for a time or for other tasks into their lanes.
    func makeReady(_ tasks: [ReadyTask], in sql: any SQLSession) throws {
        guard !tasks.isEmpty else { return }
        let lanes = try lanes(Set(tasks.map(\.lane)), in: sql)
        for task in tasks {
            // Its place in the order where it had one: it is older than those behind it.
            try sql.execute(
                """
                UPDATE tasks SET rank = COALESCE(rank, \(sql.dialect.nextOrder)), lane_id = $2, run_at = NULL
                WHERE task_id = $1 AND status = 'Pending'
                """, [.text(task.taskId), .integer(lanes[task.lane])])
            try advanceOrder(in: sql)
        }
        for queue in Set(tasks.map(\.lane.queue)) { sql.notify(Self.workChannel, queue) }
    }
}
