import DriveModel
import Foundation
import NIOCore
import Synchronization

/// The threads on which storage blocks. Never an event loop, never the cooperative pool.
///
/// Threads are made when they are needed, and the one that rested last works next: its stack and its allocator's memory
/// are still in the processor's caches, and a quiet server uses few.
public final class IOPool: Sendable {
    private typealias Work = @Sendable () -> Void

    /// A thread at rest, and what wakes it.
    private final class Worker: Sendable {
        let wake = DispatchSemaphore(value: 0)
    }

    private struct State {
        var queue = CircularBuffer<Work>()
        /// The last one rested last.
        var resting: [Worker] = []
        var threads = 0
        var isClosed = false
        var closeWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private enum Submission {
        case refused, queued
        case wake(Worker)
        case newThread(Int)
    }

    private let limit: Int
    private let state = Mutex(State())
    /// The memory in which ranges are read to be hashed, shared by all of them.
    let readPieces = PiecePool(total: 8 << 20, largest: 1 << 20)

    /// - Parameter count: the most threads. They live until `close`.
    public init(threads count: Int) {
        limit = max(1, count)
    }

    /// Runs `work` on a thread of the pool and returns what it returns or throws. Work that was begun is finished also where
    /// the awaiting task is cancelled, as clean-up must be. Throws `StorageError("pool", ECANCELED)` after `close`.
    public func run<Output: Sendable>(_ work: @escaping @Sendable () throws -> Output) async throws -> Output {
        try await start(work).outcome()
    }

    /// Begins `work` and returns at once.
    func start<Output: Sendable>(_ work: @escaping @Sendable () throws -> Output) -> PendingWork<Output> {
        let pending = PendingWork<Output>()
        let accepted = submit { pending.finish(Result { try work() }) }
        if !accepted { pending.finish(.failure(Self.closed)) }
        return pending
    }

    private static let closed = StorageError("pool", ECANCELED)

    /// Runs `work` some time soon; false where the pool is closed and it never will.
    @discardableResult
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let submission: Submission = state.withLock { state in
            if state.isClosed { return .refused }
            state.queue.append(work)
            if let worker = state.resting.popLast() { return .wake(worker) }
            guard state.threads < limit else { return .queued }
            state.threads += 1
            return .newThread(state.threads)
        }
        switch submission {
        case .refused: return false
        case .queued: break
        case .wake(let worker): worker.wake.signal()
        case .newThread(let number):
            let thread = Thread { [self] in serve(Worker()) }
            thread.name = "drive-io-\(number)"
            thread.stackSize = 512 << 10
            thread.start()
        }
        return true
    }

    private func serve(_ worker: Worker) {
        while true {
            let (work, isOver): (Work?, Bool) = state.withLock { state in
                if let work = state.queue.popFirst() { return (work, false) }
                if state.isClosed { return (nil, true) }
                state.resting.append(worker)
                return (nil, false)
            }
            if isOver { break }
            if let work { work() } else { worker.wake.wait() }
        }
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.threads -= 1
            guard state.threads == 0 else { return [] }
            defer { state.closeWaiters = [] }
            return state.closeWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Ends the threads after the work that was accepted.
    public func close() async {
        await withCheckedContinuation { continuation in
            let (resting, isOver) = state.withLock { state in
                state.isClosed = true
                if state.threads > 0 { state.closeWaiters.append(continuation) }
                defer { state.resting = [] }
                return (state.resting, state.threads == 0)
            }
            for worker in resting { worker.wake.signal() }
            if isOver { continuation.resume() }
        }
    }
}
