/// How long tasks of one type and size class take, learned from those that finished.
///
/// The mean of all observations up to `memory`; after that a new one weighs as one of `memory`, so that it follows changes.
public struct DurationEstimate: Hashable, Codable, Sendable {
    /// Observations taken in.
    public var count: Int64
    /// Their mean, the later ones weighing more once there are more than `memory`.
    public var meanSeconds: Double

    /// How many observations the mean remembers.
    public static let memory: Int64 = 50
    /// Fewer observations than this are no basis for an estimate.
    public static let leastObservations: Int64 = 3

    public init(count: Int64 = 0, meanSeconds: Double = 0) {
        self.count = count
        self.meanSeconds = meanSeconds
    }

    /// The class of tasks over that many bytes, by powers of four: 0 for none or unknown, 1 for 1–3, 2 for 4–15, and so on
    /// up to 32.
    public static func sizeClass(_ size: Int64?) -> Int {
        guard let size, size > 0 else { return 0 }
        return (Int64.bitWidth - 1 - size.leadingZeroBitCount) / 2 + 1
    }

    /// Takes in one task's running time; one that is negative or not finite is ignored.
    public mutating func add(seconds: Double) {
        guard seconds.isFinite, seconds >= 0 else { return }
        merge(DurationEstimate(count: 1, meanSeconds: seconds), weight: 1)
    }

    /// Takes in what was learned elsewhere, such as by another worker; each side weighs as its count, at most `memory`.
    public mutating func merge(_ other: DurationEstimate) {
        guard other.count > 0 else { return }
        merge(other, weight: Double(min(other.count, Self.memory)))
    }

    private mutating func merge(_ other: DurationEstimate, weight: Double) {
        let own = Double(min(max(count, 0), Self.memory))
        meanSeconds += (other.meanSeconds - meanSeconds) * (weight / (own + weight))
        let (sum, overflow) = max(count, 0).addingReportingOverflow(other.count)
        count = overflow ? Int64.max : sum
    }

    /// The estimate for the next task: whole seconds, rounded up, at least 1; nil below `leastObservations`.
    public var estimatedSeconds: Int64? {
        guard count >= Self.leastObservations, meanSeconds.isFinite else { return nil }
        // A billionth less, so that the rounding errors of the mean do not cost a second.
        let seconds = (meanSeconds - 1e-9).rounded(.up)
        return max(1, Int64(exactly: seconds) ?? (seconds < 0 ? 1 : Int64.max))
    }
}
