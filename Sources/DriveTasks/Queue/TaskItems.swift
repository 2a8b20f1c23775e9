import DriveDatabase
import DriveModel

/// What became of each thing a task worked on, one row each.
public enum TaskItems {
    /// Adds items from a position on, in the transaction of what they tell of. Written again they stay as they are.
    public static func append(_ items: [TaskItem], startingAt position: Int, task taskId: String, in sql: any SQLSession) throws {
        guard !items.isEmpty else { return }
        var rows = SQLRows()
        for (index, item) in items.enumerated() {
            rows.append { row in
                row.add("position", Int64(position + index))
                row.add("item_id", item.itemId)
                row.add("outcome", item.outcome.rawValue)
                if let code = item.code { row.add("code", code) }
                if let message = item.message { row.add("message", message) }
            }
        }
        let table = sql.dialect.rows("$1", ["position": .bigint, "item_id": .text, "outcome": .text, "code": .text, "message": .text])
        try sql.execute(
            """
            INSERT INTO task_items (task_id, position, item_id, outcome, code, message)
            SELECT $2, x.position, x.item_id, x.outcome, x.code, x.message FROM \(table) WHERE 1 = 1
            ON CONFLICT (task_id, position) DO NOTHING
            """, [rows.value, .text(taskId)])
    }

    static func page(of taskId: String, offset: Int, limit: Int, in sql: any SQLSession) throws -> Page<TaskItem> {
        let total = try sql.first("SELECT COUNT(*) AS total FROM task_items WHERE task_id = $1", [.text(taskId)])?.int("total") ?? 0
        let rows = try sql.query(
            "SELECT * FROM task_items WHERE task_id = $1 ORDER BY position LIMIT $2 OFFSET $3", [.text(taskId), .int(limit), .int(offset)])
        let items = try rows.map { row in
            TaskItem(
                itemId: try row.text("item_id"), outcome: TaskItem.Outcome(rawValue: try row.text("outcome")) ?? .failed,
                code: try row.optionalText("code"), message: try row.optionalText("message"))
        }
        return Page(items: items, total: total)
    }
}
