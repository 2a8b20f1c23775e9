import DriveModel
import Foundation

/// Which waiting tasks start next: a pure value over the accounts and lanes that wait.
///
/// Accounts take turns, and within an account its lanes do; a lane holds the tasks of one type, pool and priority, first
/// come, first served. Whoever starts a task moves one behind; a point of priority counts as `priorityStep` starts ahead,
/// so priority wears off with use and nothing waits for ever. Every tenth start goes to the account, and within it to the
/// lane, that was served least, whatever its priority: that is the bound under a flood.
///
/// After start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), all tasks at the same cost.
public struct TurnPlanner: Sendable {
    /// Starts that a point of priority is ahead.
    public static let priorityStep: Int64 = 10
    /// One start in so many goes to who was served least.
    public static let fairShare: Int64 = 10

    public struct Lane: Hashable, Sendable {
        public var id: Int64
        public var type: String
        /// Empty where its tasks belong to no pool.
        public var pool: String
        public var priority: Int
        /// Starts it had, in the account's own time.
        public var tag: Int64

        public init(id: Int64, type: String, pool: String, priority: Int, tag: Int64) {
            self.id = id
            self.type = type
            self.pool = pool
            self.priority = priority
            self.tag = tag
        }

        var turn: Int64 { tag - Int64(priority) * TurnPlanner.priorityStep }
    }

    public struct Account: Hashable, Sendable {
        public var id: UUID
        /// Starts it had, in the queue's time.
        public var tag: Int64
        /// The largest tag of its lanes that was served.
        public var laneTime: Int64
        /// Those with waiting tasks.
        public var lanes: [Lane]

        public init(id: UUID, tag: Int64, laneTime: Int64, lanes: [Lane]) {
            self.id = id
            self.tag = tag
            self.laneTime = laneTime
            self.lanes = lanes
        }

        /// By which accounts are served; nil where nothing of it waits.
        public var turn: Int64? { lanes.map(\.priority).max().map { tag - Int64($0) * TurnPlanner.priorityStep } }
    }

    /// How many tasks may run at the same time, over all servers; nil: no limit.
    public struct Limits: Hashable, Sendable {
        public var perAccount: Int?
        public var perPool: Int?
        public var perType: [String: Int]

        public init(perAccount: Int? = nil, perPool: Int? = nil, perType: [String: Int] = [:]) {
            self.perAccount = perAccount
            self.perPool = perPool
            self.perType = perType
        }

        public var isUnlimited: Bool { perAccount == nil && perPool == nil && perType.isEmpty }
    }

    /// How many run now.
    public struct Running: Hashable, Sendable {
        public var accounts: [UUID: Int] = [:]
        public var pools: [String: Int] = [:]
        public var types: [String: Int] = [:]

        public init() {}

        public mutating func add(_ count: Int, account: UUID, type: String, pool: String) {
            accounts[account, default: 0] += count
            types[type, default: 0] += count
            if !pool.isEmpty { pools[pool, default: 0] += count }
        }
    }

    /// The waiting accounts; their tags are those after the plan.
    public private(set) var accounts: [Account]
    /// The largest tag served: who begins to wait begins there.
    public private(set) var virtualTime: Int64
    /// Starts so far.
    public private(set) var starts: Int64
    /// Lanes of which no task was left.
    public private(set) var emptied: Set<Int64> = []
    /// The tags of the lanes that were served, after it.
    public private(set) var laneTags: [Int64: Int64] = [:]
    public private(set) var servedAccounts: Set<UUID> = []

    private let limits: Limits
    private var running: Running

    public init(accounts: [Account], virtualTime: Int64, starts: Int64, limits: Limits, running: Running) {
        self.accounts = accounts
        self.virtualTime = virtualTime
        self.starts = starts
        self.limits = limits
        self.running = running
    }

    /// Adds accounts that come after those it has.
    public mutating func add(_ more: [Account]) {
        let known = Set(accounts.map(\.id))
        accounts += more.filter { !known.contains($0.id) }
    }

    /// Accounts that a limit holds back come level with those of their urgency that were served: nobody saves up turns that it
    /// could not have used, and who begins to wait does not begin among them.
    public mutating func levelHeldBack() {
        var levels: [Int: Int64] = [:]
        for account in accounts where servedAccounts.contains(account.id) {
            guard let urgency = account.lanes.map(\.priority).max() else { continue }
            levels[urgency] = min(levels[urgency] ?? .max, account.tag)
        }
        for (index, account) in accounts.enumerated() where !servedAccounts.contains(account.id) && !isEligible(account) {
            guard let urgency = account.lanes.map(\.priority).max(), let level = levels[urgency], account.tag < level else { continue }
            accounts[index].tag = level
            servedAccounts.insert(account.id)
        }
    }

    private func isEligible(_ account: Account) -> Bool {
        if let limit = limits.perAccount, running.accounts[account.id] ?? 0 >= limit { return false }
        return account.lanes.contains(where: isOpen)
    }

    /// Chooses up to `count` tasks. `next` gives a lane's next task; nil where it has no more.
    public mutating func choose<Item>(_ count: Int, next: (Lane) throws -> Item?) rethrows -> [Item] {
        var chosen: [Item] = []
        while chosen.count < count, let (account, lane) = candidate() {
            let choice = accounts[account].lanes[lane]
            guard let item = try next(choice) else {
                emptied.insert(choice.id)
                accounts[account].lanes.remove(at: lane)
                continue
            }
            chosen.append(item)
            start(account, lane)
        }
        return chosen
    }

    /// The account and lane whose turn it is and that no limit holds back.
    private func candidate() -> (account: Int, lane: Int)? {
        let isForLeastServed = starts % Self.fairShare == Self.fairShare - 1
        var best: (key: (Int64, Int64), account: Int, lane: Int)?
        for (index, account) in accounts.enumerated() {
            if let limit = limits.perAccount, running.accounts[account.id] ?? 0 >= limit { continue }
            let open = account.lanes.indices.filter { isOpen(account.lanes[$0]) }
            guard let urgent = open.map({ account.lanes[$0].priority }).max() else { continue }
            let turn = isForLeastServed ? account.tag : account.tag - Int64(urgent) * Self.priorityStep
            let key = (turn, account.tag)
            if let best, best.key <= key { continue }
            // Also every tenth start of the account itself, as the queue's tenth ones may all go to others.
            let isForLeastLane = isForLeastServed || account.tag % Self.fairShare == Self.fairShare - 1
            let lane = open.min { left, right in
                let (left, right) = (account.lanes[left], account.lanes[right])
                return isForLeastLane ? (left.tag, left.turn) < (right.tag, right.turn) : (left.turn, left.tag) < (right.turn, right.tag)
            }
            if let lane { best = (key, index, lane) }
        }
        return best.map { ($0.account, $0.lane) }
    }

    private func isOpen(_ lane: Lane) -> Bool {
        if let limit = limits.perType[lane.type], running.types[lane.type] ?? 0 >= limit { return false }
        if let limit = limits.perPool, !lane.pool.isEmpty, running.pools[lane.pool] ?? 0 >= limit { return false }
        return true
    }

    private mutating func start(_ account: Int, _ lane: Int) {
        let choice = accounts[account].lanes[lane]
        virtualTime = max(virtualTime, accounts[account].tag)
        accounts[account].laneTime = max(accounts[account].laneTime, choice.tag)
        accounts[account].tag += 1
        accounts[account].lanes[lane].tag += 1
        starts += 1
        running.add(1, account: accounts[account].id, type: choice.type, pool: choice.pool)
        laneTags[choice.id] = choice.tag + 1
        servedAccounts.insert(accounts[account].id)
    }
}
