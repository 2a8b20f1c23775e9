import Synchronization

/// Wakes one waiter; signals that come while nobody waits are one.
public final class WakeSignal: Sendable {
    private enum State {
        case idle, signalled
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.idle)

    public init() {}

    public func signal() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if case .waiting(let continuation) = state {
                state = .idle
                return continuation
            }
            state = .signalled
            return nil
        }
        waiter?.resume()
    }

    /// Returns at a signal, or after `limit`; for one waiter at a time.
    public func wait(atMost limit: Duration) async {
        let timer = Task { [self] in
            try? await Task.sleep(for: limit)
            if !Task.isCancelled { signal() }
        }
        await wait()
        timer.cancel()
    }

    /// Returns at a signal.
    public func wait() async {
        await withCheckedContinuation { continuation in
            let isSignalled = state.withLock { state -> Bool in
                if case .signalled = state {
                    state = .idle
                    return true
                }
                state = .waiting(continuation)
                return false
            }
            if isSignalled { continuation.resume() }
        }
    }
}
