/// Log lines of one kind, at most one in a while: a failure that comes again and again is worth a line at first, and now and then
/// while it lasts. A pure value.
public struct SparseLog: Hashable, Sendable {
    public let interval: Duration
    private var last: ContinuousClock.Instant?
    private var unsaid = 0

    public init(interval: Duration = .seconds(60)) {
        self.interval = interval
    }

    /// How many were not said since the last one; nil where this one is not to be said either.
    public mutating func say(at now: ContinuousClock.Instant) -> Int? {
        if let last, now - last < interval {
            unsaid += 1
            return nil
        }
        defer { (last, unsaid) = (now, 0) }
        return unsaid
    }
}
