/// Which running tasks show no sign of life: each has a limit of its own, counted from its latest sign.
public struct StallWatch: Hashable, Sendable {
    private struct Entry: Hashable, Sendable {
        var limit: Duration
        var lastSign: ContinuousClock.Instant

        var deadline: ContinuousClock.Instant { lastSign + limit }
    }

    private var entries: [String: Entry] = [:]

    public init() {}

    /// Watches a task from now on; `limit` is how long it may go without a sign. A second call starts it anew.
    public mutating func begin(_ id: String, limit: Duration, now: ContinuousClock.Instant) {
        entries[id] = Entry(limit: limit, lastSign: now)
    }

    /// The task showed a sign of life, such as progress. Nothing happens where it is not watched; a sign that arrives late
    /// does not undo a later one.
    public mutating func sign(of id: String, now: ContinuousClock.Instant) {
        guard let entry = entries[id] else { return }
        entries[id] = Entry(limit: entry.limit, lastSign: max(entry.lastSign, now))
    }

    /// Forgets the task.
    public mutating func end(_ id: String) {
        entries[id] = nil
    }

    /// Starts every limit anew: for a process that was itself stopped or suspended, in which no task could show a sign
    /// (`LeaseWatch.observedGap` tells it).
    public mutating func startAnew(now: ContinuousClock.Instant) {
        for id in entries.keys { sign(of: id, now: now) }
    }

    /// The tasks that have shown no sign for their limit, in order of their ids; again until a sign or the end.
    public func stalled(now: ContinuousClock.Instant) -> [String] {
        entries.filter { $0.value.deadline <= now }.keys.sorted()
    }

    /// When the next task stalls if none shows a sign; in the past while a stalled one is still watched. Nil where none is.
    public var nextDeadline: ContinuousClock.Instant? {
        entries.values.map(\.deadline).min()
    }
}
