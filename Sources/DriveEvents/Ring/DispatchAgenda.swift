import DriveModel
import Foundation

/// What the dispatcher has before it: accounts that wait, what failed and is due again later, and a search. A pure value.
struct DispatchAgenda {
    /// Which events are to be searched beside those of the accounts that were told of.
    enum Look: Int {
        case nothing, latest, everything
    }

    /// A search on its way through the accounts, in the order of their ids.
    struct Search: Hashable {
        enum Reach: Hashable {
            /// All accounts behind.
            case everything
            /// Those with news that are not older than this.
            case since(Timestamp)
        }

        var reach: Reach
        var began: Timestamp
        /// The last account it looked at; nil: it is at its beginning.
        var last: UUID?
    }

    private let pace: RingDispatcher.Pace
    private var accounts: Set<UUID> = []
    /// There are accounts among these that have more.
    private var isContinued = false
    private var look = Look.everything
    private var search: Search?
    /// When the last search began that came to its end.
    private var searched: Timestamp?
    /// To be tried again when they are `due`.
    private var postponed: Set<UUID> = []
    private var isSearchPostponed = false
    /// When what failed is tried again; nil where nothing did.
    private(set) var due: ContinuousClock.Instant?

    init(_ pace: RingDispatcher.Pace) {
        self.pace = pace
    }

    /// Whether a round left something that need not wait, neither for news nor for those that come with them.
    var isBusy: Bool { isContinued || (!isSearchPostponed && (search != nil || look != .nothing)) }

    mutating func want(_ wanted: Look) {
        if wanted.rawValue > look.rawValue { look = wanted }
    }

    /// An account has new events.
    mutating func tell(_ account: UUID) {
        if accounts.count < pace.capacity { accounts.insert(account) } else { want(.latest) }
    }

    /// An account has more events, of any age.
    mutating func again(_ account: UUID) {
        isContinued = true
        if accounts.count < pace.capacity { accounts.insert(account) } else { want(.everything) }
    }

    /// What could not be looked at.
    mutating func postpone(_ failed: some Sequence<UUID>, at instant: ContinuousClock.Instant) {
        for account in failed {
            if postponed.count < pace.capacity { postponed.insert(account) } else { want(.everything) }
        }
        due = due ?? instant + pace.patience
    }

    /// The search goes on where it stands.
    mutating func postponeSearch(at instant: ContinuousClock.Instant) {
        isSearchPostponed = true
        due = due ?? instant + pace.patience
    }

    /// A portion of the search is done.
    ///
    /// - Parameter last: nil: that was the last one.
    mutating func searched(to last: UUID?) {
        guard let last else {
            searched = search?.began
            search = nil
            return
        }
        search?.last = last
    }

    /// What the next round looks at: all accounts that wait, and the search's next portion.
    mutating func take(at instant: ContinuousClock.Instant, now: Timestamp) -> (accounts: [UUID], search: Search?) {
        if let due, due <= instant {
            accounts.formUnion(postponed)
            postponed = []
            isSearchPostponed = false
            self.due = nil
        }
        defer {
            accounts = []
            isContinued = false
        }
        guard !isSearchPostponed else { return (Array(accounts), nil) }
        switch (look, search?.reach) {
        // It finds what the search under way would.
        case (.everything, nil), (.everything, .since): begin(.everything, now)
        case (.latest, nil): begin(.since(horizon(now)), now)
        // The search under way comes to its end first.
        case (.everything, .everything), (.latest, _), (.nothing, _): break
        }
        return (Array(accounts), search)
    }

    private mutating func begin(_ reach: Search.Reach, _ now: Timestamp) {
        search = Search(reach: reach, began: now)
        look = .nothing
    }

    /// As far back as the last search, however long ago that was: what it could not see yet is not older.
    private func horizon(_ now: Timestamp) -> Timestamp {
        min(now - pace.lookBack, searched.map { $0 - pace.overlap } ?? now)
    }
}
