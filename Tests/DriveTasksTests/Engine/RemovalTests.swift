import DriveDatabase
import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// Ended tasks go with what they left behind, in short transactions.
@Suite(.timeLimit(.minutes(3))) struct RemovalTests {
    /// An ended task with so many item rows.
    private func ended(items: Int, _ site: TaskSite) async throws -> String {
        let taskId = try await site.enqueue()
        try await site.end(try await site.claim(1))
        try await site.database.write { sql in
            try sql.execute(
                """
                WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < $2)
                INSERT INTO task_items (task_id, position, item_id, outcome) SELECT $1, n, 'item', 'done' FROM numbers
                """, [.text(taskId), .int(items)])
        }
        return taskId
    }

    private func items(_ site: TaskSite) async throws -> Int64 {
        try await site.database.number("SELECT COUNT(*) AS value FROM task_items")
    }

    @Test(arguments: Engine.underTest)
    func itemsGoInPortions(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let most = TaskEngine.mostItemsRemoved
            let big = try await ended(items: most + 500, site)
            let small = try await ended(items: 5, site)
            site.clock.advance(by: .seconds(3600))
            let now = site.clock.now
            let remove = {
                try await site.database.write { sql in
                    try TaskEngine.removeEnded(before: now, ofServerBefore: now, limit: 100, in: sql)
                }
            }
            // What it returns says that it is to be called again.
            #expect(try await remove() > 0)
            #expect(try await items(site) == 505)
            #expect(try await site.task(big).status == .completed, "it goes with the last of its items")
            _ = try await remove()
            #expect(try await items(site) == 0)
            await expectRefusal(.taskNotFound) { _ = try await site.task(big) }
            await expectRefusal(.taskNotFound) { _ = try await site.task(small) }
        }
    }

    @Test(arguments: Engine.underTest)
    func itsOwnerRemovesAllOfIt(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await ended(items: TaskEngine.mostItemsRemoved * 2, site)
            try await site.service.deleteTask(first, in: .someone, by: .someone)
            #expect(try await items(site) == 0)
            _ = try await ended(items: TaskEngine.mostItemsRemoved * 2, site)
            _ = try await ended(items: 3, site)
            #expect(try await site.service.cleanUpTasks(olderThan: .zero, in: .someone, by: .someone) == 2)
            #expect(try await items(site) == 0)
        }
    }
}
