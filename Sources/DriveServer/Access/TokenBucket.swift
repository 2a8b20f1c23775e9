import DriveModel

/// What a limit allows: so many at once, and so many a second in the long run.
package struct RateLimit: Sendable, Hashable {
    package var perSecond: Double
    package var burst: Double

    /// Nil where either is not positive: there is no limit then.
    package init?(perSecond: Double, burst: Double) {
        guard perSecond > 0, burst > 0 else { return nil }
        self.perSecond = perSecond
        self.burst = max(burst, 1)
    }
}

/// Whether a request may go on.
package enum RateDecision: Sendable, Hashable {
    case allowed
    /// Refused; a repetition makes sense after so many seconds, 1 at least.
    case limited(retryAfterSeconds: Int)
}

/// A token bucket: full at first, it gives a token for each request and is filled evenly up to its burst.
package struct TokenBucket: Sendable, Hashable {
    private var tokens: Double
    private var filledAt: Duration

    /// A full bucket.
    package init(limit: RateLimit, at now: Duration) {
        tokens = limit.burst
        filledAt = now
    }

    /// Takes a token where there is one.
    package mutating func take(at now: Duration, limit: RateLimit) -> RateDecision {
        let decision = peek(at: now, limit: limit)
        if decision == .allowed { tokens -= 1 }
        return decision
    }

    /// Whether `take` would succeed.
    package mutating func peek(at now: Duration, limit: RateLimit) -> RateDecision {
        fill(at: now, limit: limit)
        if tokens >= 1 { return .allowed }
        return .limited(retryAfterSeconds: max(1, Int(((1 - tokens) / limit.perSecond).rounded(.up))))
    }

    /// Whether the bucket is as good as a new one.
    package func isFull(at now: Duration, limit: RateLimit) -> Bool {
        tokens + max(0, (now - filledAt).inSeconds) * limit.perSecond >= limit.burst
    }

    /// A clock that stands still or goes back fills nothing.
    private mutating func fill(at now: Duration, limit: RateLimit) {
        guard now > filledAt else { return }
        tokens = min(limit.burst, tokens + (now - filledAt).inSeconds * limit.perSecond)
        filledAt = now
    }
}
