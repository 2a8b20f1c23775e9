import DriveModel
import Logging
import Synchronization

/// What the pool's threads know together about the server: while it is away, a call fails at once instead of each waiting in turn,
/// and the log says so once, not once per call.
final class PostgresReachability: Sendable {
    private struct State {
        var awayUntil: ContinuousClock.Instant?
        var retries = SparseLog()
        var refusals = SparseLog()
        /// A line said that it cannot be reached, and none that it can since.
        var isTold = false

        mutating func tell(_ unsaid: Int?) -> Int? {
            if unsaid != nil { isTold = true }
            return unsaid
        }
    }

    private let state = Mutex(State())
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func isAway(at now: ContinuousClock.Instant) -> Bool {
        state.withLock { $0.awayUntil.map { now < $0 } ?? false }
    }

    func isReached() {
        let wasTold = state.withLock { state in
            defer { (state.awayUntil, state.isTold) = (nil, false) }
            return state.isTold
        }
        if wasTold { logger.notice("PostgreSQL answers again") }
    }

    /// A connection could not be opened, and will be tried again at once.
    func failed(_ reason: String, at now: ContinuousClock.Instant) {
        if let unsaid = state.withLock({ $0.tell($0.retries.say(at: now)) }) {
            logger.warning("connecting to PostgreSQL failed", metadata: ["reason": "\(reason)", "unsaid": "\(unsaid)"])
        }
    }

    /// Nobody tries until `instant`.
    func isAway(_ reason: String, until instant: ContinuousClock.Instant, at now: ContinuousClock.Instant) {
        state.withLock { $0.awayUntil = instant }
        if let unsaid = state.withLock({ $0.tell($0.refusals.say(at: now)) }) {
            logger.error("PostgreSQL does not answer", metadata: ["reason": "\(reason)", "unsaid": "\(unsaid)"])
        }
    }
}
