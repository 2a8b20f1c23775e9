import DriveDatabase
import DriveModel
import DriveTasks

/// What became of a task's items, counted from their rows.
struct ItemSummary: Sendable {
    /// Failures that stand in the results themselves; the others are among the items.
    private static let shown = 100

    var counts: [TaskItem.Outcome: Int] = [:]
    var failures: [TaskItem] = []

    subscript(_ outcome: TaskItem.Outcome) -> Int { counts[outcome] ?? 0 }
    var total: Int { counts.values.reduce(0, +) }

    static func read(of task: String, in sql: any SQLSession) throws -> ItemSummary {
        var summary = ItemSummary()
        for row in try sql.query("SELECT outcome, COUNT(*) AS items FROM task_items WHERE task_id = $1 GROUP BY outcome", [.text(task)]) {
            if let outcome = TaskItem.Outcome(rawValue: try row.text("outcome")) { summary.counts[outcome] = try row.int("items") }
        }
        summary.failures = try sql.query(
            "SELECT item_id, code, message FROM task_items WHERE task_id = $1 AND outcome = $2 ORDER BY position LIMIT $3",
            [.text(task), .text(TaskItem.Outcome.failed.rawValue), .int(shown)]
        ).map { row in
            TaskItem(
                itemId: try row.text("item_id"), outcome: .failed, code: try row.optionalText("code"),
                message: try row.optionalText("message"))
        }
        return summary
    }

    /// Removes what a run before this one, which begins anew, wrote.
    static func clear(of task: String, in sql: any SQLSession) throws {
        try sql.execute("DELETE FROM task_items WHERE task_id = $1", [.text(task)])
    }

    /// The first failures, for the results.
    var shownFailures: JSONValue {
        .array(
            failures.map { item in
                ["fileId": .string(item.itemId), "code": .string(item.code ?? ""), "message": .string(item.message ?? "")]
            })
    }

    /// Throws where nothing succeeded and something failed. The task's next run, which somebody asks for, begins anew.
    func expectSuccess(of task: any TaskContext) async throws {
        guard self[.failed] > 0, self[.succeeded] + self[.skipped] + self[.planned] == 0, let first = failures.first else { return }
        try await task.save(.null)
        throw TaskFailure(
            code: first.code ?? DriveError.Code.internalError.name,
            message: "All \(self[.failed]) items failed; the first: \(first.message ?? "")", isRetryable: false)
    }
}
