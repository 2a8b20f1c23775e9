import DriveModel

/// What the client asks of the world, injected so that tests decide it: time, waiting, and chance.
public struct ClientSurroundings: Sendable {
    /// A clock that only goes forward; its zero means nothing.
    public var monotonic: @Sendable () -> Duration
    /// Waits; throws `CancellationError`.
    public var sleep: @Sendable (Duration) async throws -> Void
    /// A number in 0..<1 for the jitter of retries.
    public var jitter: @Sendable () -> Double
    /// The time of day and unguessable identifiers.
    public var system: Surroundings

    public init(
        monotonic: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void,
        jitter: @escaping @Sendable () -> Double, system: Surroundings = .system
    ) {
        self.monotonic = monotonic
        self.sleep = sleep
        self.jitter = jitter
        self.system = system
    }

    /// The machine's clocks and random source.
    public static let system: ClientSurroundings = {
        let start = ContinuousClock.now
        return ClientSurroundings(
            monotonic: { ContinuousClock.now - start },
            sleep: { try await Task.sleep(for: $0) },
            jitter: { Double.random(in: 0..<1) })
    }()
}
