/// How often a task is attempted, and how long it waits before the next attempt.
public struct RetryPolicy: Hashable, Sendable {
    /// Attempts in all, the first one included.
    public var maximumAttempts: Int
    /// The wait after the first attempt; each further one doubles it.
    public var baseDelay: Duration
    /// The longest wait, before jitter.
    public var maximumDelay: Duration
    /// The part of the wait, 0...1, by which it is made longer or shorter at random, so that what failed together
    /// does not come back together.
    public var jitter: Double

    public init(
        maximumAttempts: Int = 5, baseDelay: Duration = .seconds(2), maximumDelay: Duration = .seconds(3600), jitter: Double = 0.2
    ) {
        self.maximumAttempts = maximumAttempts
        self.baseDelay = baseDelay
        self.maximumDelay = maximumDelay
        self.jitter = jitter
    }

    /// The wait after the given attempt, counted from 1: `baseDelay` doubled for each attempt before it, at most
    /// `maximumDelay`, and then longer or shorter by up to `jitter`. Never negative, whatever the numbers.
    ///
    /// `random` is a random number in 0..<1: 0 gives the shortest wait, 0.5 the one without jitter.
    public func delay(afterAttempt attempt: Int, random: Double) -> Duration {
        let longest = min(max(maximumDelay, .zero), .seconds(Int64.max))
        var delay = min(max(baseDelay, .zero), longest)
        // Ends at the latest when the longest wait is reached, so within a few dozen steps for any attempt.
        var doublings = attempt
        while doublings > 1, delay > .zero, delay < longest {
            delay = min(delay + delay, longest)
            doublings -= 1
        }
        return delay * (1 + Self.clamped(jitter, orElse: 0) * (2 * Self.clamped(random, orElse: 0.5) - 1))
    }

    /// The number within 0...1, so that no factor is negative.
    private static func clamped(_ number: Double, orElse other: Double) -> Double {
        number.isNaN ? other : min(max(number, 0), 1)
    }
}
