import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging
import Synchronization

/// An attempt under way in this process: what its handler sees, and where the worker tells it to stop.
final class RunningTask: TaskContext {
    let claimed: ClaimedTask
    let parameters: [String: JSONValue]
    let checkpoint: JSONValue?
    let logger: Logger
    private let engine: TaskEngine
    private let state: Mutex<State>

    private struct State {
        var interruption: TaskInterruption?
        var interruptedAt: ContinuousClock.Instant?
        var handler: Task<Void, Never>?
        var hasEnded = false
        var progress: MonotoneProgress
        var message: String?
        var throttle: ProgressThrottle
        /// Progress that is not in the database yet.
        var isDirty = false
        var lastSign: ContinuousClock.Instant

        mutating func take(_ send: Bool, _ before: ProgressThrottle) -> Report {
            isDirty = false
            return Report(progress: progress.value, message: message, send: send, throttle: (before, throttle))
        }
    }

    init(_ claimed: ClaimedTask, engine: TaskEngine, logger: Logger, now: Timestamp) throws {
        self.claimed = claimed
        self.engine = engine
        parameters = claimed.parameters == "{}" ? [:] : try DriveJSON.value(from: claimed.parameters)
        checkpoint = try claimed.checkpoint.map { try DriveJSON.value(from: $0) }
        self.logger = logger
        state = Mutex(
            State(
                progress: MonotoneProgress(claimed.progress),
                throttle: ProgressThrottle(sentProgress: claimed.sentProgress, sentAt: claimed.sentAt ?? now), lastSign: .now))
    }

    /// What tells attempts of one task apart.
    var key: String { "\(claimed.taskId)#\(claimed.fencingToken)" }
    var taskId: String { claimed.taskId }
    var accountId: UUID { claimed.accountId }
    var attempt: Int { claimed.attempt }
    var fencingToken: Int64 { claimed.fencingToken }
    var progress: Double { state.withLock { $0.progress.value } }
    var interruption: TaskInterruption? { state.withLock { $0.interruption } }
    /// Since when it has been asked to stop; nil where it was not.
    var interruptedAt: ContinuousClock.Instant? { state.withLock { $0.interruptedAt } }
    var lastSign: ContinuousClock.Instant { state.withLock { $0.lastSign } }

    // MARK: The worker's side

    /// The Swift task that runs the handler.
    func begin(_ handler: Task<Void, Never>) {
        let isInterrupted = state.withLock { state in
            state.handler = handler
            return state.interruption != nil
        }
        if isInterrupted { handler.cancel() }
    }

    /// Asks the handler to stop. The first reason stays, but for the loss of the lease, which outweighs all others.
    func interrupt(_ reason: TaskInterruption) {
        let handler = state.withLock { state -> Task<Void, Never>? in
            guard !state.hasEnded, state.interruption == nil || reason == .cancelled || reason == .fenced else { return nil }
            state.interruption = reason
            state.interruptedAt = state.interruptedAt ?? .now
            return state.handler
        }
        handler?.cancel()
    }

    /// Marks the attempt as over; false where somebody did so before.
    func end() -> Bool {
        state.withLock { state in
            defer { state.hasEnded = true }
            return !state.hasEnded
        }
    }

    /// Progress on its way to the database.
    struct Report {
        let progress: Double
        let message: String?
        /// Whether an event tells of it.
        let send: Bool
        /// Before it and after it.
        let throttle: (before: ProgressThrottle, after: ProgressThrottle)
    }

    /// The progress to write now; nil where there is none.
    func takeProgress(now: Timestamp) -> Report? {
        state.withLock { state in
            guard !state.hasEnded else { return nil }
            let before = state.throttle
            // A small step that was written already is told when a second has passed.
            let send = state.throttle.shouldSend(state.progress.value, now: now)
            guard state.isDirty || send else { return nil }
            return state.take(send, before)
        }
    }

    /// What it did not do until now is no sign that it stands still.
    func noteSign() {
        state.withLock { $0.lastSign = .now }
    }

    /// It could not be written; the next look tries again, and tells of it where this was to.
    func keep(_ report: Report) {
        state.withLock { state in
            state.isDirty = true
            if state.throttle == report.throttle.after { state.throttle = report.throttle.before }
        }
    }

    // MARK: The handler's side

    func checkInterruption() throws(TaskInterruption) {
        if let interruption { throw interruption }
    }

    func report(_ progress: Double, message: String?) {
        state.withLock { state in
            state.lastSign = .now
            let hasMoved = state.progress.advance(to: progress)
            guard hasMoved || (message != nil && message != state.message) else { return }
            if let message { state.message = message }
            state.isDirty = true
        }
    }

    func commit<Result: Sendable>(
        checkpoint: JSONValue?, progress: Double?, message: String?, _ change: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        try checkInterruption()
        let text = try checkpoint.map { try DriveJSON.text($0) }
        let now = engine.surroundings.now()
        let report = state.withLock { state in
            state.lastSign = .now
            if let progress { state.progress.advance(to: progress) }
            if let message { state.message = message }
            let before = state.throttle
            let send = state.throttle.shouldSend(state.progress.value, now: now)
            return state.take(send, before)
        }
        let throttle = report.throttle.after
        let claimed = claimed
        do {
            return try await engine.database.write { sql in
                let held = try sql.execute(
                    """
                    UPDATE tasks SET checkpoint = COALESCE($3, checkpoint),
                        checkpoint_attempt = CASE WHEN $3 IS NULL OR checkpoint = $3 THEN checkpoint_attempt ELSE attempt END, progress = $4,
                        status_message = COALESCE($5, status_message), sent_progress = $6, sent_at = $7, last_activity = $8, updated_at = $8
                    WHERE task_id = $1 AND fencing_token = $2 AND status = 'InProgress'
                    """,
                    [
                        .text(claimed.taskId), .integer(claimed.fencingToken), text.map { .json($0) } ?? .null, .double(report.progress),
                        .text(report.message),
                        .double(throttle.sentProgress), .timestamp(throttle.sentAt), .timestamp(now),
                    ])
                guard held == 1 else { throw TaskInterruption.fenced }
                let result = try change(sql)
                if report.send, claimed.accountId != TaskEngine.systemAccount {
                    let event = TaskEvents.progress(.init(claimed), progress: report.progress, message: report.message, now: now)
                    try EventOutbox.append([event], now: now, in: sql)
                }
                return result
            }
        } catch TaskInterruption.fenced {
            interrupt(.fenced)
            throw TaskInterruption.fenced
        } catch {
            // How far it is was to be written with the change; it is written without it.
            keep(report)
            throw error
        }
    }
}
