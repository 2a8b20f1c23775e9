import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging

extension TaskEngine {
    /// Timetables an account has at most.
    static let maximumSchedules = 100
    /// Where a timetable has no next time, which is refused when it is made.
    private static let unreachable = Duration.seconds(366 * 86_400)

    /// A timetable that stands in the program.
    public struct FixedSchedule: Sendable {
        public var scheduleId: String
        public var cron: CronExpression
        public var task: CreateTaskRequest

        public init(scheduleId: String, cron: CronExpression, task: CreateTaskRequest) {
            self.scheduleId = scheduleId
            self.cron = cron
            self.task = task
        }
    }

    /// Puts the server's own timetables on record. A changed one begins anew; the same one keeps its time over restarts.
    public func keep(_ schedules: [FixedSchedule]) async throws {
        let now = surroundings.now()
        let rows = try schedules.map { schedule -> [SQLValue] in
            guard let next = schedule.cron.next(after: now) else {
                throw DriveError(.invalidRequest, "The timetable \(schedule.cron) never comes.", details: ["rule": "cron"])
            }
            return [
                .text(schedule.scheduleId), .uuid(Self.systemAccount), .text(schedule.cron.description), try .encoded(schedule.task),
                .timestamp(next), .timestamp(now),
            ]
        }
        try await database.write { sql in
            for row in rows {
                try sql.execute(
                    """
                    INSERT INTO task_schedules (schedule_id, account_id, cron, task, next_run_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)
                    ON CONFLICT (schedule_id) DO UPDATE SET task = excluded.task, cron = excluded.cron, next_run_at =
                        CASE WHEN task_schedules.cron = excluded.cron THEN task_schedules.next_run_at ELSE excluded.next_run_at END
                    """, row)
            }
            sql.notify(Self.scheduleChannel, "")
        }
    }

    /// Makes the tasks whose time has come. One run at a time: while the last one is open, its time passes. Returns when the
    /// next one is due; nil where there is no timetable.
    func runDueSchedules() async throws -> Timestamp? {
        let now = surroundings.now()
        let rows = try await database.read { sql in
            try sql.query("SELECT * FROM task_schedules ORDER BY next_run_at LIMIT 1000").map { try Self.schedule($0) }
        }
        var next: Timestamp?
        for schedule in rows {
            // The server's own are made where they are known: a worker apart leaves them to it.
            if schedule.accountId == Self.systemAccount, handler(schedule.task.type, kind: schedule.task.kind) == nil { continue }
            var due = schedule.nextRunAt
            guard let cron = try? CronExpression(schedule.cron) else {
                logger.error("a timetable cannot be read", metadata: ["schedule": "\(schedule.scheduleId)", "cron": "\(schedule.cron)"])
                continue
            }
            if let regular = cron.next(after: now), due > regular {
                // The clock went back: its time is not later than it would be from now on.
                try await database.write { sql in
                    try sql.execute(
                        "UPDATE task_schedules SET next_run_at = $2 WHERE schedule_id = $1 AND next_run_at > $2",
                        [.text(schedule.scheduleId), .timestamp(regular)])
                }
                due = regular
            } else if due <= now {
                do {
                    try await run(schedule, cron: cron, now: now)
                } catch let error as DriveError where !error.code.category.mayPass {
                    // Its next time may be better: a bundle is back, a role is given again.
                    logger.warning(
                        "a timetable's task was refused", metadata: ["schedule": "\(schedule.scheduleId)", "error": "\(error)"])
                    let following = cron.next(after: now) ?? now + Self.unreachable
                    try await database.write { sql in
                        try sql.execute(
                            "UPDATE task_schedules SET next_run_at = $3 WHERE schedule_id = $1 AND next_run_at = $2",
                            [.text(schedule.scheduleId), .timestamp(schedule.nextRunAt), .timestamp(following)])
                    }
                } catch {
                    // It is due still, and is looked at again; the others are not kept waiting.
                    logger.error(
                        "a timetable's task cannot be made", metadata: ["schedule": "\(schedule.scheduleId)", "error": "\(error)"])
                    next = now + settings.pollInterval
                    continue
                }
                due = cron.next(after: now) ?? now + Self.unreachable
            }
            next = min(next ?? due, due)
        }
        return next
    }

    private func run(_ schedule: TaskSchedule, cron: CronExpression, now: Timestamp) async throws {
        let owner = try await owner(of: schedule)
        let task = try await newTask(of: schedule, by: owner)
        let following = cron.next(after: now) ?? now + Self.unreachable
        try await database.write { [self] sql in
            // Whoever changes the time makes the task.
            let isMine = try sql.execute(
                "UPDATE task_schedules SET next_run_at = $3, last_run_at = $4 WHERE schedule_id = $1 AND next_run_at = $2",
                [.text(schedule.scheduleId), .timestamp(schedule.nextRunAt), .timestamp(following), .timestamp(now)])
            // Who is disabled has nothing made.
            guard isMine == 1, owner != nil else { return }
            let enqueued = try enqueue(task, in: sql)
            guard enqueued.isNew else { return }
            try sql.execute(
                "UPDATE task_schedules SET last_task_id = $2 WHERE schedule_id = $1", [.text(schedule.scheduleId), .text(enqueued.taskId)])
        }
    }

    /// In whose name a timetable's tasks are made, with the role that the account has now; nil where it is disabled.
    private func owner(of schedule: TaskSchedule) async throws -> Caller? {
        let account = schedule.accountId
        guard account != Self.systemAccount else { return Caller(accountId: account, role: .admin) }
        return try await database.read { sql in
            let row = try sql.first("SELECT role, disabled_at FROM accounts WHERE id = $1", [.uuid(account)])
            if try row?.optionalTimestamp("disabled_at") != nil { return nil }
            return Caller(accountId: account, role: try row.flatMap { AccountRole(rawValue: try $0.text("role")) } ?? .user)
        }
    }

    private func newTask(of schedule: TaskSchedule, by owner: Caller?) async throws -> NewTask {
        let request = schedule.task
        let handler = handler(request.type, kind: request.kind)
        // Anew each time: what the account may do, the pool's limit and the size are those of now.
        var plan: TaskPlan?
        if let handler, let owner { plan = try await handler.plan(request.parameters ?? [:], by: owner) }
        return try NewTask(
            type: request.type, kind: request.kind, queue: handler?.queue ?? TaskQueues.custom(request.kind ?? request.type.rawValue),
            name: request.name ?? request.kind ?? request.type.rawValue, description: request.description, accountId: schedule.accountId,
            priority: request.priority ?? 0, parameters: plan?.parameters ?? request.parameters ?? [:], poolId: plan?.poolId,
            size: plan?.size, uniqueKey: "schedule:" + schedule.scheduleId,
            maximumAttempts: request.maxAttempts ?? handler?.policy.retry.maximumAttempts ?? RetryPolicy().maximumAttempts)
    }

    static func schedule(_ row: SQLRow) throws -> TaskSchedule {
        TaskSchedule(
            scheduleId: try row.text("schedule_id"), accountId: try row.uuid("account_id"), cron: try row.text("cron"),
            task: try row.decoded("task"), nextRunAt: try row.timestamp("next_run_at"), lastRunAt: try row.optionalTimestamp("last_run_at"),
            lastTaskId: try row.optionalText("last_task_id"))
    }

    /// After the clock went back: no task waits for its next attempt longer than the longest wait from now on.
    func shortenWaits() async throws {
        let longest = surroundings.now() + RetryPolicy().maximumDelay * 2
        let isNeeded = try await database.read { sql in
            try sql.first(
                """
                SELECT 1 AS late FROM tasks WHERE status = 'Pending' AND rank IS NULL AND run_at IS NOT NULL AND attempt > 0
                AND run_at > $1 LIMIT 1
                """, [.timestamp(longest)]) != nil
        }
        guard isNeeded else { return }
        try await database.write { sql in
            try sql.execute(
                """
                UPDATE tasks SET run_at = $1 WHERE status = 'Pending' AND rank IS NULL AND run_at IS NOT NULL AND attempt > 0
                AND run_at > $1
                """, [.timestamp(longest)])
        }
    }
}
