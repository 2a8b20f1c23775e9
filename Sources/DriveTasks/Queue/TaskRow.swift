import DriveDatabase
import DriveModel
import Foundation

/// A row of `tasks`, with the engine's columns beside what the API shows.
struct TaskRow: Sendable {
    var summary: TaskSummary
    var queue: String?
    var laneId: Int64?
    var fencingToken: Int64
    var leaseOwner: String?
    /// JSON text.
    var checkpoint: String?
    var checkpointAttempt: Int
    var attemptStartedAt: Timestamp?
    var hasDependents: Bool
    var poolId: UUID?
    var size: Int64?
    var sentProgress: Double
    var sentAt: Timestamp?

    var taskId: String { summary.taskId }
    var state: TaskState { TaskState(summary.status, requested: summary.requested) }

    init(_ row: SQLRow) throws {
        guard let type = TaskType(rawValue: try row.text("type")), let status = TaskStatus(rawValue: try row.text("status")) else {
            throw DatabaseError(.unexpectedResult, "tasks holds an unknown type or status")
        }
        summary = TaskSummary(
            id: try row.uuid("id"), taskId: try row.text("task_id"), type: type, kind: try row.optionalText("kind"),
            name: try row.text("name"), description: try row.optionalText("description"), status: status,
            requested: try row.optionalText("requested").flatMap(TaskRequest.init(rawValue:)), accountId: try row.uuid("account_id"),
            priority: try row.int("priority"), progress: try row.double("progress"), statusMessage: try row.optionalText("status_message"),
            parameters: try row.object("parameters"), results: try row.object("results"),
            errorCode: try row.optionalText("error_code"), errorMessage: try row.optionalText("error_message"),
            attempt: try row.int("attempt"), maxAttempts: try row.int("max_attempts"),
            estimatedDurationSeconds: try row.optionalInt64("estimated_duration_seconds"), runAt: try row.optionalTimestamp("run_at"),
            expiresAt: try row.optionalTimestamp("expires_at"),
            waitsFor: try row.int("waits_for"), batchId: try row.optionalText("batch_id"), uniqueKey: try row.optionalText("unique_key"),
            parentTaskId: try row.optionalText("parent_task_id"), createdAt: try row.timestamp("created_at"),
            updatedAt: try row.timestamp("updated_at"), lastActivity: try row.timestamp("last_activity"),
            startedAt: try row.optionalTimestamp("started_at"), completedAt: try row.optionalTimestamp("completed_at"),
            deadAt: try row.optionalTimestamp("dead_at"))
        queue = try row.optionalText("queue")
        laneId = try row.optionalInt64("lane_id")
        fencingToken = try row.int64("fencing_token")
        leaseOwner = try row.optionalText("lease_owner")
        checkpoint = try row.optionalText("checkpoint")
        checkpointAttempt = try row.int("checkpoint_attempt")
        attemptStartedAt = try row.optionalTimestamp("attempt_started_at")
        hasDependents = try row.bool("has_dependents")
        poolId = try row.optionalUUID("pool_id")
        size = try row.optionalInt64("size")
        sentProgress = try row.double("sent_progress")
        sentAt = try row.optionalTimestamp("sent_at")
    }

    /// The columns that `init` reads, without parameters and results beyond `mostShown` bytes: for where many rows are read.
    static func columns(_ dialect: SQLDialect, mostShown: Int = 0) -> String {
        let size = dialect == .postgresql ? "pg_column_size" : "length"
        let empty = dialect == .postgresql ? "'{}'::jsonb" : "'{}'"
        return """
            id, task_id, name, description, type, kind, status, requested, account_id, priority, progress, status_message,
            CASE WHEN \(size)(parameters) > \(mostShown) THEN \(empty) ELSE parameters END AS parameters,
            CASE WHEN \(size)(results) > \(mostShown) THEN \(empty) ELSE results END AS results,
            error_code, error_message, attempt, max_attempts, estimated_duration_seconds, run_at, expires_at, waits_for, batch_id, unique_key,
            parent_task_id, created_at, updated_at, last_activity, started_at, completed_at, dead_at, queue, lane_id, fencing_token,
            lease_owner, checkpoint, checkpoint_attempt, attempt_started_at, has_dependents, pool_id, size, sent_progress, sent_at
            """
    }

    /// Bytes of parameters and of results that a list shows of each task; one task alone is shown whole.
    static let mostListed = 16_384

    /// One task; nil where there is none, or it is another account's.
    static func find(_ taskId: String, in scope: TaskScope, locking: Bool = false, sql: any SQLSession) throws -> TaskRow? {
        // PostgreSQL takes no NUL in a text, and no id has one.
        guard !taskId.utf8.contains(0) else { return nil }
        let lock = locking ? sql.dialect.forUpdate : ""
        switch scope {
        case .account(let account):
            return try sql.first("SELECT * FROM tasks WHERE task_id = $1 AND account_id = $2\(lock)", [.text(taskId), .uuid(account)])
                .map(TaskRow.init)
        case .everybody:
            return try sql.first("SELECT * FROM tasks WHERE task_id = $1\(lock)", [.text(taskId)]).map(TaskRow.init)
        }
    }

    /// As `find`; throws `TASK_NOT_FOUND`.
    static func expect(_ taskId: String, in scope: TaskScope, locking: Bool = false, sql: any SQLSession) throws -> TaskRow {
        guard let row = try find(taskId, in: scope, locking: locking, sql: sql) else { throw notFound(taskId) }
        return row
    }

    static func notFound(_ taskId: String) -> DriveError {
        // A client wrote it.
        let name = String(taskId.prefix(64))
        return DriveError(.taskNotFound, "There is no task with the id \(name).", details: ["rule": "taskId", "taskId": .string(name)])
    }
}

extension SQLRow {
    /// A stored JSON object; the common empty one costs nothing.
    func object(_ column: String) throws -> [String: JSONValue] {
        let text = try text(column)
        return text == "{}" ? [:] : try DriveJSON.value(from: text)
    }
}

/// What a worker needs of a task it claimed.
struct ClaimedTask: Sendable {
    var taskId: String
    var accountId: UUID
    var type: TaskType
    var kind: String?
    var name: String
    /// JSON text.
    var parameters: String
    var checkpoint: String?
    var progress: Double
    var attempt: Int
    var fencingToken: Int64
    var laneId: Int64
    var sentProgress: Double
    var sentAt: Timestamp?

    static let columns = """
        tasks.task_id, tasks.account_id, tasks.type, tasks.kind, tasks.name, tasks.parameters, tasks.checkpoint, tasks.progress, \
        tasks.attempt, tasks.fencing_token, tasks.lane_id, tasks.sent_progress, tasks.sent_at
        """

    init(_ row: SQLRow) throws {
        guard let type = TaskType(rawValue: try row.text("type")) else {
            throw DatabaseError(.unexpectedResult, "tasks holds an unknown type")
        }
        taskId = try row.text("task_id")
        accountId = try row.uuid("account_id")
        self.type = type
        kind = try row.optionalText("kind")
        name = try row.text("name")
        parameters = try row.text("parameters")
        checkpoint = try row.optionalText("checkpoint")
        progress = try row.double("progress")
        attempt = try row.int("attempt")
        fencingToken = try row.int64("fencing_token")
        laneId = try row.int64("lane_id")
        sentProgress = try row.double("sent_progress")
        sentAt = try row.optionalTimestamp("sent_at")
    }
}
