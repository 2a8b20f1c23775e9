import DriveModel
import EngineTestSupport
import Foundation
import Synchronization
import Testing

@testable import DriveTasks

/// How many may run at the same time, over all servers.
@Suite(.timeLimit(.minutes(3))) struct LimitTests {
    enum Limit: CaseIterable, Sendable {
        case type, account, pool

        var settings: TurnPlanner.Limits {
            switch self {
            case .type: TurnPlanner.Limits(perType: [TaskType.fileMove.rawValue: 3])
            case .account: TurnPlanner.Limits(perAccount: 3)
            case .pool: TurnPlanner.Limits(perPool: 3)
            }
        }
    }

    /// Counts what runs now, by every name it is limited by.
    private final class Census: Sendable {
        private let state = Mutex<(now: Int, most: Int)>((0, 0))
        var most: Int { state.withLock { $0.most } }

        func run(_ body: () async -> Void) async {
            state.withLock { state in
                state.now += 1
                state.most = max(state.most, state.now)
            }
            await body()
            state.withLock { $0.now -= 1 }
        }
    }

    @Test(arguments: Engine.underTest, Limit.allCases)
    func isNeverExceededOverTwoWorkers(kind: Engine, limit: Limit) async throws {
        try await TaskSite.with(kind, { $0.limits = limit.settings }) { site in
            let census = Census()
            let handler = QuickHandler(.fileMove) { task in
                await census.run { for _ in 0..<50 { await Task.yield() } }
                return [:]
            }
            site.engine.register([handler])
            let second = site.secondEngine([handler])
            let pool = UUID()
            try await site.withWorker { _ in
                try await site.withWorker(second, name: "two") { _ in
                    for number in 0..<60 {
                        try await site.enqueue(limit == .account ? .someone : .account(number % 5), .fileMove) { $0.poolId = pool }
                    }
                    try await eventually { try await site.completed() == 60 }
                }
            }
            #expect((1...3).contains(census.most), "\(census.most)")
        }
    }

    /// The handler's own policy is a limit of its type.
    @Test(arguments: Engine.underTest)
    func aHandlersPolicyHolds(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([QuickHandler(.storageMigration, policy: TaskPolicy(maximumRunning: 1))])
            for number in 0..<3 { try await site.enqueue(.account(number), .storageMigration) }
            let other = try await site.enqueue(.account(9), .bulkOperation)
            let claimed = try await site.claim(10)
            #expect(claimed.count { $0.type == .storageMigration } == 1)
            #expect(claimed.contains { $0.taskId == other })
            #expect(try await site.claim(10).isEmpty)
            try await site.end(claimed)
            #expect(try await site.claim(10).count == 1)
        }
    }

    /// Accounts whose work a limit holds back do not stand in the way of one whose work could run.
    @Test(arguments: Engine.underTest)
    func whoIsHeldBackDoesNotBlockOthers(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.limits = Limit.type.settings }) { site in
            for number in 0..<40 { try await site.enqueue(.account(number), .fileMove, priority: 5) }
            #expect(try await site.claim(10).count == 3)
            let free = try await site.enqueue(.account(99), .bulkOperation)
            #expect(try await site.claim(1).map(\.taskId) == [free])
        }
    }

    /// As soon as a limit has room, and not at the next regular look alone.
    @Test(arguments: Engine.underTest)
    func roomIsUsedAtOnce(kind: Engine) async throws {
        try await TaskSite.with(
            kind,
            {
                $0.limits = TurnPlanner.Limits(perAccount: 1)
                $0.pollInterval = .seconds(20)
            }
        ) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            let second = site.secondEngine([handler])
            try await site.withWorker { _ in
                try await site.withWorker(second, name: "two") { _ in
                    for _ in 0..<4 { try await site.enqueue() }
                    for _ in 0..<4 { try await handler.attempts.next().complete() }
                }
            }
        }
    }
}
