import DriveModel
import Foundation
import Synchronization
import TestSupport
import Testing

/// Kills the server with -9 at named points and random moments, and holds it to what it acknowledged.
///
/// `DRIVE_CRASH_KILLS` (30) says how often, `DRIVE_CRASH_SEED` where the seeds begin; `make crash` kills 1,000 times. Where neither is set
/// the seeds are the same each time; where it is said how often alone, they begin anywhere.
/// Every fifth kill is over PostgreSQL, where there is one (`scripts/with-postgres`).
@Suite struct CrashTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// As many servers at once as processors can serve.
    private static let width = 2
    /// And as many again as only wait for a dead server's lease to end, most of their time.
    private static let waiting = Slots(4)

    @Test func nothingAcknowledgedIsLost() async throws {
        let asked = Self.number("DRIVE_CRASH_KILLS")
        let kills = asked ?? 30
        // A multiple of the cycle: all named points are among the first seeds.
        let first = Self.number("DRIVE_CRASH_SEED") ?? (asked == nil ? 0 : UInt64.random(in: 0..<1 << 40) * 20)
        print("crash: \(kills) kills from DRIVE_CRASH_SEED=\(first)")
        let plans = (first..<first + kills).map { CrashPlan(seed: $0, withPostgres: PostgresSchema.server != nil) }

        var templates: [CrashPlan.Database: CrashTemplate] = [:]
        do {
            for database in Set(plans.map(\.database)) {
                let withTasks = plans.contains { $0.database == database && $0.hasTasks }
                templates[database] = try await CrashTemplate.make(for: database, withTasks: withTasks)
            }
            await run(plans, templates)
        } catch {
            Issue.record(error)
        }
        for template in templates.values { await template.remove() }
    }

    private func run(_ plans: [CrashPlan], _ templates: [CrashPlan.Database: CrashTemplate]) async {
        let tally = Tally(plans)
        await withTaskGroup(of: Void.self) { group in
            for waits in Array(repeating: false, count: Self.width) + Array(repeating: true, count: 4) {
                group.addTask {
                    while let plan = tally.next(waiting: waits) {
                        guard let template = templates[plan.database] else { return }
                        let outcome = await Self.outcome(of: plan, template: template)
                        for failure in outcome.failures { Issue.record("\(plan): \(failure)\n\(plan.replay)") }
                        tally.add(outcome, of: plan)
                    }
                }
            }
        }
        #expect(tally.missed == [], "points that were never passed so often")
        for (database, seen) in tally.seen {
            print(
                """
                crash: over \(database.rawValue) \(seen.kills) kills, \(seen.files) files read back, \(seen.resumed) uploads resumed \
                with \(seen.chunks) acknowledged chunks, \(seen.streams) streams with \(seen.keptBytes) kept bytes, \
                \(seen.tasks) tasks, \(seen.openTasks) of them open, with \(seen.effects) effects
                """)
            #expect(seen.kills == plans.count { $0.database == database })
            // The suite itself can fail: it did see acknowledgements and resumed uploads.
            if seen.kills >= 20 {
                #expect(seen.files > 0)
                #expect(seen.resumed > 0)
                #expect(seen.chunks > 0)
                #expect(seen.streams > 0)
                #expect(seen.keptBytes > 0)
                #expect(seen.tasks > 0)
                #expect(seen.openTasks > 0)
                #expect(seen.effects > 0)
            }
        }
    }

    /// What is left to do, and what was seen.
    private final class Tally: Sendable {
        struct Seen {
            var kills = 0
            var chunks = 0
            var files = 0
            var resumed = 0
            var streams = 0
            var keptBytes = 0
            var tasks = 0
            var openTasks = 0
            var effects = 0
        }

        private struct State {
            var plans: [CrashPlan]
            var seen: [CrashPlan.Database: Seen] = [:]
            var missed: [String] = []
        }

        private let state: Mutex<State>

        init(_ plans: [CrashPlan]) { state = Mutex(State(plans: plans)) }

        var seen: [CrashPlan.Database: Seen] { state.withLock { $0.seen } }
        /// Plans by whose fault no server died.
        var missed: [String] { state.withLock { $0.missed } }

        func next(waiting: Bool) -> CrashPlan? {
            state.withLock { state in
                let next = state.plans.firstIndex { $0.waitsForLease == waiting }
                return next.map { state.plans.remove(at: $0) }
            }
        }

        func add(_ outcome: CrashRun.Outcome, of plan: CrashPlan) {
            state.withLock { state in
                state.seen[plan.database, default: Seen()].kills += 1
                state.seen[plan.database, default: Seen()].chunks += outcome.acknowledgedChunks
                state.seen[plan.database, default: Seen()].files += outcome.files
                state.seen[plan.database, default: Seen()].resumed += outcome.resumed
                state.seen[plan.database, default: Seen()].streams += outcome.streams
                state.seen[plan.database, default: Seen()].keptBytes += outcome.keptBytes
                state.seen[plan.database, default: Seen()].tasks += outcome.tasks
                state.seen[plan.database, default: Seen()].openTasks += outcome.openTasks
                state.seen[plan.database, default: Seen()].effects += outcome.effects
                if case .point = plan.death, !outcome.diedAsPlanned { state.missed.append("\(plan)\n\(plan.replay)") }
            }
        }
    }

    private static func outcome(of plan: CrashPlan, template: CrashTemplate) async -> CrashRun.Outcome {
        await (plan.waitsForLease ? waiting : Slots.servers).with {
            do {
                return try await template.withCopy(for: plan.seed) { data in
                    await CrashRun(plan: plan, tasks: plan.hasTasks ? template.tasks : nil).run(in: data, token: template.token)
                }
            } catch {
                return CrashRun.Outcome(failures: ["\(error)"])
            }
        }
    }

    /// What a restarted server may say of an upload follows from what was answered and sent.
    @Test(
        arguments: [
            // acknowledged, sent, checksummed, complete, allowed
            (10, 10, nil, false, [10]), (10, 13, nil, false, [10, 11, 12, 13]), (10, 20, 10..<20, false, [10, 20]),
            (10, 15, 10..<20, false, [10]), (0, 0, nil, false, [0]), (20, 20, nil, true, [20]), (0, 0, nil, true, [20]),
            // Told while it streams.
            (12, 15, nil, false, [12, 13, 14, 15]),
        ] as [(Int, Int, Range<Int>?, Bool, [Int])])
    func offsetsThatMayFollow(_ acknowledged: Int, _ sent: Int, _ whole: Range<Int>?, _ isCompleted: Bool, _ allowed: [Int]) {
        var stream = CrashStream(.tus, name: "a", bytes: [UInt8](repeating: 0, count: 20))
        (stream.acknowledged, stream.sent, stream.isCompleted) = (acknowledged, sent, isCompleted)
        stream.checksummed = whole
        #expect((0...25).filter { stream.allows($0) } == allowed)
    }

    @Test func consecutiveSeedsMeetEveryPoint() {
        let met = (UInt64(0)..<20).compactMap { offset -> String? in
            guard case .point(let name, _) = CrashPlan(seed: 1_000_000 + offset, withPostgres: false).death else { return nil }
            return name
        }
        #expect(Set(met) == Set(CrashPlan.points))
    }

    /// Every fifth cycle has a kill that comes after a client was told how much is kept; and copies are met as often as they are counted.
    @Test func consecutiveSeedsKillSlowClientsAndCopies() {
        for first in [0, 1_000_000] as [UInt64] {
            let plans = (first..<first + 100).map { CrashPlan(seed: $0, withPostgres: false) }
            #expect(plans.count(where: \.isSlow) == 1)
            for plan in plans where plan.isSlow {
                guard case .moment(let milliseconds) = plan.death else {
                    Issue.record("\(plan)")
                    continue
                }
                #expect(milliseconds > 2000)
            }
            #expect(plans.count(where: \.concatenatesOnly) == 5)
        }
    }

    /// Half of the runs write around the page cache, and two cycles meet every death with both ways of writing.
    @Test func consecutiveSeedsWriteBothWays() {
        for first in [0, 20, 1_000_000, 1_000_017] as [UInt64] {
            let plans = (first..<first + 20).map { CrashPlan(seed: $0, withPostgres: false) }
            #expect((8...12).contains(plans.filter(\.isDirect).count))
            for plan in plans { #expect(CrashPlan(seed: plan.seed + 20, withPostgres: false).isDirect == !plan.isDirect) }
        }
        // A whole chunk is one piece, and goes around the cache from 256 KiB on.
        for plan in (0..<20 as Range<UInt64>).map({ CrashPlan(seed: $0, withPostgres: false) }) where plan.isDirect {
            #expect(plan.chunkSize >= 256 << 10)
            #expect(plan.settings == ["STORAGE_DIRECT_IO_FROM": "0"])
        }
    }

    /// A third of the runs has tasks, and three cycles meet every death with them.
    @Test func consecutiveSeedsHaveTasks() {
        for first in [0, 20, 1_000_000] as [UInt64] {
            let plans = (first..<first + 60).map { CrashPlan(seed: $0, withPostgres: false) }
            #expect(plans.prefix(30).count(where: \.hasTasks) == 10)
            #expect(Set(plans.filter(\.hasTasks).map { $0.seed % 20 }).count == 20)
        }
    }

    /// What a task may look like after it was told of.
    @Test(
        arguments: [
            (.completed, nil, nil, [.completed]), (.failed, nil, nil, [.failed]), (.cancelled, nil, nil, [.cancelled]),
            (.cancelled, nil, "retry", TaskStatus.allCases), (.paused, nil, nil, [.paused]),
            (.paused, nil, "cancel", [.paused, .cancelled]),
            (.paused, nil, "resume", TaskStatus.allCases), (.inProgress, .pause, nil, [.inProgress, .paused, .completed, .cancelled]),
            (.inProgress, nil, nil, TaskStatus.allCases), (.pending, nil, nil, TaskStatus.allCases),
        ] as [(TaskStatus, TaskRequest?, String?, [TaskStatus])])
    func statusesThatMayFollow(_ told: TaskStatus, _ requested: TaskRequest?, _ asked: String?, _ allowed: [TaskStatus]) throws {
        func task(_ status: TaskStatus, progress: Double = 50, results: [String: JSONValue] = [:]) throws -> TaskSummary {
            let time = try #require(Timestamp("2025-11-09T00:00:00Z"))
            return TaskSummary(
                id: UUID(), taskId: "a", type: .custom, kind: "a", name: "a", description: nil, status: status, requested: nil,
                accountId: UUID(), priority: 0, progress: progress, statusMessage: nil, parameters: [:], results: results, errorCode: nil,
                errorMessage: nil, attempt: 1, maxAttempts: 5, estimatedDurationSeconds: nil, runAt: nil, waitsFor: 0, batchId: nil,
                uniqueKey: nil, parentTaskId: nil, createdAt: time, updatedAt: time, lastActivity: time, startedAt: nil, completedAt: nil,
                deadAt: nil)
        }
        var known = CrashTasksLedger.Known(told: try task(told))
        known.told.requested = requested
        known.asked = asked
        #expect(try TaskStatus.allCases.filter { known.problem(with: try task($0)) == nil } == TaskStatus.allCases.filter(allowed.contains))
        #expect(known.problem(with: try task(told, progress: 49)) != nil)
        if told == .completed { #expect(known.problem(with: try task(told, results: ["a": 1])) != nil) }
    }

    /// In half of the runs most clients send streams, and four cycles meet every death with both, in both ways of writing.
    @Test func consecutiveSeedsSendChunksAndStreams() {
        for first in [0, 1_000_000] as [UInt64] {
            let plans = (first..<first + 80).map { CrashPlan(seed: $0, withPostgres: false) }
            #expect((36...44).contains(plans.count(where: \.isStreaming)))
            #expect(Set(plans.map { "\($0.seed % 20) \($0.isStreaming) \($0.isDirect)" }).count == 20 * 2 * 2)
        }
    }

    /// A fifth of the kills is PostgreSQL's; ten cycles meet every place of a cycle over both databases with both ways of writing.
    @Test func consecutiveSeedsMeetBothDatabases() {
        for first in [0, 20, 1_000_000, 1_000_060] as [UInt64] {
            let ordinary = (first..<first + 30).map { CrashPlan(seed: $0, withPostgres: true) }
            #expect(ordinary.count { $0.database == .postgresql } == 6)
            let places = (first..<first + 200).map { seed in
                let plan = CrashPlan(seed: seed, withPostgres: true)
                return "\(seed % 20) \(plan.database) \(plan.isDirect)"
            }
            #expect(Set(places).count == 20 * 2 * 2)
            // The same death either way; without a PostgreSQL it is SQLite's.
            for plan in ordinary {
                let alone = CrashPlan(seed: plan.seed, withPostgres: false)
                #expect((alone.death, alone.isDirect, alone.database) == (plan.death, plan.isDirect, .sqlite))
            }
        }
    }
}
