import Synchronization

/// The right to write one chunk's bytes, which can be taken away. Who takes it waits for the write under way, so
/// that no late write touches bytes of somebody else.
final class ChunkClaim: Sendable {
    private struct State {
        var isRevoked = false
        var isWriting = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let index: Int
    let id: UInt64
    private let state = Mutex(State())

    /// - Parameter isWaiting: whether the claim begins by waiting for another one's write; `endWrite` ends that. Who takes
    ///   this claim away meanwhile waits for both.
    init(index: Int, id: UInt64, isWaiting: Bool) {
        self.index = index
        self.id = id
        state.withLock { $0.isWriting = isWaiting }
    }

    var isRevoked: Bool { state.withLock { $0.isRevoked } }

    /// Marks a write as under way; false where the right was taken away.
    func beginWrite() -> Bool {
        state.withLock { state in
            guard !state.isRevoked else { return false }
            state.isWriting = true
            return true
        }
    }

    func endWrite() {
        let waiters = state.withLock { state in
            state.isWriting = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Takes the right away and returns when no write is under way.
    func revoke() async {
        await withCheckedContinuation { continuation in
            let idle = state.withLock { state in
                state.isRevoked = true
                if state.isWriting { state.waiters.append(continuation) }
                return !state.isWriting
            }
            if idle { continuation.resume() }
        }
    }
}
