/// How long and how often failed requests are tried again.
public struct RetryPolicy: Hashable, Sendable {
    /// The longest first wait; each further failure in a row doubles it.
    public var base: Duration
    /// The longest wait of our own choosing.
    public var cap: Duration
    /// How long attempts may fail in a row before they end.
    public var patience: Duration

    public init(base: Duration = .milliseconds(500), cap: Duration = .seconds(30), patience: Duration = .seconds(300)) {
        self.base = base
        self.cap = cap
        self.patience = patience
    }

    /// For a question somebody waits for: a few attempts within seconds.
    public static let brief = RetryPolicy(base: .milliseconds(200), cap: .seconds(1), patience: .seconds(3))

    /// For what somebody follows for as long as it takes.
    public static let endless = RetryPolicy(patience: .seconds(Int64.max))
}

/// Exponential backoff with full jitter, and the patience that ends it. A pure value: time and chance are given.
struct Backoff {
    let policy: RetryPolicy
    /// Failures in a row.
    private(set) var failures = 0
    /// When the failures in a row began.
    private var failingSince: Duration?

    init(_ policy: RetryPolicy) {
        self.policy = policy
    }

    /// What is told where patience allows no further attempt.
    func end(after error: DriveClientError, at now: Duration) -> DriveClientError {
        // A wait that is longer than all patience, told at the first attempt: the error itself says more.
        (now - (failingSince ?? now)).components.seconds < 1 ? error : gaveUp(error.description)
    }

    func gaveUp(_ lastError: String) -> DriveClientError {
        .gaveUp(seconds: Int(policy.patience.components.seconds), lastError: lastError)
    }

    /// Something succeeded: the next failure is a first one.
    mutating func succeeded() {
        failures = 0
        failingSince = nil
    }

    /// How long to wait after a failure, or nil where patience ends before the next attempt.
    /// - Parameters:
    ///   - now: a monotonic time.
    ///   - retryAfter: the server's wish; never undercut.
    ///   - jitter: in 0..<1.
    mutating func delay(afterFailureAt now: Duration, retryAfter: Duration?, jitter: Double) -> Duration? {
        let since = failingSince ?? now
        failingSince = since
        failures += 1
        // 2^16 times any sensible base is over any sensible cap.
        let span = min(policy.cap, policy.base * Double(1 << min(failures - 1, 16)))
        let delay = retryAfter.map { $0 + policy.base * jitter } ?? span * jitter
        return now + delay - since <= policy.patience ? delay : nil
    }
}
