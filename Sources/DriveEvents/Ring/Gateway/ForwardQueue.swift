import Foundation

/// The accounts whose events are to be looked at, in the order in which they were told of; each is worked on by one at a
/// time. Bounded. A pure value.
struct ForwardQueue: Sendable {
    let capacity: Int
    private var waiting: [UUID] = []
    private var head = 0
    private var members: Set<UUID> = []
    private var active: Set<UUID> = []
    private var toldAgain: Set<UUID> = []

    init(capacity: Int) {
        self.capacity = capacity
    }

    /// Accounts that wait.
    var count: Int { members.count }
    /// Accounts that are worked on.
    var activeCount: Int { active.count }

    /// Puts an account behind the others, where it does not wait already. False where there is no room.
    mutating func add(_ account: UUID) -> Bool {
        if active.contains(account) {
            toldAgain.insert(account)
            return true
        }
        guard !members.contains(account) else { return true }
        guard members.count < capacity else { return false }
        append(account)
        return true
    }

    /// The next account to work on. `finish` must follow.
    mutating func next() -> UUID? {
        guard head < waiting.count else { return nil }
        let account = waiting[head]
        head += 1
        if head == waiting.count {
            (waiting, head) = ([], 0)
        } else if head >= 64, head * 2 > waiting.count {
            waiting.removeFirst(head)
            head = 0
        }
        members.remove(account)
        active.insert(account)
        return account
    }

    /// It is not worked on any more.
    /// - Parameter isMore: it has more events, and waits behind the others again.
    mutating func finish(_ account: UUID, isMore: Bool) {
        guard active.remove(account) != nil else { return }
        if toldAgain.remove(account) != nil || isMore { append(account) }
    }

    private mutating func append(_ account: UUID) {
        members.insert(account)
        waiting.append(account)
    }
}
