import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Synchronization

/// Wakes those who wait for work of some queues, all of them over one listener: a connection of its own for each waiting
/// worker would use up the database's.
final class WorkBell: Sendable {
    /// Workers of one account that may wait at the same time.
    static let mostPerAccount = 100
    static let most = 5000

    private struct Waiter {
        var queues: Set<String>
        var account: UUID?
        var signal: WakeSignal
    }

    private struct State {
        var waiters: [Int: Waiter] = [:]
        var nextId = 0
        var listening: Task<Void, Never>?
    }

    private let state = Mutex(State())

    /// Runs `body` with a signal that sounds at work for one of these queues. Throws `RATE_LIMITED` where too many wait.
    func hearing<Result>(
        _ queues: [String], account: UUID?, database: any Database, _ body: (WakeSignal) async throws -> Result
    ) async throws -> Result {
        let signal = WakeSignal()
        let id = try state.withLock { state throws(DriveError) in
            let own = account == nil ? 0 : state.waiters.values.count { $0.account == account }
            guard own < Self.mostPerAccount, state.waiters.count < Self.most else {
                throw DriveError(
                    .rateLimited, "Too many workers wait already; ask with waitSeconds 0, or wait with fewer.",
                    details: ["rule": "waitingWorkers", "maximum": .integer(Int64(Self.mostPerAccount))], retryAfter: 5)
            }
            state.nextId += 1
            state.waiters[state.nextId] = Waiter(queues: Set(queues), account: account, signal: signal)
            if state.listening == nil { state.listening = Task { [weak self] in await Self.listen(to: database, for: self) } }
            return state.nextId
        }
        defer { state.withLock { $0.waiters[id] = nil } }
        return try await body(signal)
    }

    private static func listen(to database: any Database, for bell: WorkBell?) async {
        // Without a listener everybody looks by himself, once in a poll interval.
        guard let listener = try? database.listen(to: [TaskEngine.workChannel]) else { return }
        for await element in listener.elements {
            guard let bell else { break }
            switch element {
            case .notification(_, let queue): bell.sound(queue)
            case .reconnected: bell.sound(TaskEngine.anyQueue)
            }
        }
        await listener.close()
    }

    private func sound(_ queue: String) {
        let signals = state.withLock { state in
            state.waiters.values.filter { queue == TaskEngine.anyQueue || $0.queues.contains(queue) }.map(\.signal)
        }
        for signal in signals { signal.signal() }
    }

    /// Ends the listening.
    func stop() {
        state.withLock { $0.listening }?.cancel()
    }
}
