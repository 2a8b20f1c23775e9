import Synchronization

/// Positions that a progress closure was told, in order.
final class Positions: Sendable {
    private let told = Mutex<[Int64]>([])

    var all: [Int64] { told.withLock { $0 } }

    func add(_ position: Int64) {
        told.withLock { $0.append(position) }
    }
}
