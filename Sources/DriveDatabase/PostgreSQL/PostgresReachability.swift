import Synchronization

/// What the pool's threads know together about the server: while it is away, a call fails at once instead of
/// each waiting in turn.
final class PostgresReachability: Sendable {
    private let awayUntil = Mutex<ContinuousClock.Instant?>(nil)

    func isAway(at now: ContinuousClock.Instant) -> Bool {
        awayUntil.withLock { $0.map { now < $0 } ?? false }
    }

    func isReached() { awayUntil.withLock { $0 = nil } }

    func isAway(until instant: ContinuousClock.Instant) { awayUntil.withLock { $0 = instant } }
}
