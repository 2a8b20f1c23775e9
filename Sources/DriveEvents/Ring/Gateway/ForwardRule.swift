import DriveModel

/// Which events are forwarded to an external RingService.
public enum ForwardRule {
    /// Older ones are passed over: a page that is opened later asks Drive itself.
    public static let maximumAge = Duration.seconds(3600)

    /// Of the rows of `events`: Drive's own. What another program pushed through Drive's RingService went to that program's
    /// people already, and would come back.
    static func isOwn(_ events: String) -> String { "\(events).relay IS NULL AND \(events).type <> 'notification.received'" }

    /// What happened before this is passed over.
    /// - Parameter since: when events were forwarded for the first time, so that beginning to do so floods nobody.
    static func oldest(since: Timestamp, now: Timestamp) -> Timestamp { max(since, now - maximumAge) }
}

/// Log lines of one kind, at most one in a while.
struct SparseLog: Hashable, Sendable {
    let interval: Duration
    private var last: ContinuousClock.Instant?
    private var unsaid = 0

    init(interval: Duration = .seconds(60)) {
        self.interval = interval
    }

    /// How many were not said since the last one; nil where this one is not to be said either.
    mutating func say(at now: ContinuousClock.Instant) -> Int? {
        if let last, now - last < interval {
            unsaid += 1
            return nil
        }
        defer { (last, unsaid) = (now, 0) }
        return unsaid
    }
}
