import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import EngineTestSupport
import Synchronization

extension Engine {
    /// Operations raced: each takes PostgreSQL several round trips, and the rules are the same.
    var raceOperations: Int { self == .sqlite ? 10_000 : 600 }

    /// Runs `body` over a database that tasks are raced over: `race_steps` keeps every step of `SteppingHandler`.
    func withRaceDatabase(_ body: (any Database) async throws -> Void) async throws {
        try await with { database in
            let number = database.dialect == .sqlite ? "INTEGER PRIMARY KEY" : "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
            try await database.change(
                """
                CREATE TABLE race_steps
                    (number \(number), task_id TEXT NOT NULL, token BIGINT NOT NULL, progress DOUBLE PRECISION NOT NULL)
                """)
            try await body(database)
        }
    }
}

/// A handler that goes on by a step whenever it is told to, and keeps each in the database under its lease.
final class SteppingHandler: TaskHandler {
    static let kind = "race"
    static let steps = 4

    let type = TaskType.custom
    let kind: String? = SteppingHandler.kind
    let policy = TaskPolicy(
        retry: RetryPolicy(maximumAttempts: 2, baseDelay: .milliseconds(2), maximumDelay: .milliseconds(10)), stallAfter: .seconds(120))

    private struct State {
        var attempts: [String: AsyncStream<Void>.Continuation] = [:]
        /// Nobody tells the steps any more: every attempt runs through.
        var runsFreely = false
        /// Attempts that have begun and not ended, with a lease or without.
        var count = 0
    }

    private let state = Mutex(State())

    /// Lets the newest attempt of a task make a step; nothing where none runs.
    func step(_ taskId: String) { state.withLock { $0.attempts[taskId] }?.yield() }

    var attemptCount: Int { state.withLock { $0.count } }

    /// Lets every task's newest attempt run to its end. Older ones lost their lease and wait, until they are told so.
    func runFreely() {
        let attempts = state.withLock { state in
            state.runsFreely = true
            return Array(state.attempts.values)
        }
        for attempt in attempts { for _ in 0...Self.steps { attempt.yield() } }
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: Self.kind, parameters: parameters)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let runsFreely = state.withLock { state in
            state.attempts[task.taskId] = continuation
            state.count += 1
            return state.runsFreely
        }
        defer { state.withLock { $0.count -= 1 } }
        if runsFreely { for _ in 0...Self.steps { continuation.yield() } }
        var done = 0
        if case .integer(let kept)? = task.checkpoint { done = Int(kept) }
        var permits = stream.makeAsyncIterator()
        while done < Self.steps {
            // Nil where it was interrupted.
            _ = await permits.next()
            try task.checkInterruption()
            done += 1
            let (id, token) = (task.taskId, task.fencingToken)
            task.report(Double(done) * 20 - 5)
            _ = try await task.commit(checkpoint: .integer(Int64(done)), progress: Double(done) * 20, message: nil) { sql in
                try sql.execute(
                    "INSERT INTO race_steps (task_id, token, progress) SELECT task_id, $2, progress FROM tasks WHERE task_id = $1",
                    [.text(id), .integer(token)])
            }
            // Some fail on their way, some for good; the next attempt goes on behind that step.
            switch (task.taskId.utf8.reduce(0) { $0 &+ Int($1) } &+ done) % 11 {
            case 0: throw TaskFailure(code: "PASSING", message: "This passes.", isRetryable: true)
            case 1: throw TaskFailure(code: "FINAL", message: "This does not.", isRetryable: false)
            default: break
            }
        }
        return ["steps": .integer(Int64(done))]
    }
}
