import Synchronization

/// A request that appends to a stream upload, as others see it: it can be ended, and its end awaited.
final class StreamWriter: Sendable {
    private struct State {
        var isTakenOver = false
        var hasEnded = false
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var lastWaiter: UInt64 = 0
    }

    let id: StreamLedger.WriterID
    private let interrupt: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameter interrupt: makes the reader of the body fail soon.
    init(id: StreamLedger.WriterID, interrupt: @escaping @Sendable () -> Void) {
        self.id = id
        self.interrupt = interrupt
    }

    /// Whether somebody asked for its end.
    var isTakenOver: Bool { state.withLock { $0.isTakenOver } }

    /// Ends the request, and returns when what it brought is kept: true; or when `patience` is over: false.
    func end(patience: Duration) async -> Bool {
        state.withLock { $0.isTakenOver = true }
        interrupt()
        return await ended(within: patience)
    }

    /// Says that the writer has let go: its bytes are kept, and none will follow.
    func letGo() {
        let waiters = state.withLock { state in
            state.hasEnded = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    private func ended(within patience: Duration) async -> Bool {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        let deadline = ContinuousClock.now + patience
        // The timer wakes the same waiter, so that the end and the time-out are one path.
        let timer = Task { [weak self] in
            try? await Task.sleep(until: deadline, clock: .continuous)
            self?.wake(id)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.hasEnded || Task.isCancelled || ContinuousClock.now >= deadline { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            wake(id)
        }
        timer.cancel()
        return state.withLock { $0.hasEnded }
    }

    private func wake(_ id: UInt64) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
    }
}
