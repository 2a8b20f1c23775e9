/// Who does what one server does for all, as the database has it.
struct Leadership: Hashable, Sendable {
    /// Nil: nobody.
    var holder: String?
    /// Counts the holder's signs of life, and never repeats.
    var heartbeat: Int64
}

/// Tells when another server's leadership may be taken over. A pure value.
///
/// As with the leases of tasks, no server's clock is compared with another's: a holder is lost when its counter stood still for
/// a whole lease of this process's own monotonic clock. The holder stops before that by its own.
struct LeadershipWatch: Sendable {
    let lease: Duration
    /// No other process can be at the database: whoever led before is gone.
    let isAlone: Bool
    private var seen: (row: Leadership, since: ContinuousClock.Instant)?

    init(lease: Duration, isAlone: Bool = false) {
        self.lease = lease
        self.isAlone = isAlone
    }

    /// Whether it may be taken now, where the row is still as it was read just before `now`.
    mutating func mayTake(_ row: Leadership?, me: String, now: ContinuousClock.Instant) -> Bool {
        // Where it is our own, the answer to taking it was lost.
        guard !isAlone, let row, row.holder != nil, row.holder != me else {
            seen = nil
            return true
        }
        guard let seen, seen.row == row else {
            seen = (row, now)
            return false
        }
        return now - seen.since >= lease
    }
}
