import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

extension TaskEngine {
    /// Waiting tasks that one transaction settles when tasks end for which they wait; the rest follow in others.
    static let settledAtOnce = 500

    /// Does what is left after tasks' rows were written.
    func settle(_ outcome: Outcome, now: Timestamp, in sql: any SQLSession) throws {
        var outcome = outcome
        var room = Self.settledAtOnce
        while !outcome.ended.isEmpty {
            let ended = outcome.ended
            outcome.ended = []
            if room > 0 { room -= try settleDependents(of: ended, atMost: room, now: now, outcome: &outcome, in: sql) }
            if room == 0 { try postpone(ended, in: sql) }
        }
        try makeReady(outcome.ready, in: sql)
        for (batch, change) in outcome.batches.sorted(by: { $0.key < $1.key }) {
            if let event = try TaskBatches.apply(change, to: batch, now: now, in: sql) { outcome.add(event) }
        }
        try EventOutbox.append(outcome.events, now: now, in: sql)
        try learn(outcome.durations, in: sql)
        try addRunning(outcome.stoppedRunning, in: sql)
        // Others may have waited for a limit that has room now.
        if !outcome.stoppedRunning.isEmpty { sql.notify(Self.workChannel, Self.anyQueue) }
    }

    /// A task that its client drives ended, in the caller's transaction: others may have waited for it, or count it.
    public func clientTaskEnded(_ taskId: String, as status: TaskStatus, in sql: any SQLSession) throws {
        let row = try sql.first("SELECT has_dependents FROM tasks WHERE task_id = $1", [.text(taskId)])
        guard let row, try row.bool("has_dependents") else { return }
        var outcome = Outcome()
        outcome.ended.append((taskId, status))
        try settle(outcome, now: surroundings.now(), in: sql)
    }

    // MARK: Those that wait for a task

    /// Those that waited for these tasks: so many less to wait for, or cancelled with that reason. Returns how many waits
    /// were settled.
    private func settleDependents(
        of ended: [(taskId: String, status: TaskStatus)], atMost limit: Int, now: Timestamp, outcome: inout Outcome,
        in sql: any SQLSession
    ) throws -> Int {
        let status = Dictionary(ended.map { ($0.taskId, $0.status) }, uniquingKeysWith: { first, _ in first })
        let waits = try sql.query(
            """
            SELECT d.task_id, d.depends_on FROM task_dependencies d JOIN tasks t ON t.task_id = d.task_id
            WHERE d.depends_on \(sql.dialect.isAny("$1")) AND t.status IN ('Pending', 'InProgress', 'Paused')
            ORDER BY d.task_id, d.depends_on LIMIT $2
            """, [sql.dialect.list(status.keys.sorted()), .int(limit)]
        ).map { (dependent: try $0.text("task_id"), dependsOn: try $0.text("depends_on")) }
        var index = 0
        while index < waits.count {
            // In the order of their ids, everywhere: who settles others at the same time waits, and is not waited for.
            let dependent = waits[index].dependent
            var dependsOn: [String] = []
            while index < waits.count, waits[index].dependent == dependent {
                dependsOn.append(waits[index].dependsOn)
                index += 1
            }
            try settle(dependent, ended: dependsOn.map { ($0, status[$0] ?? .failed) }, now: now, outcome: &outcome, in: sql)
        }
        return waits.count
    }

    private func settle(
        _ dependent: String, ended: [(taskId: String, status: TaskStatus)], now: Timestamp, outcome: inout Outcome,
        in sql: any SQLSession
    ) throws {
        let found = try sql.first(
            "SELECT \(TaskRow.columns(sql.dialect)) FROM tasks WHERE task_id = $1\(sql.dialect.forUpdate)", [.text(dependent)])
        guard let task = try found.map(TaskRow.init), !task.summary.status.isTerminal else { return }
        if let lost = ended.first(where: { $0.status != .completed }) {
            let reason = "Task \(lost.taskId), for which it waited, ended as \(lost.status.rawValue)."
            return try cancel(task, code: "DEPENDENCY_FAILED", reason: reason, now: now, outcome: &outcome, in: sql)
        }
        let settled = try sql.execute(
            "DELETE FROM task_dependencies WHERE task_id = $1 AND depends_on \(sql.dialect.isAny("$2"))",
            [.text(dependent), sql.dialect.list(ended.map(\.taskId))])
        // Somebody else was here meanwhile.
        guard settled > 0 else { return }
        try sql.execute("UPDATE tasks SET waits_for = waits_for - $2 WHERE task_id = $1", [.text(dependent), .int(settled)])
        guard task.summary.waitsFor <= settled, task.summary.status == .pending else { return }
        if task.summary.runAt.map({ $0 <= now }) ?? true {
            outcome.ready.append(ReadyTask(task))
        } else {
            sql.notify(Self.workChannel, task.queue ?? TaskQueues.drive)
        }
    }

    // MARK: The rest

    /// Notes ends for which more may wait; a worker goes on with them.
    private func postpone(_ ended: [(taskId: String, status: TaskStatus)], in sql: any SQLSession) throws {
        for (taskId, status) in ended.sorted(by: { $0.taskId < $1.taskId }) {
            try sql.execute(
                """
                INSERT INTO task_settlements (task_id, status) VALUES ($1, $2)
                ON CONFLICT (task_id) DO UPDATE SET status = excluded.status
                """, [.text(taskId), .text(status.rawValue)])
        }
    }

    /// Goes on with ends for which many wait, in transactions of `settledAtOnce`. Returns how many ends were looked at.
    func settleRest() async throws -> Int {
        var count = 0
        while try await isAnyPostponed() {
            let done = try await database.write { [self] sql -> Int in
                let rows = try sql.query(
                    "SELECT task_id, status FROM task_settlements ORDER BY task_id LIMIT 20\(sql.dialect.forUpdateSkipLocked)")
                var outcome = Outcome()
                for row in rows {
                    let taskId = try row.text("task_id")
                    try sql.execute("DELETE FROM task_settlements WHERE task_id = $1", [.text(taskId)])
                    if let status = TaskStatus(rawValue: try row.text("status")) { outcome.ended.append((taskId, status)) }
                }
                try settle(outcome, now: surroundings.now(), in: sql)
                return rows.count
            }
            // Another worker has the rest.
            guard done > 0 else { break }
            count += done
        }
        return count
    }

    private func isAnyPostponed() async throws -> Bool {
        try await database.read { sql in try sql.first("SELECT 1 AS postponed FROM task_settlements LIMIT 1") != nil }
    }

    // MARK: Ends that nobody's work brings

    /// Cancels an open task; a running one loses its lease, and its worker stops it.
    func cancel(
        _ task: TaskRow, code: String?, reason: String?, now: Timestamp, outcome: inout Outcome, in sql: any SQLSession
    ) throws {
        try close(task, on: .cancel, code: code, reason: reason, now: now, outcome: &outcome, in: sql)
    }

    private func close(
        _ task: TaskRow, on event: TaskEvent, code: String?, reason: String?, now: Timestamp, outcome: inout Outcome,
        in sql: any SQLSession
    ) throws {
        let next = try TaskLifeCycle.change(task.state, on: event, task: task.taskId).status
        guard task.summary.status != next else { return }
        try sql.execute(
            """
            UPDATE tasks SET status = $2, requested = NULL, lease_owner = NULL, fencing_token = fencing_token + 1, rank = NULL,
                error_code = $3, error_message = $4, last_activity = $5, updated_at = $5, completed_at = $5
            WHERE task_id = $1
            """, [.text(task.taskId), .text(next.rawValue), .text(code), .text(reason), .timestamp(now)])
        if task.summary.status == .inProgress { outcome.stopRunning(task.laneId) }
        outcome.add(TaskEvents.changed(next.rawValue.lowercased(), .init(task.summary), status: next, reason: reason, now: now))
        outcome.count(next, batch: task.summary.batchId)
        if task.hasDependents { outcome.ended.append((task.taskId, next)) }
        sql.notify(Self.controlChannel, task.taskId)
    }

    /// Ends the open tasks whose time is over, in transactions of `rescueBatch`. Returns how many.
    func expireDue() async throws -> Int {
        var count = 0
        while try await database.read({ [self] sql in try isAnyExpired(in: sql) }) {
            let expired = try await database.write { [self] sql -> Int in
                let now = surroundings.now()
                let rows = try sql.query(
                    """
                    SELECT \(TaskRow.columns(sql.dialect)) FROM tasks
                    WHERE expires_at <= $1 AND status IN ('Pending', 'InProgress', 'Paused') ORDER BY task_id LIMIT $2\(sql.dialect.forUpdateSkipLocked)
                    """, [.timestamp(now), .int(Self.rescueBatch)])
                var outcome = Outcome()
                for row in rows {
                    try close(
                        try TaskRow(row), on: .expire, code: "TASK_EXPIRED", reason: "It had not ended when its time was over.", now: now,
                        outcome: &outcome, in: sql)
                }
                try settle(outcome, now: now, in: sql)
                return rows.count
            }
            guard expired > 0 else { break }
            count += expired
        }
        return count
    }

    /// Whether an open task's time is over.
    func isAnyExpired(in sql: any SQLSession) throws -> Bool {
        try sql.first(
            "SELECT 1 AS expired FROM tasks WHERE expires_at <= $1 AND status IN ('Pending', 'InProgress', 'Paused') LIMIT 1",
            [.timestamp(surroundings.now())]) != nil
    }
}
