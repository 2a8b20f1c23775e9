import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// How many of a batch's tasks ended in a transaction.
struct BatchChange: Hashable, Sendable {
    var completed: Int64 = 0
    var failed: Int64 = 0
    var cancelled: Int64 = 0

    mutating func add(_ status: TaskStatus) {
        switch status {
        case .completed: completed += 1
        case .failed, .expired: failed += 1
        case .cancelled: cancelled += 1
        case .pending, .inProgress, .paused: break
        }
    }
}

/// Groups of tasks with joint counts.
enum TaskBatches {
    static func insert(_ batchId: String, name: String, total: Int, account: UUID, now: Timestamp, in sql: any SQLSession) throws {
        try sql.execute(
            "INSERT INTO task_batches (batch_id, account_id, name, total, created_at) VALUES ($1, $2, $3, $4, $5)",
            [.text(batchId), .uuid(account), .text(name), .int(total), .timestamp(now)])
    }

    /// Counts ended tasks; returns the batch's one event where they were the last.
    static func apply(_ change: BatchChange, to batchId: String, now: Timestamp, in sql: any SQLSession) throws -> OutboxEvent? {
        let row = try sql.first(
            """
            UPDATE task_batches SET completed = completed + $2, failed = failed + $3, cancelled = cancelled + $4,
                completed_at = CASE WHEN completed + failed + cancelled + $2 + $3 + $4 >= total AND completed_at IS NULL THEN $5
                    ELSE completed_at END
            WHERE batch_id = $1 RETURNING *
            """,
            [.text(batchId), .integer(change.completed), .integer(change.failed), .integer(change.cancelled), .timestamp(now)])
        guard let row, try row.optionalTimestamp("completed_at") == now else { return nil }
        var data = JSONObjectWriter()
        data.add("batchId", batchId)
        data.add("name", try row.text("name"))
        data.add("totalTasks", try row.int64("total"))
        data.add("completedTasks", try row.int64("completed"))
        data.add("failedTasks", try row.int64("failed"))
        data.add("cancelledTasks", try row.int64("cancelled"))
        data.add("completedAt", "\(now)")
        return OutboxEvent(account: try row.uuid("account_id"), type: "batch.completed", taskId: nil, data: data.text)
    }

    /// A task of an ended batch is tried again: the batch is open once more.
    static func reopen(_ batchId: String, status: TaskStatus, in sql: any SQLSession) throws {
        let column = status == .cancelled ? "cancelled" : "failed"
        try sql.execute(
            "UPDATE task_batches SET \(column) = \(column) - 1, completed_at = NULL WHERE batch_id = $1", [.text(batchId)])
    }

    static func find(_ batchId: String, in scope: TaskScope, sql: any SQLSession) throws -> TaskBatch? {
        let row: SQLRow?
        switch scope {
        case .account(let account):
            row = try sql.first("SELECT * FROM task_batches WHERE batch_id = $1 AND account_id = $2", [.text(batchId), .uuid(account)])
        case .everybody: row = try sql.first("SELECT * FROM task_batches WHERE batch_id = $1", [.text(batchId)])
        }
        return try row.map { try batch($0, sql: sql) }
    }

    static func page(offset: Int, limit: Int, in scope: TaskScope, sql: any SQLSession) throws -> Page<TaskBatch> {
        var condition = ""
        var arguments: [SQLValue] = []
        if case .account(let account) = scope {
            condition = "WHERE account_id = $1"
            arguments = [.uuid(account)]
        }
        let count = arguments.count
        let total = try sql.first("SELECT COUNT(*) AS total FROM task_batches \(condition)", arguments)?.int("total") ?? 0
        let rows = try sql.query(
            "SELECT * FROM task_batches \(condition) ORDER BY created_at DESC, batch_id LIMIT $\(count + 1) OFFSET $\(count + 2)",
            arguments + [.int(limit), .int(offset)])
        return Page(items: try rows.map { try batch($0, sql: sql) }, total: total)
    }

    private static func batch(_ row: SQLRow, sql: any SQLSession) throws -> TaskBatch {
        let batchId = try row.text("batch_id")
        let total = try row.int("total")
        let (completed, failed, cancelled) = (try row.int("completed"), try row.int("failed"), try row.int("cancelled"))
        // Ended tasks may have been removed from the lists meanwhile, so they are counted, not read.
        let open = try sql.first(
            "SELECT COALESCE(SUM(progress), 0) AS progress FROM tasks WHERE batch_id = $1 AND status IN ('Pending', 'InProgress', 'Paused')",
            [.text(batchId)])
        let sum = try (open?.double("progress") ?? 0) + Double(completed + failed + cancelled) * 100
        return TaskBatch(
            batchId: batchId, name: try row.text("name"), accountId: try row.uuid("account_id"), totalTasks: total,
            completedTasks: completed, failedTasks: failed, cancelledTasks: cancelled,
            progress: total == 0 ? 100 : (min(100, sum / Double(total)) * 100).rounded() / 100, createdAt: try row.timestamp("created_at"),
            completedAt: try row.optionalTimestamp("completed_at"))
    }
}
