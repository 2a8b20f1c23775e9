import Synchronization

/// Work that was given to the I/O pool and is under way; its outcome is taken once.
///
/// Where it is done before it is asked for, asking suspends nobody.
public final class PendingWork<Output: Sendable>: Sendable {
    private enum State {
        case underWay
        case awaited(CheckedContinuation<Result<Output, any Error>, Never>)
        case done(Result<Output, any Error>)
    }

    private let state = Mutex(State.underWay)

    init() {}

    func finish(_ result: Result<Output, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Result<Output, any Error>, Never>? in
            if case .awaited(let continuation) = state { return continuation }
            state = .done(result)
            return nil
        }
        waiter?.resume(returning: result)
    }

    /// Waits for the end, also where the task is cancelled. To be called once.
    func result() async -> Result<Output, any Error> {
        if case .done(let result) = state.withLock({ $0 }) { return result }
        return await withCheckedContinuation { continuation in
            let result = state.withLock { state -> Result<Output, any Error>? in
                if case .done(let result) = state { return result }
                state = .awaited(continuation)
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }

    /// `result`, its error thrown.
    func outcome() async throws -> Output {
        try await result().get()
    }
}
