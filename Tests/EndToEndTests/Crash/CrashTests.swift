import Foundation
import Synchronization
import Testing

/// Kills the server with -9 at named points and random moments, and holds it to what it acknowledged.
///
/// `DRIVE_CRASH_KILLS` (30) says how often, `DRIVE_CRASH_SEED` where the seeds begin; `make crash` kills 1,000 times.
@Suite struct CrashTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// As many servers at once as processors can serve.
    private static let width = 2

    @Test func nothingAcknowledgedIsLost() async throws {
        let kills = Self.number("DRIVE_CRASH_KILLS") ?? 30
        // A multiple of the cycle: all named points are among the first seeds.
        let first = Self.number("DRIVE_CRASH_SEED") ?? UInt64.random(in: 0..<1 << 40) * 20
        print("crash: \(kills) kills from DRIVE_CRASH_SEED=\(first)")

        // Accounts and keys are made once and copied for every run.
        let template = try DataFolder.make("crash-template")
        defer { template.remove() }
        let token = try await template.token(account: "crash")

        let tally = Tally(seeds: first..<first + kills)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.width {
                group.addTask {
                    while let seed = tally.next() {
                        let plan = CrashPlan(seed: seed)
                        let outcome = await Self.outcome(of: plan, template: template, token: token)
                        for failure in outcome.failures { Issue.record("\(plan): \(failure)\n\(plan.replay)") }
                        tally.add(outcome, of: plan)
                    }
                }
            }
        }
        let seen = tally.total
        #expect(seen.missed.isEmpty, "points that were never passed so often")
        print("crash: \(seen.files) files read back, \(seen.resumed) uploads resumed with \(seen.chunks) acknowledged chunks")
        // The suite itself can fail: it did see acknowledgements and resumed uploads.
        if kills >= 30 {
            #expect(seen.files > 0)
            #expect(seen.resumed > 0)
            #expect(seen.chunks > 0)
        }
    }

    /// What is left to do, and what was seen.
    private final class Tally: Sendable {
        struct Total {
            var seeds: Range<UInt64>
            var chunks = 0
            var files = 0
            var resumed = 0
            var missed: [String] = []
        }

        private let state: Mutex<Total>

        init(seeds: Range<UInt64>) { state = Mutex(Total(seeds: seeds)) }

        var total: Total { state.withLock { $0 } }

        func next() -> UInt64? { state.withLock { $0.seeds.popFirst() } }

        func add(_ outcome: CrashRun.Outcome, of plan: CrashPlan) {
            state.withLock { total in
                total.chunks += outcome.acknowledgedChunks
                total.files += outcome.files
                total.resumed += outcome.resumed
                if case .point = plan.death, !outcome.diedAsPlanned { total.missed.append("\(plan)") }
            }
        }
    }

    private static func outcome(of plan: CrashPlan, template: DataFolder, token: String) async -> CrashRun.Outcome {
        await Slots.servers.with {
            do {
                let data = try DataFolder.make("crash-\(plan.seed)")
                defer { data.remove() }
                try FileManager.default.copyItem(atPath: template.path, toPath: data.path)
                return await CrashRun(plan: plan).run(in: data, token: token)
            } catch {
                return CrashRun.Outcome(failures: ["\(error)"])
            }
        }
    }

    @Test func consecutiveSeedsMeetEveryPoint() {
        let met = (UInt64(0)..<20).compactMap { offset -> String? in
            guard case .point(let name, _) = CrashPlan(seed: 1_000_000 + offset).death else { return nil }
            return name
        }
        #expect(Set(met) == Set(CrashPlan.points))
    }

    /// Half of the runs write around the page cache, and two cycles meet every death with both ways of writing.
    @Test func consecutiveSeedsWriteBothWays() {
        for first in [0, 20, 1_000_000, 1_000_017] as [UInt64] {
            let plans = (first..<first + 20).map { CrashPlan(seed: $0) }
            #expect((8...12).contains(plans.filter(\.isDirect).count))
            for plan in plans { #expect(CrashPlan(seed: plan.seed + 20).isDirect == !plan.isDirect) }
        }
        // A whole chunk is one piece, and goes around the cache from 256 KiB on.
        for plan in (0..<20 as Range<UInt64>).map({ CrashPlan(seed: $0) }) where plan.isDirect {
            #expect(plan.chunkSize >= 256 << 10)
            #expect(plan.settings == ["STORAGE_DIRECT_IO_FROM": "0"])
        }
    }
}
