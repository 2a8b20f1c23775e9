/// How a pool of PostgreSQL connections behaves. Every wait is bounded.
public struct PostgresConfiguration: Sendable {
    /// Longest run of one statement; the server cancels it and the call fails with `busy`.
    public var statementTimeout: Duration
    /// Longest pause between two statements of a transaction; the server then ends the connection.
    public var idleInTransactionTimeout: Duration
    /// Closures that may wait for a thread; beyond it a call fails with `busy` at once.
    public var maximumQueueLength: Int
    /// Prepared statements kept per connection.
    public var statementCacheSize: Int
    /// How long a call waits for a connection to come back before it fails with `unavailable`.
    public var reconnectPatience: Duration
    /// How often a closure runs at most, where the server asks for a repetition.
    public var maximumAttempts: Int
    /// A number of the range, for the jitter of waits.
    public var random: @Sendable (ClosedRange<Double>) -> Double

    public init(
        statementTimeout: Duration = .seconds(30),
        idleInTransactionTimeout: Duration = .seconds(30),
        maximumQueueLength: Int = 10_000,
        statementCacheSize: Int = 256,
        reconnectPatience: Duration = .seconds(2),
        maximumAttempts: Int = 6,
        random: @escaping @Sendable (ClosedRange<Double>) -> Double = { Double.random(in: $0) }
    ) {
        self.statementTimeout = statementTimeout
        self.idleInTransactionTimeout = idleInTransactionTimeout
        self.maximumQueueLength = maximumQueueLength
        self.statementCacheSize = statementCacheSize
        self.reconnectPatience = reconnectPatience
        self.maximumAttempts = maximumAttempts
        self.random = random
    }
}
