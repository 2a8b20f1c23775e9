import Dispatch
import Synchronization

/// Closures that wait for one of the pool's threads, first come, first served.
final class PostgresWorkQueue: Sendable {
    typealias Job = @Sendable (PostgresWorker) -> Void

    private struct State {
        /// Jobs before `next` are done with; taking from the front of an array would move all the others.
        var jobs: [Job?] = []
        var next = 0
        var isClosed = false

        var count: Int { jobs.count - next }

        mutating func takeFirst() -> Job? {
            guard next < jobs.count else { return nil }
            let job = jobs[next]
            jobs[next] = nil
            next += 1
            if next == jobs.count || next >= 1024 {
                jobs.removeFirst(next)
                next = 0
            }
            return job
        }
    }

    private let state = Mutex(State())
    private let maximumLength: Int
    private let threads: Int
    /// One signal per job, and one per thread at the end.
    private let signals = DispatchSemaphore(value: 0)

    init(threads: Int, maximumLength: Int) {
        self.threads = threads
        self.maximumLength = maximumLength
    }

    var count: Int { state.withLock { $0.count } }

    /// Throws `busy` where too many wait already, `unavailable` after `close`.
    func add(_ job: @escaping Job) throws(DatabaseError) {
        let refusal: DatabaseError? = state.withLock { state in
            guard !state.isClosed else { return DatabaseError(.unavailable, "the database is closed") }
            guard state.count < maximumLength else {
                return DatabaseError(.busy, "\(maximumLength) calls wait for a database connection already")
            }
            state.jobs.append(job)
            return nil
        }
        if let refusal { throw refusal }
        signals.signal()
    }

    /// Waits for a job; nil when the queue is closed and empty. Blocks, so it is for the pool's threads alone.
    func next() -> Job? {
        signals.wait()
        return state.withLock { $0.takeFirst() }
    }

    /// No more jobs from now on; the waiting ones are still done.
    func refuseMore() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        for _ in 0..<threads { signals.signal() }
    }
}
