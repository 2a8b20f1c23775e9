import DriveDatabase
import DriveModel
import Foundation

/// How a task list is filtered, sorted and cut.
public struct TaskListQuery: Sendable {
    public enum Sort: String, Sendable, CaseIterable {
        case name, type, status, priority, progress, createdAt, updatedAt, lastActivity

        var column: String {
            switch self {
            case .name: "name"
            case .type: "type"
            case .status: "status"
            case .priority: "priority"
            case .progress: "progress"
            case .createdAt: "created_at"
            case .updatedAt: "updated_at"
            case .lastActivity: "last_activity"
            }
        }
    }

    public var type: TaskType?
    public var kind: String?
    public var status: TaskStatus?
    public var batchId: String?
    /// For administrators: one account of all.
    public var accountId: UUID?
    /// Dead letters alone.
    public var onlyDead = false
    public var sort = Sort.lastActivity
    public var descending = true
    public var offset = 0
    public var limit = 50

    public init() {}
}

extension TaskService {
    /// Throws `TASK_NOT_FOUND`, also for another account's.
    public func task(_ taskId: String, in scope: TaskScope) async throws -> TaskSummary {
        try await database.read { sql in try TaskRow.expect(taskId, in: scope, sql: sql).summary }
    }

    /// A page of tasks. Parameters and results beyond 16 KiB are left out of a list; `task` shows them.
    public func tasks(_ query: TaskListQuery, in scope: TaskScope) async throws -> Page<TaskSummary> {
        return try await database.read { sql in try Self.page(query, in: scope, sql: sql) }
    }

    static func page(_ query: TaskListQuery, in scope: TaskScope, sql: any SQLSession) throws -> Page<TaskSummary> {
        var conditions: [String] = []
        var arguments: [SQLValue] = []
        func add(_ condition: String, _ value: SQLValue) {
            arguments.append(value)
            conditions.append("\(condition) $\(arguments.count)")
        }
        if case .account(let account) = scope { add("account_id =", .uuid(account)) }
        if let account = query.accountId { add("account_id =", .uuid(account)) }
        if let type = query.type { add("type =", .text(type.rawValue)) }
        if let kind = query.kind { add("kind =", .text(kind)) }
        if let status = query.status { add("status =", .text(status.rawValue)) }
        if let batch = query.batchId { add("batch_id =", .text(batch)) }
        if query.onlyDead { conditions.append("dead_at IS NOT NULL") }
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let total = try sql.first("SELECT COUNT(*) AS total FROM tasks \(clause)", arguments)?.int("total") ?? 0
        let count = arguments.count
        let rows = try sql.query(
            """
            SELECT \(TaskRow.columns(sql.dialect, mostShown: TaskRow.mostListed)) FROM tasks \(clause) ORDER BY \(query.sort.column) \(query.descending ? "DESC" : "ASC"), task_id
            LIMIT $\(count + 1) OFFSET $\(count + 2)
            """, arguments + [.int(query.limit), .int(query.offset)])
        return Page(items: try rows.map { try TaskRow($0).summary }, total: total)
    }

    /// Made last first.
    public func recentTasks(limit: Int, in scope: TaskScope) async throws -> [TaskSummary] {
        var query = TaskListQuery()
        query.sort = .createdAt
        query.limit = limit
        return try await tasks(query, in: scope).items
    }

    /// Attempts that did not complete, oldest first.
    public func attempts(_ taskId: String, in scope: TaskScope) async throws -> [TaskAttempt] {
        try await database.read { sql in
            _ = try TaskRow.expect(taskId, in: scope, sql: sql)
            return try sql.query("SELECT * FROM task_attempts WHERE task_id = $1 ORDER BY ended_at, id LIMIT 1000", [.text(taskId)]).map {
                row in
                TaskAttempt(
                    attempt: try row.int("attempt"), outcome: TaskAttempt.Outcome(rawValue: try row.text("outcome")) ?? .failed,
                    errorCode: try row.text("error_code"), errorMessage: try row.text("error_message"), worker: try row.text("worker"),
                    startedAt: try row.optionalTimestamp("started_at"), endedAt: try row.timestamp("ended_at"))
            }
        }
    }

    /// What became of each thing a task worked on.
    public func items(_ taskId: String, offset: Int, limit: Int, in scope: TaskScope) async throws -> Page<TaskItem> {
        try await database.read { sql in
            _ = try TaskRow.expect(taskId, in: scope, sql: sql)
            return try TaskItems.page(of: taskId, offset: offset, limit: limit, in: sql)
        }
    }

    public func statistics(in scope: TaskScope) async throws -> TaskStatistics {
        var recent = TaskListQuery()
        recent.limit = 10
        let activity = try await tasks(recent, in: scope).items
        return try await database.read { sql in
            var clause = ""
            var arguments: [SQLValue] = []
            if case .account(let account) = scope {
                clause = "WHERE account_id = $1"
                arguments = [.uuid(account)]
            }
            let rows = try sql.query(
                """
                SELECT type, status, COUNT(*) AS tasks, COALESCE(SUM(progress), 0) AS progress,
                    SUM(CASE WHEN dead_at IS NULL THEN 0 ELSE 1 END) AS dead FROM tasks \(clause) GROUP BY type, status
                """, arguments)
            var (byStatus, byType): ([TaskStatus: Int], [String: Int]) = ([:], [:])
            var (progress, dead) = (0.0, 0)
            for row in rows {
                let count = try row.int("tasks")
                if let status = TaskStatus(rawValue: try row.text("status")) { byStatus[status, default: 0] += count }
                byType[try row.text("type"), default: 0] += count
                progress += try row.double("progress")
                dead += try row.int("dead")
            }
            let total = byType.values.reduce(0, +)
            return TaskStatistics(
                totalTasks: total, pendingTasks: byStatus[.pending] ?? 0, inProgressTasks: byStatus[.inProgress] ?? 0,
                pausedTasks: byStatus[.paused] ?? 0, completedTasks: byStatus[.completed] ?? 0, failedTasks: byStatus[.failed] ?? 0,
                cancelledTasks: byStatus[.cancelled] ?? 0, expiredTasks: byStatus[.expired] ?? 0, deadLetters: dead,
                averageProgress: total == 0 ? 0 : (progress / Double(total) * 100).rounded() / 100, byType: byType, recentActivity: activity
            )
        }
    }

    /// For administrators: what waits and runs, by queue and type.
    public func queues() async throws -> [TaskQueueState] {
        try await database.read { sql in
            let rows = try sql.query(
                """
                SELECT queue, type, SUM(CASE WHEN status = 'Pending' AND rank IS NOT NULL THEN 1 ELSE 0 END) AS pending,
                    SUM(CASE WHEN status = 'Pending' AND rank IS NULL THEN 1 ELSE 0 END) AS scheduled,
                    SUM(CASE WHEN status = 'InProgress' THEN 1 ELSE 0 END) AS running
                FROM tasks WHERE status IN ('Pending', 'InProgress') AND queue IS NOT NULL GROUP BY queue, type ORDER BY queue, type
                """)
            return try rows.compactMap { row in
                guard let type = TaskType(rawValue: try row.text("type")) else { return nil }
                return TaskQueueState(
                    queue: try row.text("queue"), type: type, pending: try row.int("pending"), scheduled: try row.int("scheduled"),
                    running: try row.int("running"))
            }
        }
    }

    /// Throws `NOT_FOUND`.
    public func batch(_ batchId: String, in scope: TaskScope) async throws -> TaskBatch {
        guard let batch = try await database.read({ sql in try TaskBatches.find(batchId, in: scope, sql: sql) }) else {
            throw DriveError(.notFound, "There is no batch with this id.", details: ["rule": "batchId"])
        }
        return batch
    }

    public func batches(offset: Int, limit: Int, in scope: TaskScope) async throws -> Page<TaskBatch> {
        try await database.read { sql in try TaskBatches.page(offset: offset, limit: limit, in: scope, sql: sql) }
    }

    static let noSchedule = DriveError(.notFound, "There is no timetable with this id.", details: ["rule": "scheduleId"])

    /// Throws `NOT_FOUND`.
    public func schedule(_ scheduleId: String, in scope: TaskScope) async throws -> TaskSchedule {
        guard let schedule = try await database.read({ sql in try Self.schedule(scheduleId, in: scope, sql: sql) }) else {
            throw Self.noSchedule
        }
        return schedule
    }

    static func schedule(_ scheduleId: String, in scope: TaskScope, sql: any SQLSession) throws -> TaskSchedule? {
        switch scope {
        case .account(let account):
            try sql.first(
                "SELECT * FROM task_schedules WHERE schedule_id = $1 AND account_id = $2", [.text(scheduleId), .uuid(account)]
            ).map { try TaskEngine.schedule($0) }
        case .everybody:
            try sql.first("SELECT * FROM task_schedules WHERE schedule_id = $1", [.text(scheduleId)]).map { try TaskEngine.schedule($0) }
        }
    }

    /// The timetables, oldest first; of everybody's the first 1,000.
    public func schedules(in scope: TaskScope) async throws -> [TaskSchedule] {
        try await database.read { sql in
            switch scope {
            case .account(let account):
                try sql.query("SELECT * FROM task_schedules WHERE account_id = $1 ORDER BY created_at", [.uuid(account)])
                    .map { try TaskEngine.schedule($0) }
            case .everybody:
                try sql.query("SELECT * FROM task_schedules ORDER BY created_at LIMIT 1000").map { try TaskEngine.schedule($0) }
            }
        }
    }
}
