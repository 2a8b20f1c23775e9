import DriveDatabase
import DriveModel
import Foundation

extension TaskService {
    /// The open tasks, running ones first, of each of these the latest: what a client shows that sees them for the first time.
    ///
    /// - Parameter ids: of these alone; nil: of all.
    public func openTasks(_ ids: Set<String>? = nil, limit: Int, in scope: TaskScope) async throws -> Page<TaskSummary> {
        try await database.read { sql in
            var condition = "status IN ('Pending', 'InProgress', 'Paused')"
            var arguments: [SQLValue] = []
            if case .account(let account) = scope {
                condition += " AND account_id = $1"
                arguments.append(.uuid(account))
            }
            if let ids {
                arguments.append(sql.dialect.list(ids.sorted()))
                condition += " AND task_id \(sql.dialect.isAny("$\(arguments.count)"))"
            }
            let total = try sql.first("SELECT COUNT(*) AS total FROM tasks WHERE \(condition)", arguments)?.int("total") ?? 0
            let rows = try sql.query(
                """
                SELECT \(TaskRow.columns(sql.dialect, mostShown: TaskRow.mostListed)) FROM tasks WHERE \(condition)
                ORDER BY CASE status WHEN 'InProgress' THEN 0 WHEN 'Pending' THEN 1 ELSE 2 END, last_activity DESC, task_id
                LIMIT $\(arguments.count + 1)
                """, arguments + [.int(limit)])
            return Page(items: try rows.map { try TaskRow($0).summary }, total: total)
        }
    }

    /// Throws `TASK_NOT_FOUND` where one of these is not there, or another account's.
    public func expectTasks(_ ids: Set<String>, in scope: TaskScope) async throws {
        try await database.read { sql in
            for id in ids.sorted() { _ = try TaskRow.expect(id, in: scope, sql: sql) }
        }
    }
}
