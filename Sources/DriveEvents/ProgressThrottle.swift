import DriveModel

/// When a progress event is worth sending. A pure value: it moved at least 5 points since the last one sent, or it
/// moved at all and a second has passed, or it is the last.
public struct ProgressThrottle: Hashable, Sendable {
    /// A smaller step waits so long after the last event.
    public static let interval = Duration.seconds(1)

    /// 0 to 100.
    public private(set) var sentProgress: Double
    public private(set) var sentAt: Timestamp

    public init(sentProgress: Double, sentAt: Timestamp) {
        self.sentProgress = sentProgress
        self.sentAt = sentAt
    }

    /// Whether to send `progress` now; if so it counts as sent. Progress never goes back.
    public mutating func shouldSend(_ progress: Double, now: Timestamp) -> Bool {
        guard progress > sentProgress else { return false }
        guard progress - sentProgress >= 5 || progress >= 100 || now - sentAt >= Self.interval else { return false }
        sentProgress = progress
        sentAt = now
        return true
    }

    /// Whether `progress` was held back: it is to be sent when the interval has passed, unless something newer is.
    public func holds(_ progress: Double) -> Bool { progress > sentProgress }
}
