import EngineTestSupport
import Synchronization

/// Rung from any thread, waited at by one.
final class Doorbell: Sendable {
    private struct State {
        var isRung = false
        var rings = 0
        var waiter: CheckedContinuation<Bool, Never>?
    }

    private let state = Mutex(State())

    /// How often it was rung.
    var rings: Int { state.withLock { $0.rings } }

    func ring() {
        let waiter = state.withLock { state in
            state.rings += 1
            state.isRung = state.waiter == nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: true)
    }

    /// Returns when it was rung since the last time. Throws `TimedOut`.
    func wait(within limit: Duration = .seconds(20)) async throws {
        let timer = Task {
            try await Task.sleep(for: limit)
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: false)
        }
        defer { timer.cancel() }
        let isRung = await withCheckedContinuation { continuation in
            let isRung = state.withLock { state in
                defer { state.isRung = false }
                if !state.isRung { state.waiter = continuation }
                return state.isRung
            }
            if isRung { continuation.resume(returning: true) }
        }
        guard isRung else { throw TimedOut() }
    }
}
