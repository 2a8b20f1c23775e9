import DriveTasks
import Foundation

/// A queue in memory: what `task_queues`, `task_accounts`, `task_lanes` and the tasks in them are to the engine, with the same
/// rules for who begins to wait. Claims go through `TurnPlanner`.
struct TurnPlannerModel {
    struct LaneKey: Hashable {
        var account: Int
        var type = "FileMove"
        var pool = ""
        var priority = 0
    }

    struct Start: Hashable {
        var lane: LaneKey
        /// The task's place among all that were ever added.
        var task: Int
    }

    private struct AccountRow {
        var tag: Int64
        var laneTime: Int64 = 0
        var isWaiting: Bool
    }

    private struct LaneRow {
        var id: Int64
        var tag: Int64 = 0
        var isWaiting = false
        var tasks: ArraySlice<Int> = []
    }

    private var accounts: [Int: AccountRow] = [:]
    private var lanes: [LaneKey: LaneRow] = [:]
    private var keys: [Int64: LaneKey] = [:]
    private var added = 0
    private(set) var virtualTime: Int64 = 0
    private(set) var starts: Int64 = 0
    var limits = TurnPlanner.Limits()
    /// What runs, until `end`.
    private(set) var running: [LaneKey: Int] = [:]

    /// An id that stays the same for the same account.
    static func id(_ account: Int) -> UUID {
        UUID(uuid: (UInt8(account & 0xFF), UInt8(account >> 8 & 0xFF), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
    }

    func backlog(_ lane: LaneKey) -> Int { lanes[lane]?.tasks.count ?? 0 }
    var waiting: [LaneKey] { lanes.filter { !$0.value.tasks.isEmpty }.map(\.key) }
    func tag(ofAccount account: Int) -> Int64? { accounts[account]?.tag }
    func tag(of lane: LaneKey) -> Int64? { lanes[lane]?.tag }

    // MARK: What happens to the queue

    mutating func add(_ count: Int, to key: LaneKey) {
        if lanes[key] == nil {
            let id = Int64(lanes.count + 1)
            lanes[key] = LaneRow(id: id)
            keys[id] = key
        }
        if lanes[key]?.isWaiting == false { beginWaiting(key) }
        for _ in 0..<count {
            lanes[key]?.tasks.append(added)
            added += 1
        }
    }

    /// As `TaskEngine.beginWaiting` does it in SQL: level with the least served of its own priority, or of all.
    private mutating func beginWaiting(_ key: LaneKey) {
        let siblings = lanes.filter { $0.key.account == key.account && $0.value.isWaiting }
        let level =
            siblings.filter { $0.key.priority == key.priority }.map(\.value.tag).min() ?? siblings.map(\.value.tag).min()
            ?? accounts[key.account]?.laneTime ?? 0
        if let tag = lanes[key]?.tag, tag < level { lanes[key]?.tag = level }
        lanes[key]?.isWaiting = true
        var account = accounts[key.account] ?? AccountRow(tag: 0, isWaiting: false)
        if !account.isWaiting {
            var urgency: [Int: Int] = [:]
            for (lane, row) in lanes where row.isWaiting { urgency[lane.account] = max(urgency[lane.account] ?? 0, lane.priority) }
            let others = accounts.filter(\.value.isWaiting)
            let level =
                others.filter { urgency[$0.key] == key.priority }.map(\.value.tag).min() ?? others.map(\.value.tag).min() ?? virtualTime
            account.tag = max(account.tag, level)
        }
        account.isWaiting = true
        accounts[key.account] = account
    }

    /// The planner over all that waits, as a claim makes it.
    func planner() -> TurnPlanner {
        var open: [Int: [TurnPlanner.Lane]] = [:]
        for (key, lane) in lanes where lane.isWaiting {
            open[key.account, default: []].append(
                TurnPlanner.Lane(id: lane.id, type: key.type, pool: key.pool, priority: key.priority, tag: lane.tag))
        }
        let waiting = accounts.filter(\.value.isWaiting).sorted { $0.key < $1.key }.map { number, row in
            TurnPlanner.Account(
                id: Self.id(number), tag: row.tag, laneTime: row.laneTime, lanes: (open[number] ?? []).sorted { $0.id < $1.id })
        }
        var running = TurnPlanner.Running()
        for (lane, count) in self.running { running.add(count, account: Self.id(lane.account), type: lane.type, pool: lane.pool) }
        return TurnPlanner(accounts: waiting, virtualTime: virtualTime, starts: starts, limits: limits, running: running)
    }

    /// Starts up to `count` tasks and stores the turns.
    mutating func claim(_ count: Int) -> [Start] {
        var planner = planner()
        let chosen = choose(count, with: &planner)
        keep(planner)
        for start in chosen { running[start.lane, default: 0] += 1 }
        return chosen
    }

    mutating func choose(_ count: Int, with planner: inout TurnPlanner) -> [Start] {
        planner.choose(count) { lane -> Start? in
            guard let key = keys[lane.id], let task = lanes[key]?.tasks.popFirst() else { return nil }
            return Start(lane: key, task: task)
        }
    }

    /// As `TaskEngine.keep`.
    mutating func keep(_ planner: TurnPlanner) {
        for (id, tag) in planner.laneTags {
            if let key = keys[id] { lanes[key]?.tag = tag }
        }
        for id in planner.emptied {
            if let key = keys[id] { lanes[key]?.isWaiting = false }
        }
        let numbers = Dictionary(accounts.keys.map { (Self.id($0), $0) }, uniquingKeysWith: { first, _ in first })
        for account in planner.accounts {
            guard let number = numbers[account.id] else { continue }
            if planner.servedAccounts.contains(account.id) {
                accounts[number]?.tag = account.tag
                accounts[number]?.laneTime = account.laneTime
            }
            if account.lanes.isEmpty { accounts[number]?.isWaiting = false }
        }
        (virtualTime, starts) = (planner.virtualTime, planner.starts)
    }

    /// Tasks that ended.
    mutating func end(_ count: Int = 1, of lane: LaneKey) {
        running[lane, default: 0] -= count
        if running[lane] == 0 { running[lane] = nil }
    }

    mutating func endAll() { running = [:] }
}
