import Foundation
import Synchronization
import TestSupport

struct TimedOut: Error, CustomStringConvertible {
    let what: String
    var description: String { "timed out waiting for \(what)" }
}

/// Bounds a wait. The bound is only reached where the test fails.
func within<Value: Sendable>(
    _ limit: Duration, _ what: String, _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw TimedOut(what: what)
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw TimedOut(what: what) }
        return value
    }
}

/// Asks again and again, where no signal can be had because the change is in another process. Returns how long it took.
@discardableResult
func eventually(
    within limit: Duration, _ what: String, every pause: Duration = .milliseconds(25), _ condition: () async throws -> Bool
) async throws -> Duration {
    let start = ContinuousClock.now
    while true {
        let asked = ContinuousClock.now
        if try await condition() { return asked - start }
        guard ContinuousClock.now - start < limit else { throw TimedOut(what: what) }
        try await Task.sleep(for: pause)
    }
}

/// A value that comes once, and who waits for it.
final class Box<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiters: [Int: CheckedContinuation<Value, any Error>] = [:]
        var last = 0
    }

    private let state = Mutex(State())

    var current: Value? { state.withLock { $0.value } }

    /// Sets the value; a second one is ignored.
    func fill(_ value: Value) {
        let waiters = state.withLock { state in
            guard state.value == nil else { return [CheckedContinuation<Value, any Error>]() }
            state.value = value
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: value) }
    }

    /// Waits for the value. Throws `CancellationError`.
    func value() async throws -> Value {
        let id = state.withLock { state in
            state.last += 1
            return state.last
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let ready: Result<Value, any Error>? = state.withLock { state in
                    if let value = state.value { return .success(value) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let ready { continuation.resume(with: ready) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }
}

extension Slots {
    static let servers = Slots(3)
}
