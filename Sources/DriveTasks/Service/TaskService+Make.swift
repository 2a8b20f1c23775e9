import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

extension TaskService {
    /// Makes a task. With an idempotency key the first answer comes again; with the unique key of an open task, that one:
    /// `isNew` is false for both.
    ///
    /// Throws `INVALID_REQUEST` naming the rule, `TASK_NOT_FOUND` for an unknown dependency, `TASK_STATE` for one that failed,
    /// `TOO_MANY_TASKS`, and what the type's own rules refuse.
    public func createTask(
        _ request: CreateTaskRequest, idempotencyKey: String?, by caller: Caller
    ) async throws -> (task: TaskSummary, isNew: Bool) {
        let fingerprint = FingerprintText.of(try DriveJSON.text(request))
        if let idempotencyKey,
            let taskId = try await Idempotency.answer(
                idempotencyKey, operation: "task", fingerprint: fingerprint, account: caller.accountId, as: [String].self,
                database: database
            )?.first
        {
            return (try await task(taskId, in: .account(caller.accountId)), false)
        }
        let new = try await newTask(request, by: caller)
        try await openTasks.expectRoom(
            for: 1, account: caller.accountId, most: engine.settings.maximumOpenPerAccount, database: database)
        let engine = engine
        do {
            return try await database.write { sql in
                let enqueued = try engine.enqueue(new, in: sql)
                if let idempotencyKey {
                    try Idempotency.remember(
                        idempotencyKey, operation: "task", fingerprint: fingerprint, account: caller.accountId, taskId: enqueued.taskId,
                        response: [enqueued.taskId], now: engine.surroundings.now(), in: sql)
                }
                if enqueued.isNew {
                    try AuditTrail.append(
                        "task.create", on: "task", id: enqueued.taskId, by: caller, details: ["type": .string(request.type.rawValue)],
                        surroundings: engine.surroundings, in: sql)
                }
                return (
                    try TaskRow.expect(enqueued.taskId, in: .account(caller.accountId), sql: sql).summary, enqueued.isNew
                )
            }
        } catch let error as DatabaseError {
            // The same key at the same time: the other one's answer is the answer.
            guard case .uniqueViolation = error.kind, let idempotencyKey,
                let taskId = try await Idempotency.answer(
                    idempotencyKey, operation: "task", fingerprint: fingerprint, account: caller.accountId, as: [String].self,
                    database: database)?.first
            else { throw error }
            return (try await task(taskId, in: .account(caller.accountId)), false)
        }
    }

    /// A request, checked by the general rules and its type's.
    func newTask(_ request: CreateTaskRequest, by caller: Caller) async throws -> NewTask {
        try TaskRequestRules.check(request, now: engine.surroundings.now())
        let handler = engine.handler(request.type, kind: request.kind)
        let plan: TaskPlan
        if let handler {
            plan = try await handler.plan(request.parameters ?? [:], by: caller)
        } else if request.type == .custom, let kind = request.kind {
            // For a worker outside: what its parameters mean is its own matter.
            plan = TaskPlan(name: kind, parameters: request.parameters ?? [:])
        } else {
            throw DriveError(
                .notImplemented, "Tasks of type \(request.type.rawValue) are not available yet.",
                details: ["rule": "type", "type": .string(request.type.rawValue)])
        }
        let new = try NewTask(
            type: request.type, kind: request.kind, queue: handler?.queue ?? TaskQueues.custom(request.kind ?? ""),
            name: request.name ?? plan.name, description: request.description, accountId: caller.accountId,
            priority: request.priority ?? 0, parameters: plan.parameters, poolId: plan.poolId, size: plan.size, runAt: request.runAt,
            dependsOn: request.dependsOn ?? [], uniqueKey: request.uniqueKey,
            maximumAttempts: request.maxAttempts ?? handler?.policy.retry.maximumAttempts ?? RetryPolicy().maximumAttempts)
        try TaskRequestRules.checkParameters(new.parameters)
        return new
    }

    // MARK: Batches

    /// Makes 1 to 1,000 tasks at once, all or none, as a group. `dependsOn` may name an earlier one of the group as `#0`, `#1`….
    /// Throws as `createTask`, with the task's place in the details (`index`).
    public func createBatch(
        name: String, tasks: [CreateTaskRequest], idempotencyKey: String?, by caller: Caller
    ) async throws -> TaskBatch {
        struct Request: Encodable {
            var name: String
            var tasks: [CreateTaskRequest]
        }
        let fingerprint = FingerprintText.of(try DriveJSON.text(Request(name: name, tasks: tasks)))
        if let idempotencyKey,
            let known = try await Idempotency.answer(
                idempotencyKey, operation: "batch", fingerprint: fingerprint, account: caller.accountId, as: [String].self,
                database: database)?.first
        {
            return try await batch(known, in: .account(caller.accountId))
        }
        guard (1...255).contains(name.utf8.count), !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
            throw TaskRequestRules.refusal("name", "A batch's name has 1 to 255 bytes, and no control characters.")
        }
        guard (1...TaskRequestRules.maximumBatch).contains(tasks.count) else {
            throw TaskRequestRules.refusal("tasks", "A batch has 1 to \(TaskRequestRules.maximumBatch) tasks.")
        }
        let batchId = engine.newTaskId(engine.surroundings.now())
        var news: [NewTask] = []
        for (index, request) in tasks.enumerated() {
            do {
                if request.uniqueKey != nil { throw TaskRequestRules.refusal("uniqueKey", "A task of a batch has no unique key.") }
                var new = try await newTask(request, by: caller)
                new.batchId = batchId
                news.append(new)
            } catch var error as DriveError {
                error.details["index"] = .integer(Int64(index))
                throw error
            }
        }
        try await openTasks.expectRoom(
            for: news.count, account: caller.accountId, most: engine.settings.maximumOpenPerAccount, database: database)
        let (engine, all) = (engine, news)
        do {
            return try await database.write { sql in
                let now = engine.surroundings.now()
                try TaskBatches.insert(batchId, name: name, total: all.count, account: caller.accountId, now: now, in: sql)
                _ = try engine.enqueue(all, in: sql)
                if let idempotencyKey {
                    try Idempotency.remember(
                        idempotencyKey, operation: "batch", fingerprint: fingerprint, account: caller.accountId, taskId: batchId,
                        response: [batchId], now: now, in: sql)
                }
                try AuditTrail.append(
                    "batch.create", on: "batch", id: batchId, by: caller, details: ["tasks": .integer(Int64(all.count))],
                    surroundings: engine.surroundings, in: sql)
                guard let batch = try TaskBatches.find(batchId, in: .account(caller.accountId), sql: sql) else {
                    throw DatabaseError(.unexpectedResult, "the batch is not there")
                }
                return batch
            }
        } catch let error as DatabaseError {
            // The same key at the same time: the other one's answer is the answer.
            guard case .uniqueViolation = error.kind, let idempotencyKey,
                let known = try await Idempotency.answer(
                    idempotencyKey, operation: "batch", fingerprint: fingerprint, account: caller.accountId, as: [String].self,
                    database: database)?.first
            else { throw error }
            return try await batch(known, in: .account(caller.accountId))
        }
    }

    // MARK: Timetables

    /// Makes a task again and again by a timetable, one at a time.
    public func createSchedule(cron: String, task: CreateTaskRequest, by caller: Caller) async throws -> TaskSchedule {
        let timetable = try CronExpression(cron)
        let now = engine.surroundings.now()
        guard let next = timetable.next(after: now) else {
            throw TaskRequestRules.refusal("cron", "The timetable \(cron) never comes.")
        }
        if let second = timetable.next(after: next), second - next < .seconds(60) {
            throw TaskRequestRules.refusal("cron", "A timetable's task is made once a minute at most.")
        }
        guard task.runAt == nil, task.dependsOn?.isEmpty ?? true, task.uniqueKey == nil else {
            throw TaskRequestRules.refusal("task", "A timetable's task has no runAt, dependsOn or uniqueKey of its own.")
        }
        // What its type's rules make of it is what is stored.
        let checked = try await newTask(task, by: caller)
        var stored = task
        stored.name = checked.name
        stored.parameters = try DriveJSON.value(from: checked.parameters)
        let (request, id, account) = (stored, engine.newTaskId(now), caller.accountId)
        let (json, engine) = (try SQLValue.encoded(request), engine)
        return try await database.write { sql in
            let count =
                try sql.first("SELECT COUNT(*) AS total FROM task_schedules WHERE account_id = $1", [.uuid(account)])?.int("total") ?? 0
            guard count < TaskEngine.maximumSchedules else {
                throw DriveError(
                    .tooManyTasks, "An account has at most \(TaskEngine.maximumSchedules) timetables.",
                    details: ["rule": "maximumSchedules"])
            }
            try sql.execute(
                """
                INSERT INTO task_schedules (schedule_id, account_id, cron, task, next_run_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)
                """, [.text(id), .uuid(account), .text(timetable.description), json, .timestamp(next), .timestamp(now)])
            try AuditTrail.append(
                "schedule.create", on: "schedule", id: id, by: caller, details: ["cron": .string(timetable.description)],
                surroundings: engine.surroundings, in: sql)
            sql.notify(TaskEngine.scheduleChannel, id)
            return TaskSchedule(
                scheduleId: id, accountId: account, cron: timetable.description, task: request, nextRunAt: next, lastRunAt: nil,
                lastTaskId: nil)
        }
    }

    /// Throws `NOT_FOUND`. Tasks it made stay.
    public func deleteSchedule(_ scheduleId: String, in scope: TaskScope, by caller: Caller) async throws {
        let engine = engine
        try await database.write { sql in
            let removed: Int
            switch scope {
            case .account(let account):
                removed = try sql.execute(
                    "DELETE FROM task_schedules WHERE schedule_id = $1 AND account_id = $2", [.text(scheduleId), .uuid(account)])
            case .everybody: removed = try sql.execute("DELETE FROM task_schedules WHERE schedule_id = $1", [.text(scheduleId)])
            }
            guard removed == 1 else { throw DriveError(.notFound, "There is no timetable with this id.") }
            try AuditTrail.append(
                "schedule.delete", on: "schedule", id: scheduleId, by: caller, surroundings: engine.surroundings, in: sql)
        }
    }
}

/// A short text that two equal requests share; not secret, and never shown.
enum FingerprintText {
    /// FNV-1a of 64 bits, and the length: it tells apart what a client sends by mistake under one key.
    static func of(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return "\(String(hash, radix: 16))-\(text.utf8.count)"
    }
}
