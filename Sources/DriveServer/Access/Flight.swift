import DriveModel
import Synchronization

/// One piece of work that many callers wait for: the first result counts and reaches all of them.
final class Flight<Value: Sendable>: Sendable {
    private enum State {
        case pending([CheckedContinuation<Result<Value, DriveError>, Never>])
        case done(Result<Value, DriveError>)
    }

    /// When the work began; what it finds is no older than this.
    let startedAt: Duration
    private let state = Mutex<State>(.pending([]))

    init(startedAt: Duration) {
        self.startedAt = startedAt
    }

    /// Gives the result to everybody who waits; later results are dropped.
    func complete(_ result: Result<Value, DriveError>) {
        let waiting = state.withLock { state -> [CheckedContinuation<Result<Value, DriveError>, Never>] in
            guard case .pending(let waiting) = state else { return [] }
            state = .done(result)
            return waiting
        }
        for continuation in waiting { continuation.resume(returning: result) }
    }

    func wait() async throws(DriveError) -> Value {
        let result = await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Result<Value, DriveError>? in
                switch state {
                case .done(let result):
                    return result
                case .pending(let waiting):
                    state = .pending(waiting + [continuation])
                    return nil
                }
            }
            if let known { continuation.resume(returning: known) }
        }
        return try result.get()
    }
}
