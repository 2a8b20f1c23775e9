import DriveModel
import Synchronization

@testable import DriveClient

/// Time that moves only where somebody waits, and a jitter of one half.
final class ManualClock: Sendable {
    private let time = Mutex(Duration.zero)

    var now: Duration { time.withLock { $0 } }

    var surroundings: ClientSurroundings {
        ClientSurroundings(
            monotonic: { self.now },
            sleep: { delay in
                try Task.checkCancellation()
                self.time.withLock { $0 += delay }
                await Task.yield()
            },
            jitter: { 0.5 })
    }
}
