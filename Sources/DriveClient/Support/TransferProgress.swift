/// How far a transfer is.
public struct TransferProgress: Hashable, Sendable {
    /// Bytes that went over; of an upload also those of chunks not yet acknowledged.
    public var bytes: Int64
    /// Bytes in all.
    public var total: Int64
    /// Bytes per second over the last seconds; nil while too little is known.
    public var bytesPerSecond: Double?

    public init(bytes: Int64, total: Int64, bytesPerSecond: Double? = nil) {
        self.bytes = bytes
        self.total = total
        self.bytesPerSecond = bytesPerSecond
    }

    /// 0 to 100.
    public var percent: Double {
        total <= 0 ? 100 : min(100, max(0, Double(bytes) / Double(total) * 100))
    }

    /// The time that remains at this speed.
    public var remaining: Duration? {
        guard let bytesPerSecond, bytesPerSecond > 0 else { return nil }
        let seconds = Double(max(0, total - bytes)) / bytesPerSecond
        return seconds < 1e9 ? .seconds(seconds) : nil
    }
}

/// The speed over a sliding window. A pure value.
struct SpeedMeter {
    private static let window: Duration = .seconds(8)
    private static let spacing: Duration = .milliseconds(200)
    private var samples: [(time: Duration, bytes: Int64)] = []

    /// Notes that `bytes` in all had gone over at a time.
    mutating func record(bytes: Int64, at time: Duration) {
        if let last = samples.last {
            // Bytes go down where a chunk failed: what was measured before says nothing any more.
            if bytes < last.bytes { samples.removeAll() } else if time - last.time < Self.spacing { return }
        }
        samples.append((time, bytes))
        while samples.count > 2, time - samples[0].time > Self.window { samples.removeFirst() }
    }

    /// Bytes per second from the oldest sample of the window until now; nil before there is half a second of samples.
    func bytesPerSecond(bytes: Int64, at time: Duration) -> Double? {
        guard let first = samples.first, time - first.time >= .milliseconds(500) else { return nil }
        let span = time - first.time
        let seconds = Double(span.components.seconds) + Double(span.components.attoseconds) / 1e18
        return Double(max(0, bytes - first.bytes)) / seconds
    }
}
