/// How much of a page of notifications goes to devices, so that a burst rings a few times and not a hundred, and one transaction
/// enqueues a bounded number of tasks. A pure value.
struct PushBudget {
    /// Notifications that still may.
    private var notifications: Int
    /// Pushes that still may.
    private var pushes: Int
    private var isFresh = true

    init(_ limits: RingDirectory.Limits) {
        notifications = limits.burst
        pushes = limits.pushes
    }

    /// Whether a notification goes to its targets. The first one does, whatever their number.
    ///
    /// - Parameter isListed: what is not would be lost; so it counts as pushes, and not as one of a burst.
    mutating func admits(_ targets: Int, isListed: Bool) -> Bool {
        guard targets > 0, isFresh || targets <= pushes, !isListed || notifications > 0 else { return false }
        isFresh = false
        pushes -= targets
        if isListed { notifications -= 1 }
        return true
    }
}
