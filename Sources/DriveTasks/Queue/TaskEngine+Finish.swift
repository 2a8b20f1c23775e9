import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Synchronization

/// How an attempt ended.
enum AttemptEnd: Sendable {
    /// - results: JSON text of an object.
    case completed(results: String)
    case failed(TaskFailure, outcome: TaskAttempt.Outcome)
    /// It stopped at a safe step, as was asked; costs no attempt.
    case paused
    /// It is given back; costs no attempt.
    case released
}

/// An ended attempt, for the one transaction that many share.
struct EndedAttempt: Sendable {
    var taskId: String
    var fencingToken: Int64
    var end: AttemptEnd
    /// Its own end could not be stored; this one says so.
    var isUnwritable = false
}

extension TaskEngine {
    /// Writes how attempts ended, where they still have their lease. Returns the tasks that had lost it: nothing of theirs
    /// was written.
    func finish(_ ended: [EndedAttempt], worker: String, in sql: any SQLSession) throws -> Set<String> {
        let now = surroundings.now()
        let ended = ended.sorted { $0.taskId < $1.taskId }
        var outcome = Outcome()
        if sql.dialect == .postgresql {
            // All rows first, in one order everywhere.
            try sql.query(
                "SELECT 1 AS held FROM tasks WHERE task_id \(sql.dialect.isAny("$1")) ORDER BY task_id FOR UPDATE",
                [sql.dialect.list(ended.map(\.taskId))])
        }
        try complete(ended, now: now, outcome: &outcome, in: sql)
        for attempt in ended {
            if case .completed = attempt.end { continue }
            try end(attempt, worker: worker, now: now, outcome: &outcome, in: sql)
        }
        try settle(outcome, now: now, in: sql)
        return Set(ended.map(\.taskId)).subtracting(outcome.written)
    }

    /// What a transaction that ends tasks has still to do once their rows are written, in the order of locks: other tasks,
    /// batches, events, counters.
    struct Outcome {
        var written: Set<String> = []
        /// Those that wait for a worker from now on.
        var ready: [ReadyTask] = []
        var events: [OutboxEvent] = []
        var stoppedRunning: [Int64: Int64] = [:]
        /// Tasks that others wait for.
        var ended: [(taskId: String, status: TaskStatus)] = []
        var batches: [String: BatchChange] = [:]
        var durations: [DurationKey: DurationEstimate] = [:]

        mutating func stopRunning(_ lane: Int64?) {
            if let lane { stoppedRunning[lane, default: 0] -= 1 }
        }

        mutating func add(_ event: OutboxEvent) {
            if event.account != TaskEngine.systemAccount { events.append(event) }
        }

        mutating func count(_ status: TaskStatus, batch: String?) {
            guard let batch else { return }
            batches[batch, default: BatchChange()].add(status)
        }
    }

    // MARK: Completion

    private func complete(_ ended: [EndedAttempt], now: Timestamp, outcome: inout Outcome, in sql: any SQLSession) throws {
        var rows = SQLRows()
        var results: [String: String] = [:]
        for attempt in ended {
            guard case .completed(let text) = attempt.end else { continue }
            results[attempt.taskId] = text
            rows.append { row in
                row.add("task_id", attempt.taskId)
                row.add("token", attempt.fencingToken)
                row.add("results", json: text)
            }
        }
        guard !rows.isEmpty else { return }
        let written = try sql.query(
            """
            UPDATE tasks SET status = 'Completed', progress = 100, results = x.results, requested = NULL, lease_owner = NULL,
                checkpoint = NULL, error_code = NULL, error_message = NULL, last_activity = $2, updated_at = $2, completed_at = $2
            FROM \(sql.dialect.rows("$1", ["task_id": .text, "token": .bigint, "results": .json]))
            WHERE tasks.task_id = x.task_id AND tasks.fencing_token = x.token AND tasks.status = 'InProgress'
            RETURNING tasks.task_id, tasks.account_id, tasks.name, tasks.type, tasks.kind, tasks.lane_id, tasks.batch_id,
                tasks.has_dependents, tasks.attempt_started_at, tasks.size
            """, [rows.value, .timestamp(now)])
        for row in written {
            guard let type = TaskType(rawValue: try row.text("type")) else { continue }
            let taskId = try row.text("task_id")
            let kind = try row.optionalText("kind")
            outcome.written.insert(taskId)
            outcome.stopRunning(try row.optionalInt64("lane_id"))
            outcome.count(.completed, batch: try row.optionalText("batch_id"))
            if try row.bool("has_dependents") { outcome.ended.append((taskId, .completed)) }
            if let started = try row.optionalTimestamp("attempt_started_at") {
                let key = DurationKey(type: type, kind: kind, size: try row.optionalInt64("size"))
                outcome.durations[key, default: DurationEstimate()].add(seconds: max(0, (now - started).inSeconds))
            }
            let subject = TaskEvents.Subject(
                taskId: taskId, name: try row.text("name"), type: type, kind: kind, accountId: try row.uuid("account_id"))
            outcome.add(TaskEvents.completed(subject, results: results[taskId] ?? "{}", now: now))
        }
    }

    // MARK: Every other end

    private func end(
        _ attempt: EndedAttempt, worker: String, now: Timestamp, outcome: inout Outcome, in sql: any SQLSession
    ) throws {
        let found = try sql.first(
            "SELECT * FROM tasks WHERE task_id = $1 AND fencing_token = $2 AND status = 'InProgress'\(sql.dialect.forUpdate)",
            [.text(attempt.taskId), .integer(attempt.fencingToken)])
        guard let task = try found.map(TaskRow.init) else { return }
        outcome.written.insert(task.taskId)
        outcome.stopRunning(task.laneId)
        switch attempt.end {
        case .completed: return
        case .paused, .released:
            let event: TaskEvent = task.summary.requested == .pause ? .reachPause : .release
            try giveBack(task, to: try TaskLifeCycle.change(task.state, on: event, task: task.taskId), now: now, outcome: &outcome, in: sql)
        case .failed(let failure, let how):
            try fail(task, failure, how: how, worker: worker, now: now, outcome: &outcome, in: sql)
        }
    }

    /// A task without a lease that goes on later, where it was; its attempt does not count.
    func giveBack(_ task: TaskRow, to state: TaskState, now: Timestamp, outcome: inout Outcome, in sql: any SQLSession) throws {
        try sql.execute(
            """
            UPDATE tasks SET status = $2, requested = NULL, lease_owner = NULL, fencing_token = fencing_token + 1,
                attempt = CASE WHEN attempt > 0 THEN attempt - 1 ELSE 0 END, last_activity = $3, updated_at = $3 WHERE task_id = $1
            """, [.text(task.taskId), .text(state.status.rawValue), .timestamp(now)])
        if state.status == .paused {
            outcome.add(TaskEvents.changed("paused", .init(task.summary), status: .paused, reason: nil, now: now))
        } else {
            outcome.ready.append(ReadyTask(task))
        }
    }

    /// A failed attempt: kept, then tried again after a while, or the task is a dead letter.
    func fail(
        _ task: TaskRow, _ failure: TaskFailure, how: TaskAttempt.Outcome, worker: String, now: Timestamp, outcome: inout Outcome,
        in sql: any SQLSession
    ) throws {
        // An attempt that got further before its worker was lost is given back: it would only cost those that take long.
        let isFree = how == .lost && task.checkpointAttempt == task.summary.attempt
        let attempt = isFree ? max(0, task.summary.attempt - 1) : task.summary.attempt
        try sql.execute(
            """
            INSERT INTO task_attempts (id, task_id, attempt, outcome, error_code, error_message, worker, started_at, ended_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            [
                .uuid(newUUID(now)), .text(task.taskId), .int(task.summary.attempt), .text(how.rawValue), .text(failure.code),
                .text(failure.message), .text(worker), .timestamp(task.attemptStartedAt), .timestamp(now),
            ])
        if how == .stalled {
            let limit = handler(task.summary.type, kind: task.summary.kind)?.policy.stallAfter ?? TaskPolicy().stallAfter
            outcome.add(TaskEvents.stalled(.init(task.summary), seconds: Int64(limit.inSeconds), now: now))
        }
        guard failure.isRetryable, attempt < task.summary.maxAttempts else {
            return try bury(task, failure, now: now, outcome: &outcome, in: sql)
        }
        let state = try TaskLifeCycle.change(task.state, on: .release, task: task.taskId)
        // The first loss of a worker says nothing of the task: it runs again at once.
        let isAtOnce = how == .lost && attempt <= 1
        let policy = handler(task.summary.type, kind: task.summary.kind)?.policy.retry ?? RetryPolicy()
        let delay = max(policy.delay(afterAttempt: attempt, random: surroundings.randomFraction()), failure.retryAfter ?? .zero)
        let runAt = now + (isAtOnce ? .zero : delay)
        try sql.execute(
            """
            UPDATE tasks SET status = $2, requested = NULL, lease_owner = NULL, fencing_token = fencing_token + 1, attempt = $3,
                error_code = $4, error_message = $5, rank = CASE WHEN $6 THEN rank ELSE NULL END, run_at = $7, last_activity = $8,
                updated_at = $8, checkpoint_attempt = CASE WHEN $9 THEN 0 ELSE checkpoint_attempt END
            WHERE task_id = $1
            """,
            [
                .text(task.taskId), .text(state.status.rawValue), .int(attempt), .text(failure.code), .text(failure.message),
                .bool(isAtOnce), .timestamp(isAtOnce ? nil : runAt), .timestamp(now), .bool(isFree),
            ])
        if state.status == .paused {
            outcome.add(TaskEvents.changed("paused", .init(task.summary), status: .paused, reason: failure.message, now: now))
        } else {
            outcome.add(TaskEvents.retrying(.init(task.summary), attempt: attempt, message: failure.message, runAt: runAt, now: now))
            if isAtOnce { outcome.ready.append(ReadyTask(task)) } else { sql.notify(Self.workChannel, task.queue ?? TaskQueues.drive) }
        }
    }

    /// The last failure: a dead letter, with its reason.
    private func bury(_ task: TaskRow, _ failure: TaskFailure, now: Timestamp, outcome: inout Outcome, in sql: any SQLSession) throws {
        let state = try TaskLifeCycle.change(task.state, on: .fail, task: task.taskId)
        try sql.execute(
            """
            UPDATE tasks SET status = $2, requested = NULL, lease_owner = NULL, fencing_token = fencing_token + 1, rank = NULL,
                error_code = $3, error_message = $4, last_activity = $5, updated_at = $5, completed_at = $5, dead_at = $5
            WHERE task_id = $1
            """, [.text(task.taskId), .text(state.status.rawValue), .text(failure.code), .text(failure.message), .timestamp(now)])
        outcome.add(TaskEvents.failed(.init(task.summary), code: failure.code, message: failure.message, now: now))
        outcome.count(.failed, batch: task.summary.batchId)
        if task.hasDependents { outcome.ended.append((task.taskId, .failed)) }
    }

    // MARK: Durations

    func learn(_ durations: [DurationKey: DurationEstimate], in sql: any SQLSession) throws {
        for (key, observed) in durations.sorted(by: { ($0.key.kind, $0.key.sizeClass) < ($1.key.kind, $1.key.sizeClass) }) {
            let row = try sql.first(
                "SELECT observations, mean_seconds FROM task_durations WHERE kind = $1 AND size_class = $2\(sql.dialect.forUpdate)",
                [.text(key.kind), .int(key.sizeClass)])
            var estimate = DurationEstimate()
            if let row { estimate = DurationEstimate(count: try row.int64("observations"), meanSeconds: try row.double("mean_seconds")) }
            estimate.merge(observed)
            try sql.execute(
                """
                INSERT INTO task_durations (kind, size_class, observations, mean_seconds) VALUES ($1, $2, $3, $4)
                ON CONFLICT (kind, size_class) DO UPDATE SET observations = excluded.observations, mean_seconds = excluded.mean_seconds
                """, [.text(key.kind), .int(key.sizeClass), .integer(estimate.count), .double(estimate.meanSeconds)])
            let learned = estimate
            sql.afterCommit { [self] in self.durations.withLock { $0[key] = learned } }
        }
    }

    /// Reads what was learned, also by other servers.
    func refreshDurations() async throws {
        let rows = try await database.read { sql in
            try sql.query("SELECT * FROM task_durations").map { row in
                (
                    DurationKey(kind: try row.text("kind"), sizeClass: try row.int("size_class")),
                    DurationEstimate(count: try row.int64("observations"), meanSeconds: try row.double("mean_seconds"))
                )
            }
        }
        durations.withLock { $0 = Dictionary(rows, uniquingKeysWith: { _, last in last }) }
    }
}
