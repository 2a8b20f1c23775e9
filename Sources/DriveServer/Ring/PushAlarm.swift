import Logging
import Synchronization

/// Tells the operator that notifications or mails do not arrive until somebody mends something: once, and again while it lasts, not for
/// each notification.
final class PushAlarm: Sendable {
    static let interval = Duration.seconds(600)

    private let logger: Logger
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let raised = Mutex<[String: ContinuousClock.Instant]>([:])

    init(logger: Logger, clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.logger = logger
        self.clock = clock
    }

    /// - Parameter subject: one of a few; each has its own interval.
    func raise(_ subject: String, _ message: String) {
        let now = clock()
        let isDue = raised.withLock { raised in
            if let last = raised[subject], now - last < Self.interval { return false }
            raised[subject] = now
            return true
        }
        if isDue { logger.error("notifications or mails cannot be delivered", metadata: ["push": "\(subject)", "reason": "\(message)"]) }
    }
}
