import Synchronization
import TestSupport

/// Opens once; who comes before that waits.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

struct TimedOut: Error {}

/// Asks again and again, where no signal can be had; the bound is only reached where the test fails.
func eventually(within limit: Duration = .seconds(10), _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw TimedOut() }
        try await Task.sleep(for: .milliseconds(5))
    }
}

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

extension Slots {
    static let sites = Slots(4)
}
