import DriveTasks
import TestSupport
import Testing

/// What holds at every single step of any queue.
@Suite struct TurnPlannerStepTests {
    typealias Lane = TurnPlannerModel.LaneKey

    private static func anyLane(using generator: inout SeededGenerator) -> Lane {
        Lane(
            account: Int.random(in: 1...6, using: &generator), type: ["a", "b", "c"].randomElement(using: &generator) ?? "a",
            pool: ["", "p", "q"].randomElement(using: &generator) ?? "", priority: [0, 0, 1, 50, 100].randomElement(using: &generator) ?? 0)
    }

    private static func anyLimits(using generator: inout SeededGenerator) -> TurnPlanner.Limits {
        var limits = TurnPlanner.Limits()
        if Bool.random(using: &generator) { limits.perAccount = Int.random(in: 1...5, using: &generator) }
        if Bool.random(using: &generator) { limits.perPool = Int.random(in: 1...5, using: &generator) }
        for type in ["a", "b"] where Bool.random(using: &generator) { limits.perType[type] = Int.random(in: 0...5, using: &generator) }
        return limits
    }

    /// Limits hold after each claim, and a claim that stays below what was wanted has left nothing that might run.
    @Test(arguments: 1...24 as ClosedRange<UInt64>)
    func limitsHoldAndBlockNobodyElse(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TurnPlannerModel()
        let limits = Self.anyLimits(using: &generator)
        queue.limits = limits
        for _ in 0..<200 {
            for _ in 0..<3 { queue.add(Int.random(in: 1...4, using: &generator), to: Self.anyLane(using: &generator)) }
            let wanted = Int.random(in: 1...16, using: &generator)
            let isShort = queue.claim(wanted).count < wanted
            let use = Use(queue.running)
            #expect(use.isWithin(limits), "\(limits): \(use)")
            if isShort {
                for lane in queue.waiting { #expect(use.isFull(for: lane, limits), "\(lane) might have run: \(limits), \(use)") }
            }
            for lane in queue.running.keys.sorted(by: { "\($0)" < "\($1)" }) where Bool.random(using: &generator) { queue.end(of: lane) }
        }
    }

    /// How many run, by what is limited.
    private struct Use {
        var accounts: [Int: Int] = [:]
        var pools: [String: Int] = [:]
        var types: [String: Int] = [:]

        init(_ running: [Lane: Int]) {
            for (lane, count) in running {
                accounts[lane.account, default: 0] += count
                types[lane.type, default: 0] += count
                if !lane.pool.isEmpty { pools[lane.pool, default: 0] += count }
            }
        }

        func isWithin(_ limits: TurnPlanner.Limits) -> Bool {
            (accounts.values.max() ?? 0) <= limits.perAccount ?? .max && (pools.values.max() ?? 0) <= limits.perPool ?? .max
                && types.allSatisfy { $0.value <= limits.perType[$0.key] ?? .max }
        }

        func isFull(for lane: Lane, _ limits: TurnPlanner.Limits) -> Bool {
            accounts[lane.account] ?? 0 >= limits.perAccount ?? .max || types[lane.type] ?? 0 >= limits.perType[lane.type] ?? .max
                || (!lane.pool.isEmpty && pools[lane.pool] ?? 0 >= limits.perPool ?? .max)
        }
    }

    /// First come, first served in a lane; nothing twice, nothing lost; no number ever goes back.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func lanesKeepTheirOrderAndTagsGrow(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TurnPlannerModel()
        var last: [Lane: Int] = [:]
        var accountTags: [Int: Int64] = [:]
        var laneTags: [Lane: Int64] = [:]
        var (virtualTime, started, added) = (queue.virtualTime, 0, 0)
        for step in 0..<400 {
            // At the end nothing more comes.
            if step < 300 {
                let count = Int.random(in: 1...6, using: &generator)
                added += count
                queue.add(count, to: Self.anyLane(using: &generator))
            }
            for start in queue.claim(Int.random(in: 1...12, using: &generator)) {
                #expect(last[start.lane] ?? -1 < start.task)
                last[start.lane] = start.task
                started += 1
            }
            queue.endAll()
            for account in 1...6 {
                guard let tag = queue.tag(ofAccount: account) else { continue }
                #expect(accountTags[account] ?? 0 <= tag)
                accountTags[account] = tag
            }
            for lane in last.keys {
                guard let tag = queue.tag(of: lane) else { continue }
                #expect(laneTags[lane] ?? 0 <= tag)
                laneTags[lane] = tag
            }
            #expect(virtualTime <= queue.virtualTime)
            virtualTime = queue.virtualTime
            #expect(queue.starts == started)
        }
        #expect(started == added)
        #expect(queue.waiting.isEmpty)
    }

    /// A lane without tasks is asked once, told of, and takes no turn from anybody.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func emptiedLanesAreReported(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TurnPlannerModel()
        for _ in 0..<12 { queue.add(Int.random(in: 1...4, using: &generator), to: Self.anyLane(using: &generator)) }
        var planner = queue.planner()
        let lanes = planner.accounts.flatMap(\.lanes)
        var left = Dictionary(uniqueKeysWithValues: lanes.map { ($0.id, Int.random(in: 0...3, using: &generator)) })
        let all = left.values.reduce(0, +)
        var refusals: [Int64: Int] = [:]
        let chosen = planner.choose(all + 1) { lane -> Int64? in
            guard let count = left[lane.id], count > 0 else {
                refusals[lane.id, default: 0] += 1
                return nil
            }
            left[lane.id] = count - 1
            return lane.id
        }
        #expect(chosen.count == all)
        #expect(left.values.allSatisfy { $0 == 0 })
        #expect(planner.emptied == Set(lanes.map(\.id)))
        #expect(refusals.values.allSatisfy { $0 == 1 })
        #expect(planner.accounts.allSatisfy { $0.lanes.isEmpty && $0.turn == nil })
        #expect(planner.starts == queue.starts + Int64(all))
        #expect(Set(planner.laneTags.keys) == Set(chosen))
        #expect(planner.choose(1) { $0 }.isEmpty)
    }

    /// Whether one claim takes all or many take a few each, over what the one before stored: the same tasks in the same order.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func piecesMakeTheSameWhole(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var whole = TurnPlannerModel()
        whole.limits = Self.anyLimits(using: &generator)
        for _ in 0..<20 {
            whole.add(Int.random(in: 1...30, using: &generator), to: Self.anyLane(using: &generator))
            _ = whole.claim(Int.random(in: 0...6, using: &generator))
            whole.endAll()
        }
        var pieces = whole
        let all = whole.claim(150)
        var some: [TurnPlannerModel.Start] = []
        while some.count < all.count {
            let piece = pieces.claim(min(Int.random(in: 1...9, using: &generator), all.count - some.count))
            if piece.isEmpty { break }
            some += piece
        }
        #expect(some == all)
        #expect(pieces.virtualTime == whole.virtualTime)
        #expect(pieces.starts == whole.starts)
        for lane in Set(all.map(\.lane)) {
            #expect(pieces.tag(of: lane) == whole.tag(of: lane))
            #expect(pieces.tag(ofAccount: lane.account) == whole.tag(ofAccount: lane.account))
        }
    }

    @Test func anEmptyQueueGivesNothing() {
        var planner = TurnPlanner(accounts: [], virtualTime: 7, starts: 9, limits: .init(), running: .init())
        #expect(planner.choose(5) { $0 }.isEmpty)
        #expect((planner.virtualTime, planner.starts) == (7, 9))
        #expect(TurnPlanner.Limits().isUnlimited)
    }
}
