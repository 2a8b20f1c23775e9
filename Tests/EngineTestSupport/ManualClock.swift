import DriveModel
import Synchronization

/// The time of day as a test decides it.
public final class ManualClock: Sendable {
    /// What every clock shows first.
    public static let start = Timestamp(seconds: 1_800_000_000)

    private let time = Mutex(start)
    private let steadyStart = ContinuousClock.now

    public init() {}

    public var now: Timestamp { time.withLock { $0 } }

    /// The clock that nobody sets; here it goes with the other.
    public var steady: ContinuousClock.Instant { steadyStart + (now - Self.start) }

    /// Also back, by a negative duration.
    public func advance(by duration: Duration) {
        time.withLock { $0 = $0 + duration }
    }

    /// A microsecond passes with each look, so that no two moments are the same.
    public var surroundings: Surroundings {
        Surroundings(
            now: {
                self.time.withLock { time in
                    time = time + .microseconds(1)
                    return time
                }
            },
            randomBytes: Surroundings.system.randomBytes)
    }
}
