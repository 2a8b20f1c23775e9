import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging
import Synchronization

extension TaskWorker {
    /// Hears of work and of what was asked of tasks.
    func listen(to listener: any DatabaseListener) async {
        for await element in listener.elements {
            switch element {
            case .notification(TaskEngine.workChannel, _): workSignal.signal()
            case .notification(TaskEngine.scheduleChannel, _): scheduleSignal.signal()
            case .notification: attentionSignal.signal()
            case .reconnected:
                workSignal.signal()
                scheduleSignal.signal()
                attentionSignal.signal()
            }
        }
    }

    /// Looks after the running tasks: what was asked of them, their progress, those that stand still. At once when something
    /// is told, and each half second by itself, so that a lost notification costs no more than that.
    func attend() async {
        var last = ContinuousClock.now
        while !isStopped {
            await attentionSignal.wait(atMost: .milliseconds(500))
            let running = state.withLock { Array($0.running.values) }
            // The machine slept, or this process was stopped: that nothing moved meanwhile says nothing of the tasks.
            if ContinuousClock.now - last > Self.longestGap { for task in running { task.noteSign() } }
            last = .now
            guard !running.isEmpty else { continue }
            do {
                try await obeyRequests(running)
                try await writeProgress(running)
            } catch {
                logger.warning("running tasks cannot be looked after now", metadata: ["error": "\(error)"])
                // Notifications may come fast while the database fails.
                try? await Task.sleep(for: .milliseconds(200))
            }
            endStalled(running)
            abandonUnheeding()
        }
    }

    /// Between two looks at the running tasks; the regular time is half a second.
    static let longestGap = Duration.seconds(10)

    /// Compares the rows of running tasks with what runs: who lost its lease is stopped, who is to pause is told.
    private func obeyRequests(_ running: [RunningTask]) async throws {
        let rows = try await engine.database.read { [id] sql in
            try sql.query(
                "SELECT task_id, fencing_token, requested FROM tasks WHERE lease_owner = $1 AND status = 'InProgress'", [.text(id)]
            )
            .map { (taskId: try $0.text("task_id"), token: try $0.int64("fencing_token"), requested: try $0.optionalText("requested")) }
        }
        let held = Dictionary(rows.map { ($0.taskId, $0) }, uniquingKeysWith: { first, _ in first })
        for task in running {
            guard let row = held[task.taskId], row.token == task.fencingToken else {
                task.interrupt(.cancelled)
                continue
            }
            if row.requested == TaskRequest.pause.rawValue { task.interrupt(.paused) }
        }
    }

    /// Progress of all running tasks in one transaction.
    private func writeProgress(_ running: [RunningTask]) async throws {
        let now = engine.surroundings.now()
        var rows = SQLRows()
        var events: [OutboxEvent] = []
        var taken: [(RunningTask, RunningTask.Report)] = []
        for task in running {
            guard let report = task.takeProgress(now: now) else { continue }
            taken.append((task, report))
            rows.append { row in
                row.add("task_id", task.taskId)
                row.add("token", task.fencingToken)
                row.add("progress", .double(report.progress))
                if let message = report.message { row.add("message", message) }
                row.add("sent_progress", .double(report.throttle.after.sentProgress))
            }
            if report.send, task.accountId != TaskEngine.systemAccount {
                events.append(TaskEvents.progress(.init(task.claimed), progress: report.progress, message: report.message, now: now))
            }
        }
        guard !rows.isEmpty else { return }
        let (change, told) = (rows, events)
        do {
            try await writeProgress(change, told, now: now)
        } catch {
            for (task, report) in taken { task.keep(report) }
            throw error
        }
    }

    private func writeProgress(_ change: SQLRows, _ told: [OutboxEvent], now: Timestamp) async throws {
        try await engine.database.write { sql in
            let table = sql.dialect.rows(
                "$1", ["task_id": .text, "token": .bigint, "progress": .double, "message": .text, "sent_progress": .double])
            let written = try sql.query(
                """
                UPDATE tasks SET progress = CASE WHEN x.progress > tasks.progress THEN x.progress ELSE tasks.progress END,
                    status_message = COALESCE(x.message, status_message), sent_progress = x.sent_progress,
                    sent_at = CASE WHEN x.sent_progress > tasks.sent_progress THEN $2 ELSE tasks.sent_at END, last_activity = $2, updated_at = $2
                FROM \(table)
                WHERE tasks.task_id = x.task_id AND tasks.fencing_token = x.token AND tasks.status = 'InProgress' RETURNING tasks.task_id
                """, [change.value, .timestamp(now)])
            let ids = Set(try written.map { try $0.text("task_id") })
            try EventOutbox.append(told.filter { $0.taskId.map(ids.contains) ?? false }, now: now, in: sql)
        }
    }

    /// A task without a sign of progress loses its slot, and somebody is told.
    private func endStalled(_ running: [RunningTask]) {
        let now = ContinuousClock.now
        for task in running where task.interruption == nil {
            let limit = engine.handler(task.claimed.type, kind: task.claimed.kind)?.policy.stallAfter ?? TaskPolicy().stallAfter
            guard now - task.lastSign > limit else { continue }
            logger.error(
                "a task shows no progress and loses its slot",
                metadata: ["task": "\(task.taskId)", "type": "\(task.claimed.type.rawValue)", "seconds": "\(Int(limit.inSeconds))"])
            task.interrupt(.stalled)
        }
    }

    /// Handlers that do not stop when they are asked to: their slot is free without them. What they still do is fenced.
    private func abandonUnheeding() {
        let now = ContinuousClock.now
        for task in state.withLock({ Array($0.running.values) }) {
            guard let since = task.interruptedAt, now - since > engine.settings.interruptionPatience else { continue }
            logger.error("a handler does not stop; its slot is free without it", metadata: ["task": "\(task.taskId)"])
            switch task.interruption {
            case .paused: finish(task, as: .paused)
            case .stopped: finish(task, as: .released)
            case .stalled:
                let failure = TaskFailure(
                    code: "TASK_STALLED", message: "It showed no progress for too long, and did not stop.", isRetryable: true)
                finish(task, as: .failed(failure, outcome: .stalled))
            case .cancelled, .fenced, nil: finish(task, as: nil)
            }
        }
    }
}
