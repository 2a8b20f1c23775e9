import DriveModel
import Foundation
import GRDB
import Logging
import Synchronization

/// The one writer of an SQLite database: queued closures run in one transaction, each under a savepoint, with one
/// COMMIT, and so one fsync, for all.
///
/// No result leaves before the COMMIT. Where a closure throws, its savepoint alone is undone. Where the transaction
/// itself is lost (disk full, I/O error, failing COMMIT), every closure of the group fails retryably. A group is
/// bounded in closures and in time, so that nobody waits for many others.
final class GroupCommitWriter: Sendable {
    static let maximumJobs = 128
    static let maximumTime = Duration.milliseconds(50)
    static let maximumQueue = 10_000

    private struct Queue {
        var jobs: [any GroupJob] = []
        var isClosed = false
        var closeWaiters: [CheckedContinuation<Void, Never>] = []
        var hasEnded = false
    }

    private let queue = Mutex(Queue())
    private let wake = DispatchSemaphore(value: 0)
    private let pool: DatabasePool
    private let statements: SQLiteStatementCaches
    private let sink: any NotificationSink
    private let logger: Logger
    private let faults: Faults
    private let beforeCommit: (@Sendable () throws -> Void)?

    init(
        pool: DatabasePool, statements: SQLiteStatementCaches, sink: any NotificationSink, logger: Logger, faults: Faults,
        beforeCommit: (@Sendable () throws -> Void)?
    ) {
        self.pool = pool
        self.statements = statements
        self.sink = sink
        self.logger = logger
        self.faults = faults
        self.beforeCommit = beforeCommit
        let thread = Thread { [self] in run() }
        thread.name = "drive-db-writer"
        thread.stackSize = 1 << 20
        thread.start()
    }

    var queueLength: Int { queue.withLock { $0.jobs.count } }

    func perform<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let job = Job(body: body, sink: sink, continuation: continuation)
            let refusal: DatabaseError? = queue.withLock { queue in
                if queue.isClosed { return DatabaseError(.unavailable, "the database is closed") }
                if queue.jobs.count >= Self.maximumQueue { return DatabaseError(.busy, "too many writes wait already") }
                queue.jobs.append(job)
                return nil
            }
            if let refusal {
                continuation.resume(throwing: refusal)
            } else {
                wake.signal()
            }
        }
    }

    /// Returns after the accepted jobs are done and the thread has left the database.
    func close() async {
        await withCheckedContinuation { continuation in
            let ended = queue.withLock { queue in
                queue.isClosed = true
                if !queue.hasEnded { queue.closeWaiters.append(continuation) }
                return queue.hasEnded
            }
            if ended { continuation.resume() }
            wake.signal()
        }
    }

    private func run() {
        while true {
            wake.wait()
            let (jobs, closed) = queue.withLock { queue in
                let count = min(queue.jobs.count, Self.maximumJobs)
                let taken = Array(queue.jobs.prefix(count))
                queue.jobs.removeFirst(count)
                return (taken, queue.isClosed)
            }
            if !jobs.isEmpty {
                let remaining = commit(jobs)
                if !remaining.isEmpty { queue.withLock { $0.jobs.insert(contentsOf: remaining, at: 0) } }
            }
            let left = queue.withLock { $0.jobs.count }
            if left > 0 {
                wake.signal()
            } else if closed {
                break
            }
        }
        let waiters = queue.withLock { queue in
            queue.hasEnded = true
            defer { queue.closeWaiters = [] }
            return queue.closeWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Runs a group and tells every job its outcome; returns the jobs for which no time was left.
    private func commit(_ jobs: [any GroupJob]) -> [any GroupJob] {
        var done = 0
        var failure: DatabaseError?
        do {
            try pool.writeWithoutTransaction { connection in
                do {
                    try connection.execute(sql: "BEGIN IMMEDIATE")
                    done = try runAll(jobs, on: connection)
                    try beforeCommit?()
                    if case .fail(let number) = faults.hit("database.commit.before") {
                        throw DatabaseError(number == Faults.noSpace ? .full : .ioFailure, "injected fault")
                    }
                    try connection.execute(sql: "COMMIT")
                    _ = faults.hit("database.commit.after")
                } catch {
                    if connection.isInsideTransaction { try? connection.execute(sql: "ROLLBACK") }
                    throw error
                }
            }
        } catch {
            var reason = DatabaseError(any: error)
            if !reason.isRetryable { reason.kind = .ioFailure }
            failure = reason
            done = jobs.count
            logger.error("a group of writes failed", metadata: ["jobs": "\(jobs.count)", "error": "\(reason)"])
        }
        for job in jobs.prefix(done) { job.finish(failure) }
        return Array(jobs.dropFirst(done))
    }

    private func runAll(_ jobs: [any GroupJob], on connection: GRDB.Database) throws -> Int {
        let session = SQLiteSession(connection, caches: statements)
        let start = ContinuousClock.now
        for (index, job) in jobs.enumerated() {
            if index > 0, ContinuousClock.now - start > Self.maximumTime { return index }
            try session.execute("SAVEPOINT job")
            if !job.run(in: session) {
                // FULL, IOERR, NOMEM and BUSY may have rolled back all of it, not one savepoint.
                guard connection.isInsideTransaction else {
                    throw DatabaseError(.ioFailure, "SQLite rolled the whole transaction back")
                }
                try session.execute("ROLLBACK TO job")
            }
            try session.execute("RELEASE job")
        }
        return jobs.count
    }
}

private protocol GroupJob: Sendable {
    /// Runs the closure and keeps its result; false where it threw.
    func run(in session: SQLiteSession) -> Bool
    /// Hands the kept result to the caller, or the group's failure.
    func finish(_ failure: DatabaseError?)
}

// Unchecked: after it was queued, a job is touched by the writer's thread alone, and its result leaves by the
// continuation once; the queue's lock orders the hand-over.
private final class Job<Result: Sendable>: GroupJob, @unchecked Sendable {
    private let body: @Sendable (any SQLSession) throws -> Result
    private let continuation: CheckedContinuation<Result, any Error>
    private var outcome: Swift.Result<Result, any Error>?
    private let hooks: CommitHooks

    init(
        body: @escaping @Sendable (any SQLSession) throws -> Result, sink: any NotificationSink,
        continuation: CheckedContinuation<Result, any Error>
    ) {
        self.body = body
        hooks = CommitHooks(sink: sink)
        self.continuation = continuation
    }

    func run(in session: SQLiteSession) -> Bool {
        let result = Swift.Result { try body(session.with(hooks)) }
        outcome = result
        if case .failure = result { return false }
        return true
    }

    func finish(_ failure: DatabaseError?) {
        if let failure {
            continuation.resume(throwing: failure)
        } else {
            if case .success? = outcome { hooks.run() }
            continuation.resume(with: outcome ?? .failure(DatabaseError(.unavailable, "the write did not run")))
        }
    }
}
