import DriveTasks
import TestSupport
import Testing

/// Who gets how much, and who waits how long: over many random queues.
@Suite struct TurnPlannerTests {
    typealias Lane = TurnPlannerModel.LaneKey

    /// Starts `count` tasks in claims of random sizes, while these lanes never run empty; how many each account got.
    static func serve(
        _ count: Int, of queue: inout TurnPlannerModel, refilling lanes: [Lane], claims: ClosedRange<Int> = 1...64,
        using generator: inout SeededGenerator
    ) -> [Int: Int] {
        var got: [Int: Int] = [:]
        var left = count
        while left > 0 {
            let claim = min(left, Int.random(in: claims, using: &generator))
            for lane in lanes where queue.backlog(lane) <= claim {
                queue.add(claim + Int.random(in: 1...500, using: &generator), to: lane)
            }
            let started = queue.claim(claim)
            for start in started { got[start.lane.account, default: 0] += 1 }
            queue.endAll()
            if started.isEmpty { return got }
            left -= started.count
        }
        return got
    }

    /// Some lanes of one priority for an account, each of another type or pool.
    static func lanes(of account: Int, priority: Int, using generator: inout SeededGenerator) -> [Lane] {
        let all = ["FileMove", "FileEncrypt"].flatMap { type in
            ["", "p1"].map { Lane(account: account, type: type, pool: $0, priority: priority) }
        }
        return Array(all.shuffled(using: &generator).prefix(Int.random(in: 1...4, using: &generator)))
    }

    // MARK: Shares

    /// Whatever lies in the accounts' lanes, in however many lanes, and whoever comes and goes beside them.
    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func equalPriorityMeansEqualShares(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TurnPlannerModel()
        let priority = Int.random(in: 0...100, using: &generator)
        let count = Int.random(in: 2...8, using: &generator)
        let lanes = (1...count).flatMap { Self.lanes(of: $0, priority: priority, using: &generator) }
        for window in 0..<3 {
            var got: [Int: Int] = [:]
            for part in 0..<10 {
                // A visitor with a few tasks; the same ones come again.
                let visitor = Lane(account: 100 + (window * 10 + part) % 7, priority: priority)
                queue.add(Int.random(in: 1...5, using: &generator), to: visitor)
                got.merge(Self.serve(100, of: &queue, refilling: lanes, using: &generator), uniquingKeysWith: +)
            }
            let steady = (1...count).map { got[$0] ?? 0 }
            let share = Double(steady.reduce(0, +)) / Double(count)
            for starts in steady { #expect(abs(Double(starts) - share) <= share / 10, "window \(window): \(steady)") }
        }
    }

    /// Whatever went before, also a flood of priority 100 by which all others fell behind: who comes now is neither behind those
    /// of its own priority nor ahead of them.
    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func aNewcomerGetsItsShareAtOnce(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TurnPlannerModel()
        let priority = Int.random(in: 0...100, using: &generator)
        let steady = (1...Int.random(in: 1...3, using: &generator)).flatMap { Self.lanes(of: $0, priority: priority, using: &generator) }
        let urgent = Lane(account: 50, priority: Bool.random(using: &generator) ? 100 : Int.random(in: 0...100, using: &generator))
        _ = Self.serve(Int.random(in: 1...3000, using: &generator), of: &queue, refilling: steady + [urgent], using: &generator)
        // It may have had enough, or go on.
        let goesOn = Bool.random(using: &generator)
        while !goesOn, queue.backlog(urgent) > 0 { _ = Self.serve(50, of: &queue, refilling: steady, using: &generator) }
        let newcomer = Self.lanes(of: 9, priority: priority, using: &generator)
        let accounts = Set((steady + newcomer).map(\.account))
        let got = Self.serve(3000, of: &queue, refilling: steady + newcomer + (goesOn ? [urgent] : []), using: &generator)
        let share = Double(accounts.reduce(0) { $0 + (got[$1] ?? 0) }) / Double(accounts.count)
        for account in accounts {
            #expect(abs(Double(got[account] ?? 0) - share) <= share / 10, "account \(account) of \(got)")
        }
    }

    /// The same among the lanes of one account.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func aNewLaneGetsItsShareAtOnce(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TurnPlannerModel()
        let urgent = Lane(account: 1, type: "urgent", priority: 100)
        let steady = ["a", "b"].map { Lane(account: 1, type: $0, priority: 20) }
        _ = Self.serve(Int.random(in: 1...3000, using: &generator), of: &queue, refilling: steady + [urgent], using: &generator)
        while queue.backlog(urgent) > 0 { _ = Self.serve(50, of: &queue, refilling: steady, using: &generator) }
        let newcomer = Lane(account: 1, type: "c", priority: 20)
        let before = (steady + [newcomer]).map { queue.tag(of: $0) ?? 0 }
        queue.add(5000, to: newcomer)
        let first = queue.tag(of: newcomer) ?? 0
        _ = Self.serve(900, of: &queue, refilling: steady, using: &generator)
        let got = zip(steady + [newcomer], before.dropLast() + [first]).map { (queue.tag(of: $0) ?? 0) - $1 }
        for starts in got { #expect(abs(starts - 300) <= 30, "\(got)") }
    }

    // MARK: Priority

    /// A point is worth ten starts, once; after that the turns are equal again.
    @Test(arguments: [(0, 100), (0, 1), (40, 60), (99, 100), (7, 7)], [false, true])
    func priorityIsAnAdvantageOfTenStartsAPoint(priorities: (low: Int, high: Int), isOneAccount: Bool) {
        var queue = TurnPlannerModel()
        let low = Lane(account: 1, type: "low", priority: priorities.low)
        let high = Lane(account: isOneAccount ? 1 : 2, type: "high", priority: priorities.high)
        queue.add(4000, to: low)
        queue.add(4000, to: high)
        let most = (priorities.high - priorities.low) * 10
        var (ofLow, ofHigh, widest) = (0, 0, 0)
        for _ in 0..<4000 {
            for start in queue.claim(1) { if start.lane == low { ofLow += 1 } else { ofHigh += 1 } }
            widest = max(widest, ofHigh - ofLow)
            #expect(ofHigh - ofLow <= most + 1)
            queue.endAll()
        }
        #expect(ofLow + ofHigh == 4000)
        #expect(widest >= most - 1, "and it is used in full")
        #expect(abs(ofHigh - ofLow - most) <= 2)
    }

    // MARK: Starvation

    /// Any lane with a task starts it within ten starts for each waiting account and each lane of its own account, while
    /// floods of priority 100 go on without end.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func nothingWaitsForEver(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TurnPlannerModel()
        let flood = (1...Int.random(in: 1...10, using: &generator)).map { Lane(account: $0, type: "flood", priority: 100) }
        let laggards = (20..<20 + Int.random(in: 0...2, using: &generator)).map { Lane(account: $0) }
        _ = Self.serve(Int.random(in: 1...1500, using: &generator), of: &queue, refilling: flood + laggards, using: &generator)
        for _ in 0..<4 {
            // Within an account of the flood, or in one of its own.
            let account = Bool.random(using: &generator) ? flood[0].account : Int.random(in: 30...34, using: &generator)
            let quiet = Lane(account: account, type: "quiet", priority: Int.random(in: 0...50, using: &generator))
            queue.add(1, to: quiet)
            let accounts = Set(queue.waiting.map(\.account)).union((flood + laggards).map(\.account)).count
            let lanes = queue.waiting.count { $0.account == account }
            let bound = 10 * accounts * max(lanes, account == flood[0].account ? 2 : 1)
            var waited = 0
            // The claim in which it starts is counted in full.
            while queue.backlog(quiet) > 0, waited < bound + 8 {
                let claim = Int.random(in: 1...8, using: &generator)
                waited += Self.serve(claim, of: &queue, refilling: flood + laggards, claims: claim...claim, using: &generator)
                    .values.reduce(0, +)
            }
            #expect(queue.backlog(quiet) == 0, "\(quiet) waits for more than \(bound) starts, among \(accounts) accounts")
        }
    }
}
