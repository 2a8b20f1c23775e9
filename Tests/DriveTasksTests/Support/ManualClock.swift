import DriveModel
import Synchronization

/// The time of day as a test decides it.
final class ManualClock: Sendable {
    static let start = Timestamp(seconds: 1_800_000_000)
    private let time = Mutex(start)

    var now: Timestamp { time.withLock { $0 } }

    /// Also back, by a negative duration.
    func advance(by duration: Duration) {
        time.withLock { $0 = $0 + duration }
    }

    /// A microsecond passes with each look, so that no two moments are the same.
    var surroundings: Surroundings {
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
