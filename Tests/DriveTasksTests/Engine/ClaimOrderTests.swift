import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import TestSupport
import Testing

@testable import DriveTasks

/// Whose turn it is.
@Suite(.timeLimit(.minutes(3))) struct ClaimOrderTests {
    /// Enqueues in one transaction, in this order.
    private func fill(_ site: TaskSite, _ tasks: [(account: UUID, priority: Int)]) async throws {
        let engine = site.engine
        try await site.database.write { sql in
            for task in tasks {
                try engine.enqueue(
                    try NewTask(type: .custom, kind: "work", name: "task", accountId: task.account, priority: task.priority), in: sql)
            }
        }
    }

    /// Claims and ends tasks until `count` have started; in the order of their starts.
    private func starts(_ site: TaskSite, _ count: Int, at once: Int) async throws -> [ClaimedTask] {
        var all: [ClaimedTask] = []
        while all.count < count {
            let claimed = try await site.claim(min(once, count - all.count))
            guard !claimed.isEmpty else { return all }
            try await site.end(claimed)
            all += claimed
        }
        return all
    }

    @Test(arguments: Engine.underTest)
    func higherPriorityFirstThenOlder(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            var ids: [String] = []
            for priority in [0, 50, 0, 100, 50] { ids.append(try await site.enqueue(priority: priority)) }
            let claimed = try await site.claim(5).map(\.taskId)
            #expect(claimed == [3, 1, 4, 0, 2].map { ids[$0] })
        }
    }

    /// Four accounts with work of equal priority; also where one of them put all of its own in before the others came.
    @Test(arguments: Engine.underTest, [false, true])
    func accountsOfEqualPriorityShareEqually(kind: Engine, firstFillsTheQueue: Bool) async throws {
        try await TaskSite.with(kind) { site in
            let accounts = (1...4).map { UUID.account($0) }
            var tasks: [(UUID, Int)] = []
            if firstFillsTheQueue {
                for account in accounts { tasks += (0..<(account == accounts[0] ? 600 : 300)).map { _ in (account, 10) } }
            } else {
                for _ in 0..<300 { tasks += accounts.map { ($0, 10) } }
            }
            try await fill(site, tasks)
            var generator = SeededGenerator(seed: 4)
            var counts: [UUID: Int] = [:]
            var started = 0
            while started < 1000 {
                let claimed = try await site.claim(Int.random(in: 1...32, using: &generator))
                try await site.end(claimed)
                for task in claimed.prefix(1000 - started) { counts[task.accountId, default: 0] += 1 }
                started += claimed.count
            }
            for account in accounts { #expect((225...275).contains(counts[account] ?? 0), "\(counts)") }
        }
    }

    /// Who comes later gets no credit for the time it had nothing to do.
    @Test(arguments: Engine.underTest)
    func whoComesLaterSharesFromThenOn(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            try await fill(site, (0..<300).map { _ in (.account(1), 0) })
            _ = try await starts(site, 100, at: 8)
            try await fill(site, (0..<100).map { _ in (.account(2), 0) })
            let next = try await starts(site, 100, at: 8)
            let share = next.count { $0.accountId == .account(2) }
            #expect((45...55).contains(share), "\(share)")
        }
    }

    /// Every tenth start goes to who was served least: that is the bound, whichever account the flood is of.
    @Test(arguments: Engine.underTest, [UUID.account(1), .account(2)])
    func aFloodOfTheHighestPriorityDoesNotStarveTheLowest(kind: Engine, flooding: UUID) async throws {
        try await TaskSite.with(kind) { site in
            try await fill(site, (0..<50).map { _ in (flooding, 100) })
            _ = try await starts(site, 25, at: 1)
            try await fill(site, [(.account(1), 0)])
            let low = try await site.service.tasks(TaskListQuery(), in: .account(.account(1))).items.first { $0.priority == 0 }
            var started = 0
            while try await site.task(try #require(low).taskId).status == .pending, started < 40 {
                try await fill(site, [(flooding, 100), (flooding, 100)])
                _ = try await starts(site, 1, at: 1)
                started += 1
            }
            #expect(started <= Int(TurnPlanner.fairShare), "\(started) starts")
        }
    }

    @Test(arguments: Engine.underTest)
    func twoClaimersNeverGetTheSame(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            try await fill(site, (0..<300).map { (.account($0 % 3), $0 % 2) })
            let claimed = try await withThrowingTaskGroup(of: [ClaimedTask].self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        var mine: [ClaimedTask] = []
                        while true {
                            let more = try await site.claim(7, worker: "w\(worker)")
                            if more.isEmpty { return mine }
                            mine += more
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(claimed.count == 300)
            #expect(Set(claimed.map(\.taskId)).count == 300)
        }
    }

    /// While others enqueue, no task is left behind in a lane that was taken for empty.
    @Test(arguments: Engine.underTest)
    func nothingIsLeftBehindWhereQueuesRunEmptyAllTheTime(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for producer in 0..<4 {
                    group.addTask { for _ in 0..<50 { try await site.enqueue(.account(producer % 2), priority: producer % 2) } }
                }
                for worker in 0..<2 {
                    group.addTask {
                        var done = 0
                        while done < 300, try await site.completed() < 200 {
                            let claimed = try await site.claim(3, worker: "w\(worker)")
                            try await site.end(claimed)
                            done += claimed.count
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await site.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aWaitingTasksPriorityCanBeChanged(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            var ids: [String] = []
            for _ in 0..<3 { ids.append(try await site.enqueue(priority: 50)) }
            let service = site.service
            #expect(try await service.setPriority(100, of: ids[2], in: .someone, by: .someone).priority == 100)
            _ = try await service.setPriority(0, of: ids[0], in: .someone, by: .someone)
            _ = try await service.pauseTask(ids[1], in: .someone, by: .someone)
            _ = try await service.setPriority(10, of: ids[1], in: .someone, by: .someone)
            _ = try await service.resumeTask(ids[1], in: .someone, by: .someone)
            #expect(try await site.findings() == [])
            let claimed = try await site.claim(3)
            #expect(claimed.map(\.taskId) == [ids[2], ids[1], ids[0]])
            _ = try await service.setPriority(70, of: ids[0], in: .someone, by: .someone)
            #expect(try await site.findings() == [])
            try await site.end(claimed)
            await expectRefusal(.taskState) { _ = try await service.setPriority(1, of: ids[0], in: .someone, by: .someone) }
            await expectRefusal(.invalidRequest) { _ = try await service.setPriority(101, of: ids[0], in: .someone, by: .someone) }
        }
    }
}
