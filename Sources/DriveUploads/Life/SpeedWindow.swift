/// How fast bytes arrive, over the last ten seconds. A pure value.
public struct SpeedWindow: Sendable {
    private static let span = Duration.seconds(10)
    private var samples: [(at: ContinuousClock.Instant, bytes: Int64)] = []

    public init() {}

    public mutating func add(_ bytes: Int64, at now: ContinuousClock.Instant) {
        samples.append((now, bytes))
        // One sample a chunk; the window forgets in steps, so that the array is moved rarely.
        if samples.count > 64 { samples.removeAll { now - $0.at > Self.span } }
        if samples.count > 4096 { samples.removeFirst(2048) }
    }

    /// Bytes per second; 0 where nothing came in the window.
    public func bytesPerSecond(at now: ContinuousClock.Instant) -> Double {
        let recent = samples.filter { now - $0.at <= Self.span }
        guard let first = recent.first else { return 0 }
        let span = max(now - first.at, .seconds(1))
        let seconds = Double(span.components.seconds) + Double(span.components.attoseconds) / 1e18
        return Double(recent.reduce(0) { $0 + $1.bytes }) / seconds
    }
}
