import DriveModel

/// A gateway that takes nothing for the time being, and when it is asked again. A pure value.
struct GatewayOutage: Hashable, Sendable {
    /// The longest wait of Drive's own accord, and the longest that the gateway may ask for: what waits longer is too old.
    static let longest = Duration.seconds(60)
    static let longestAsked = ForwardRule.maximumAge

    let began: Timestamp
    private(set) var attempts = 0
    /// Nothing is sent before this.
    private(set) var resumes: ContinuousClock.Instant
    /// It does not accept who Drive says it is: an operator must mend that.
    private(set) var isCredentials = false

    init(began: Timestamp, now: ContinuousClock.Instant) {
        self.began = began
        resumes = now
    }

    /// Another attempt failed.
    /// - Parameters:
    ///   - after: how long the gateway asks to be left alone.
    ///   - random: 0..<1.
    /// - Returns: whether that is news for an operator.
    mutating func fail(after: Duration?, isCredentials: Bool, now: ContinuousClock.Instant, random: Double) -> Bool {
        attempts += 1
        defer { self.isCredentials = self.isCredentials || isCredentials }
        resumes = now + Self.delay(attempt: attempts, after: after, random: random)
        return attempts == 1 || isCredentials && !self.isCredentials
    }

    /// What was on its way when it began came back too.
    mutating func extend(by after: Duration?, now: ContinuousClock.Instant) {
        if let after { resumes = max(resumes, now + min(after, Self.longestAsked)) }
    }

    /// 1 s to 2 s, 2 s to 4 s … 30 s to 60 s, so that servers that were cut off together do not come back together; and not
    /// before `after`.
    static func delay(attempt: Int, after: Duration?, random: Double) -> Duration {
        let base = Duration.seconds(1 << min(max(attempt - 1, 0), 10))
        let own = min(base, longest / 2) * (1 + min(max(random, 0), 1))
        return max(own, min(after ?? .zero, longestAsked))
    }
}
