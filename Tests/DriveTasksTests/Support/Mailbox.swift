import EngineTestSupport
import Synchronization

/// Hands things from whoever makes them to the test that waits for them, in order.
final class Mailbox<Item: Sendable>: Sendable {
    private struct State {
        var items: [Item] = []
        var waiters: [(id: Int, continuation: CheckedContinuation<Item, any Error>)] = []
        var lastId = 0
    }

    private let state = Mutex(State())

    /// How many wait to be taken.
    var count: Int { state.withLock { $0.items.count } }

    func put(_ item: Item) {
        let waiter = state.withLock { state -> CheckedContinuation<Item, any Error>? in
            if state.waiters.isEmpty {
                state.items.append(item)
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        waiter?.resume(returning: item)
    }

    /// Throws `TimedOut` where none comes.
    func next(within limit: Duration = .seconds(10)) async throws -> Item {
        let id = state.withLock { state in
            state.lastId += 1
            return state.lastId
        }
        let timer = Task { [self] in
            try await Task.sleep(for: limit)
            let waiter = state.withLock { state -> CheckedContinuation<Item, any Error>? in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
                return state.waiters.remove(at: index).continuation
            }
            waiter?.resume(throwing: TimedOut())
        }
        defer { timer.cancel() }
        return try await withCheckedThrowingContinuation { continuation in
            let item = state.withLock { state -> Item? in
                if !state.items.isEmpty { return state.items.removeFirst() }
                state.waiters.append((id, continuation))
                return nil
            }
            if let item { continuation.resume(returning: item) }
        }
    }
}
