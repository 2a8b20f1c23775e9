import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// Workers outside of Drive, in any language: they lease Custom tasks of a kind, show signs of life, and say how it ended.
extension TaskService {
    private static let lost = DriveError(
        .leaseLost, "The lease is not yours any more: the task was cancelled, ended, or given to another worker. Stop working on it.")

    /// The next task of one of these kinds, at once or within `wait`; nil where none came.
    ///
    /// - Parameters:
    ///   - worker: the worker's name, for people.
    ///   - wait: how long to wait for a task, at most 30 s.
    public func lease(kinds: [String], worker: String, wait: Duration, in scope: TaskScope) async throws -> TaskLease? {
        guard (1...TaskRequestRules.mostKinds).contains(kinds.count) else {
            throw TaskRequestRules.refusal("kinds", "kinds has 1 to \(TaskRequestRules.mostKinds) kinds.")
        }
        for kind in kinds { try TaskRequestRules.checkKind(kind) }
        guard worker.utf8.count <= 255, !worker.unicodeScalars.contains(where: { $0.value < 32 }) else {
            throw TaskRequestRules.refusal("worker", "worker has at most 255 bytes, and no control characters.")
        }
        let queues = kinds.map { TaskQueues.custom($0) }
        let deadline = ContinuousClock.now + min(wait, .seconds(30))
        guard wait > .zero else { return try await nextLease(queues, worker: worker, until: deadline, hearing: nil, in: scope) }
        var account: UUID?
        if case .account(let id) = scope { account = id }
        // Before the first look, so that nothing that comes after it is missed.
        return try await bell.hearing(queues, account: account, database: database) { work in
            try await nextLease(queues, worker: worker, until: deadline, hearing: work, in: scope)
        }
    }

    private func nextLease(
        _ queues: [String], worker: String, until deadline: ContinuousClock.Instant, hearing work: WakeSignal?, in scope: TaskScope
    ) async throws -> TaskLease? {
        while true {
            var isHeldBack = false
            for queue in queues {
                switch try await take(queue, worker: worker, in: scope) {
                case .lease(let lease): return lease
                case .heldBack: isHeldBack = true
                case .nothing: break
                }
            }
            let left = deadline - .now
            guard let work, left > .zero, !Task.isCancelled else { return nil }
            // Where a limit holds work back, its end is told; each look at it is a write.
            await work.wait(atMost: min(left, engine.settings.pollInterval * (isHeldBack ? 5 : 1)))
        }
    }

    private enum Taking {
        case lease(TaskLease)
        /// There is work, and a limit that is reached, or another worker who was faster.
        case heldBack
        case nothing
    }

    private func take(_ queue: String, worker: String, in scope: TaskScope) async throws -> Taking {
        let (engine, leaseId) = (engine, engine.surroundings.newIdentifier())
        var account: UUID?
        if case .account(let id) = scope { account = id }
        let owner = account
        // A read first: most looks find nothing, and cost no write.
        let hasWork = try await database.read { sql -> Bool in
            var condition = "queue = $1"
            var arguments: [SQLValue] = [.text(queue)]
            if let owner {
                condition += " AND account_id = $2"
                arguments.append(.uuid(owner))
            }
            if try sql.first("SELECT 1 AS waiting FROM task_accounts WHERE \(condition) AND is_waiting LIMIT 1", arguments) != nil {
                return true
            }
            let due = try sql.first(
                """
                SELECT 1 AS due FROM tasks WHERE \(condition) AND status = 'Pending' AND rank IS NULL AND run_at IS NOT NULL
                AND run_at <= $\(arguments.count + 1) AND waits_for = 0 LIMIT 1
                """, arguments + [.timestamp(engine.surroundings.now())])
            return due != nil
        }
        guard hasWork else { return .nothing }
        if try await database.read({ sql in try engine.isAnyExpired(in: sql) }) { _ = try await engine.expireDue() }
        let settings = engine.settings
        return try await database.write { sql in
            guard let claimed = try engine.claim(1, queue: queue, worker: leaseId, account: owner, in: sql).first else { return .heldBack }
            // In the same transaction: no lease is without its worker.
            try engine.enlist(leaseId, name: worker.isEmpty ? "worker" : worker, isLease: true, in: sql)
            let task = try TaskRow.expect(claimed.taskId, in: scope, sql: sql)
            let lease = TaskLease(
                leaseId: leaseId, expiresInSeconds: Int(settings.leasePatience.inSeconds),
                heartbeatSeconds: Int(settings.heartbeat.inSeconds), task: task.summary,
                checkpoint: try task.checkpoint.map { try DriveJSON.value(from: $0) })
            return .lease(lease)
        }
    }

    /// Keeps the lease alive. Returns what was asked: a worker that reads `.pause` stops at its next safe step and calls `release`.
    /// Throws `LEASE_LOST`.
    public func heartbeat(_ leaseId: String, in scope: TaskScope) async throws -> TaskRequest? {
        let engine = engine
        return try await database.write { sql in
            let task = try Self.held(leaseId, in: scope, sql: sql)
            guard try engine.beat(leaseId, in: sql) else { throw Self.lost }
            return task.summary.requested
        }
    }

    /// The progress of a leased task, and a checkpoint for the attempt after this one; a sign of life too. Throws `LEASE_LOST`.
    public func updateTaskProgress(
        _ leaseId: String, progress: Double, message: String?, checkpoint: JSONValue?, in scope: TaskScope
    ) async throws -> TaskRequest? {
        guard progress.isFinite, (0...100).contains(progress) else {
            throw TaskRequestRules.refusal("progress", "progress must be 0 to 100.")
        }
        if let message, message.utf8.count > 1024 || message.unicodeScalars.contains("\0") {
            throw TaskRequestRules.refusal("statusMessage", "statusMessage has at most 1024 bytes, and no NUL.")
        }
        let text = try checkpoint.map { try DriveJSON.text($0) }
        if let text, let checkpoint { try Self.checkStored(text, holdsNUL: checkpoint.holdsNUL, field: "checkpoint") }
        let engine = engine
        let now = engine.surroundings.now()
        let (task, reached, note, throttle) = try await database.write { sql in
            let task = try Self.held(leaseId, in: scope, sql: sql)
            guard try engine.beat(leaseId, in: sql) else { throw Self.lost }
            var value = MonotoneProgress(task.summary.progress)
            value.advance(to: progress)
            var throttle = ProgressThrottle(sentProgress: task.sentProgress, sentAt: task.sentAt ?? task.summary.createdAt)
            let send = throttle.shouldSend(value.value, now: now)
            try sql.execute(
                """
                UPDATE tasks SET progress = $2, status_message = COALESCE($3, status_message), checkpoint = COALESCE($4, checkpoint),
                    checkpoint_attempt = CASE WHEN $4 IS NULL OR checkpoint = $4 THEN checkpoint_attempt ELSE attempt END, sent_progress = $5, sent_at = $6,
                    last_activity = $7, updated_at = $7 WHERE task_id = $1
                """,
                [
                    .text(task.taskId), .double(value.value), .text(message), text.map { .json($0) } ?? .null,
                    .double(throttle.sentProgress),
                    .timestamp(throttle.sentAt), .timestamp(now),
                ])
            let note = message ?? task.summary.statusMessage
            if send {
                let event = TaskEvents.progress(.init(task.summary), progress: value.value, message: note, now: now)
                try EventOutbox.append([event], now: now, in: sql)
            }
            return (task, value.value, note, throttle)
        }
        let subject = TaskEvents.Subject(task.summary)
        engine.heldProgress.note(reached, of: task.taskId, throttle: throttle, now: now) { status, lastActivity in
            [TaskEvents.progress(subject, progress: reached, status: status, message: note, now: lastActivity)]
        }
        return task.summary.requested
    }

    /// The task is done. Repeating it after a lost reply throws `LEASE_LOST`; the task is Completed all the same.
    public func markTaskCompleted(_ leaseId: String, results: [String: JSONValue], in scope: TaskScope) async throws -> TaskSummary {
        let text = try DriveJSON.text(results)
        try Self.checkStored(text, holdsNUL: results.holdsNUL, field: "results")
        return try await end(leaseId, as: .completed(results: text), in: scope)
    }

    /// The attempt failed; tried again where `failure.isRetryable` and attempts are left.
    public func markTaskFailed(_ leaseId: String, failure: TaskFailure, in scope: TaskScope) async throws -> TaskSummary {
        guard (1...100).contains(failure.code.utf8.count), (1...4096).contains(failure.message.utf8.count),
            !(failure.code + failure.message).unicodeScalars.contains("\0")
        else { throw TaskRequestRules.refusal("errorMessage", "errorCode has 1 to 100 bytes, errorMessage 1 to 4096, and no NUL.") }
        return try await end(leaseId, as: .failed(failure, outcome: .failed), in: scope)
    }

    /// Gives the task back: Paused where that was asked, else to another worker; costs no attempt.
    public func release(_ leaseId: String, in scope: TaskScope) async throws -> TaskSummary {
        try await end(leaseId, as: .released, in: scope)
    }

    private func end(_ leaseId: String, as end: AttemptEnd, in scope: TaskScope) async throws -> TaskSummary {
        let engine = engine
        return try await database.write { sql in
            let task = try Self.held(leaseId, in: scope, sql: sql)
            let name = try sql.first("SELECT name FROM task_workers WHERE worker_id = $1", [.text(leaseId)])?.text("name") ?? "worker"
            let ended = EndedAttempt(taskId: task.taskId, fencingToken: task.fencingToken, end: end)
            guard try engine.finish([ended], worker: name, in: sql).isEmpty else { throw Self.lost }
            try engine.dismiss(leaseId, in: sql)
            return try TaskRow.expect(task.taskId, in: scope, sql: sql).summary
        }
    }

    /// The task of a lease, locked. Throws `LEASE_LOST`.
    private static func held(_ leaseId: String, in scope: TaskScope, sql: any SQLSession) throws -> TaskRow {
        guard !leaseId.utf8.contains(0) else { throw lost }
        // The worker's row before the task's, as the rescue takes them.
        let worker = try sql.first(
            "SELECT 1 AS known FROM task_workers WHERE worker_id = $1 AND is_lease\(sql.dialect.forUpdate)", [.text(leaseId)])
        guard worker != nil else { throw lost }
        let found = try sql.first(
            "SELECT * FROM tasks WHERE lease_owner = $1 AND status = 'InProgress'\(sql.dialect.forUpdate)", [.text(leaseId)]
        ).map(TaskRow.init)
        guard let found else { throw lost }
        if case .account(let account) = scope, found.summary.accountId != account { throw lost }
        return found
    }

    private static func checkStored(_ text: String, holdsNUL: Bool, field: String) throws(DriveError) {
        guard text.utf8.count <= TaskRequestRules.maximumStoredBytes else {
            throw TaskRequestRules.refusal(field, "\(field) has at most \(TaskRequestRules.maximumStoredBytes) bytes as JSON.")
        }
        if holdsNUL { throw TaskRequestRules.refusal(field, "\(field) must not hold the character U+0000.") }
    }
}
