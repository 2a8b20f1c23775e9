import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// What a task's owner sees, and removes.
@Suite(.timeLimit(.minutes(3))) struct ListTests {
    /// Two completed, one failed, one cancelled, one running, one paused, three waiting; one of another account.
    private func fill(_ site: TaskSite) async throws -> [String] {
        var ids: [String] = []
        for number in 0..<5 { ids.append(try await site.enqueue(kind: "a") { $0.name = "task \(number)" }) }
        // Before the other kind is there, which would take turns with this one.
        let claimed = try await site.claim(4, account: .someone)
        for number in 5..<9 { ids.append(try await site.enqueue(kind: "b") { $0.name = "task \(number)" }) }
        try await site.enqueue(.other)
        try await site.end(Array(claimed.prefix(2)))
        try await site.fail([claimed[2]], retryable: false)
        _ = try await site.service.cancelTask(ids[4], in: .someone, by: .someone)
        _ = try await site.service.pauseTask(ids[5], in: .someone, by: .someone)
        return ids
    }

    @Test(arguments: Engine.underTest)
    func listsPagesAndTotals(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let ids = try await fill(site)
            var query = TaskListQuery()
            query.sort = .createdAt
            query.descending = false
            query.limit = 4
            var seen: [String] = []
            for offset in stride(from: 0, to: 12, by: 4) {
                query.offset = offset
                let page = try await site.service.tasks(query, in: .someone)
                #expect(page.total == 9)
                seen += page.items.map(\.taskId)
            }
            #expect(seen == ids)
            #expect(try await site.service.tasks(TaskListQuery(), in: .everybody).total == 10)
            var filtered = TaskListQuery()
            filtered.status = .pending
            #expect(try await site.service.tasks(filtered, in: .someone).total == 3)
            filtered.kind = "a"
            #expect(try await site.service.tasks(filtered, in: .someone).total == 0)
            filtered = TaskListQuery()
            filtered.accountId = .other
            #expect(try await site.service.tasks(filtered, in: .everybody).total == 1)
            #expect(try await site.service.tasks(filtered, in: .someone).total == 0)
            for sort in TaskListQuery.Sort.allCases {
                var query = TaskListQuery()
                query.sort = sort
                #expect(try await site.service.tasks(query, in: .someone).items.count == 9)
            }
            #expect(try await site.service.recentTasks(limit: 2, in: .someone).map(\.taskId) == [ids[8], ids[7]])
            await expectRefusal(.taskNotFound) { _ = try await site.service.task(ids[0], in: .other) }
        }
    }

    @Test(arguments: Engine.underTest)
    func countsItAll(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            _ = try await fill(site)
            let mine = try await site.service.statistics(in: .someone)
            #expect(mine.totalTasks == 9)
            let counts: [Int] = [
                mine.pendingTasks, mine.inProgressTasks, mine.pausedTasks, mine.completedTasks, mine.failedTasks, mine.cancelledTasks,
                mine.expiredTasks, mine.deadLetters,
            ]
            #expect(counts == [3, 1, 1, 2, 1, 1, 0, 1])
            #expect(mine.averageProgress == 22.22)
            #expect(mine.byType == ["Custom": 9])
            #expect(mine.recentActivity.count == 9)
            #expect(try await site.service.statistics(in: .everybody).totalTasks == 10)
            #expect(try await site.service.statistics(in: .account(.account(1))).averageProgress == 0)
            let queues = try await site.service.queues()
            #expect(queues.map(\.queue) == [TaskQueues.drive])
            #expect(queues.map(\.pending) == [4])
            #expect(queues.map(\.running) == [1])
        }
    }

    @Test(arguments: Engine.underTest)
    func listsWhatBecameOfEachThing(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue()
            let items = (0..<7).map { number in
                TaskItem(itemId: "file \(number)", outcome: number == 3 ? .failed : .succeeded, code: number == 3 ? "FILE_NOT_FOUND" : nil)
            }
            try await site.database.write { sql in
                try TaskItems.append(Array(items.prefix(4)), startingAt: 0, task: id, in: sql)
                // Written again after an interruption.
                try TaskItems.append(Array(items.suffix(4)), startingAt: 3, task: id, in: sql)
            }
            let page = try await site.service.items(id, offset: 2, limit: 3, in: .someone)
            #expect(page.total == 7)
            #expect(page.items == Array(items[2..<5]))
            await expectRefusal(.taskNotFound) { _ = try await site.service.items(id, offset: 0, limit: 1, in: .other) }
        }
    }

    @Test(arguments: Engine.underTest)
    func removesEndedTasksAndWhatTheyLeftBehind(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let ids = try await fill(site)
            let service = site.service
            try await site.database.write { sql in
                try TaskItems.append([TaskItem(itemId: "f", outcome: .succeeded)], startingAt: 0, task: ids[0], in: sql)
            }
            for open in [ids[3], ids[5], ids[6]] {
                let error = await expectRefusal(.taskState) { try await service.deleteTask(open, in: .someone, by: .someone) }
                #expect(error?.details["status"] != nil)
            }
            await expectRefusal(.taskNotFound) { try await service.deleteTask(ids[0], in: .other, by: .other) }
            try await service.deleteTask(ids[0], in: .someone, by: .someone)
            await expectRefusal(.taskNotFound) { _ = try await service.task(ids[0], in: .someone) }
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM task_items") == 0)
            #expect(try await service.cleanUpTasks(olderThan: .seconds(3600), in: .someone, by: .someone) == 0)
            site.clock.advance(by: .seconds(7200))
            #expect(try await service.cleanUpTasks(olderThan: .seconds(3600), in: .other, by: .other) == 0)
            #expect(try await service.cleanUpTasks(olderThan: .seconds(3600), in: .someone, by: .someone) == 3)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM task_attempts") == 0)
            #expect(try await service.tasks(TaskListQuery(), in: .someone).total == 5)
        }
    }

    /// More than one transaction's worth.
    @Test(arguments: Engine.underTest)
    func removesMany(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let engine = site.engine
            try await site.database.write { sql in
                for _ in 0..<450 { try engine.enqueue(try NewTask(type: .custom, kind: "w", name: "t", accountId: .someone), in: sql) }
            }
            try await site.end(try await site.claim(450))
            #expect(try await site.service.cleanUpTasks(olderThan: .zero, in: .everybody, by: .someone) == 450)
        }
    }
}
