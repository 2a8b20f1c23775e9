/// The rescuer's memory: which workers stood still, by their heartbeat counters and this process's own monotonic clock.
///
/// No worker's clock is compared with another's and the time of day plays no part, so clock jumps do no harm.
public struct LeaseWatch: Hashable, Sendable {
    private struct Sighting: Hashable, Sendable {
        var counter: Int64
        /// When this watch first saw that counter.
        var since: ContinuousClock.Instant
    }

    /// How long a counter may stand still.
    public let patience: Duration
    /// How long the watch had not been called before the latest observation, where that was longer than half its patience
    /// and all patience started anew; else nil.
    public private(set) var observedGap: Duration?
    private var sightings: [String: Sighting] = [:]
    private var lastObservation: ContinuousClock.Instant?

    public init(patience: Duration = .seconds(30)) {
        self.patience = patience
    }

    /// Takes every worker's counter, read just before `now`, and returns the workers whose counter has stood still for
    /// `patience`, in order of their names; again at each observation until the counter changes or the worker vanishes.
    ///
    /// A worker seen for the first time starts its patience now; one that vanished is forgotten. If the watch was not called
    /// for longer than half its patience, its own process was stopped or suspended and cannot tell who else stood still: then
    /// all patience starts anew. So it must be called more often than that.
    public mutating func observe(_ counters: [String: Int64], now: ContinuousClock.Instant) -> [String] {
        let gap = lastObservation.map { $0.duration(to: now) }
        observedGap = gap.flatMap { $0 > patience / 2 ? $0 : nil }
        lastObservation = now
        // Starting from nothing lets vanished workers drop out; after a gap nothing is known.
        let known = observedGap == nil ? sightings : [:]
        sightings = [:]
        for (worker, counter) in counters {
            let since = known[worker].flatMap { $0.counter == counter ? $0.since : nil } ?? now
            sightings[worker] = Sighting(counter: counter, since: since)
        }
        return sightings.filter { $0.value.since.duration(to: now) >= patience }.keys.sorted()
    }
}
