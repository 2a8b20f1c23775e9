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
        let once = try once("task", request, key: idempotencyKey, by: caller)
        let created = try await once.once {
            try await task($0, in: .account(caller.accountId))
        } make: {
            let new = try await newTask(request, by: caller)
            try await openTasks.expectRoom(
                for: 1, account: caller.accountId, most: engine.settings.maximumOpenPerAccount, database: database)
            let engine = engine
            return try await database.write { sql in
                let enqueued = try Self.namingDependency(of: [new], in: sql) { try engine.enqueue(new, in: sql) }
                try once.remember(enqueued.taskId, now: engine.surroundings.now(), in: sql)
                if enqueued.isNew {
                    try AuditTrail.append(
                        "task.create", on: "task", id: enqueued.taskId, by: caller, details: ["type": .string(request.type.rawValue)],
                        surroundings: engine.surroundings, in: sql)
                }
                return (try TaskRow.expect(enqueued.taskId, in: .account(caller.accountId), sql: sql).summary, enqueued.isNew)
            }
        }
        return (created.made, created.isNew)
    }

    private func once(
        _ operation: String, _ request: some Encodable, key: String?, by caller: Caller
    ) throws -> IdempotentRequest {
        IdempotentRequest(
            key: key, operation: operation, fingerprint: try Idempotency.fingerprint(of: request), account: caller.accountId,
            database: database)
    }

    /// Says of a refused dependency which one it is.
    private static func namingDependency<Enqueued>(
        of tasks: [NewTask], in sql: any SQLSession, _ enqueue: () throws -> Enqueued
    ) throws -> Enqueued {
        do {
            return try enqueue()
        } catch var error as DriveError where error.code == .taskNotFound || error.code == .taskState {
            for (index, task) in tasks.enumerated() {
                for id in task.dependsOn where !id.hasPrefix("#") && id.utf8.count <= 64 {
                    let status = try TaskRow.find(id, in: .account(task.accountId), sql: sql)?.summary.status
                    guard error.code == .taskNotFound ? status == nil : status?.isTerminal == true && status != .completed else { continue }
                    error.message =
                        status.map { "dependsOn names \(id), which is \($0.rawValue)." }
                        ?? "dependsOn names \(id); there is no such task."
                    error.details["rule"] = "dependsOn"
                    error.details["taskId"] = .string(id)
                    if tasks.count > 1 { error.details["index"] = .integer(Int64(index)) }
                    throw error
                }
            }
            throw error
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
            expiresAt: request.expiresAt, dependsOn: request.dependsOn ?? [], uniqueKey: request.uniqueKey,
            maximumAttempts: request.maxAttempts ?? handler?.policy.retry.maximumAttempts ?? RetryPolicy().maximumAttempts)
        try TaskRequestRules.checkParameters(new.parameters)
        return new
    }

    // MARK: Batches

    /// Makes 1 to 1,000 tasks at once, all or none, as a group. `dependsOn` may name an earlier one of the group as `#0`, `#1`….
    /// With an idempotency key the first answer comes again; `isNew` is false then.
    ///
    /// Throws as `createTask`, with the task's place in the details (`index`).
    public func makeBatch(
        name: String, tasks: [CreateTaskRequest], idempotencyKey: String?, by caller: Caller
    ) async throws -> (batch: TaskBatch, isNew: Bool) {
        struct Request: Encodable {
            var name: String
            var tasks: [CreateTaskRequest]
        }
        let once = try once("batch", Request(name: name, tasks: tasks), key: idempotencyKey, by: caller)
        let created = try await once.once {
            try await batch($0, in: .account(caller.accountId))
        } make: {
            let batchId = engine.newTaskId(engine.surroundings.now())
            let all = try await newTasks(tasks, ofBatch: batchId, named: name, by: caller)
            try await openTasks.expectRoom(
                for: all.count, account: caller.accountId, most: engine.settings.maximumOpenPerAccount, database: database)
            let engine = engine
            return try await database.write { sql in
                let now = engine.surroundings.now()
                try TaskBatches.insert(batchId, name: name, total: all.count, account: caller.accountId, now: now, in: sql)
                _ = try Self.namingDependency(of: all, in: sql) { try engine.enqueue(all, in: sql) }
                try once.remember(batchId, now: now, in: sql)
                try AuditTrail.append(
                    "batch.create", on: "batch", id: batchId, by: caller, details: ["tasks": .integer(Int64(all.count))],
                    surroundings: engine.surroundings, in: sql)
                guard let batch = try TaskBatches.find(batchId, in: .account(caller.accountId), sql: sql) else {
                    throw DatabaseError(.unexpectedResult, "the batch is not there")
                }
                return (batch, true)
            }
        }
        return (created.made, created.isNew)
    }

    /// As `makeBatch`, where it is all the same whether the batch is new.
    public func createBatch(
        name: String, tasks: [CreateTaskRequest], idempotencyKey: String?, by caller: Caller
    ) async throws -> TaskBatch {
        try await makeBatch(name: name, tasks: tasks, idempotencyKey: idempotencyKey, by: caller).batch
    }

    private func newTasks(
        _ requests: [CreateTaskRequest], ofBatch batchId: String, named name: String, by caller: Caller
    ) async throws -> [NewTask] {
        guard (1...255).contains(name.utf8.count), !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
            throw TaskRequestRules.refusal("name", "A batch's name has 1 to 255 bytes, and no control characters.")
        }
        guard (1...TaskRequestRules.maximumBatch).contains(requests.count) else {
            throw TaskRequestRules.refusal("tasks", "A batch has 1 to \(TaskRequestRules.maximumBatch) tasks.")
        }
        var news: [NewTask] = []
        for (index, request) in requests.enumerated() {
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
        return news
    }

    // MARK: Timetables

    /// Makes a task again and again by a timetable, one at a time. With an idempotency key the timetable that it made before is the
    /// answer; `isNew` is false then.
    public func makeSchedule(
        cron: String, task: CreateTaskRequest, idempotencyKey: String?, by caller: Caller
    ) async throws -> (schedule: TaskSchedule, isNew: Bool) {
        struct Request: Encodable {
            var cron: String
            var task: CreateTaskRequest
        }
        let once = try once("timetable", Request(cron: cron, task: task), key: idempotencyKey, by: caller)
        let created = try await once.once {
            try await schedule($0, in: .account(caller.accountId))
        } make: {
            (try await newSchedule(cron: cron, task: task, once, by: caller), true)
        }
        return (created.made, created.isNew)
    }

    /// As `makeSchedule`, without a key.
    public func createSchedule(cron: String, task: CreateTaskRequest, by caller: Caller) async throws -> TaskSchedule {
        try await makeSchedule(cron: cron, task: task, idempotencyKey: nil, by: caller).schedule
    }

    private func newSchedule(
        cron: String, task: CreateTaskRequest, _ once: IdempotentRequest, by caller: Caller
    ) async throws -> TaskSchedule {
        let timetable = try CronExpression(cron)
        let now = engine.surroundings.now()
        guard let next = timetable.next(after: now) else {
            throw TaskRequestRules.refusal("cron", "The timetable \(cron) never comes.")
        }
        if let second = timetable.next(after: next), second - next < .seconds(60) {
            throw TaskRequestRules.refusal("cron", "A timetable's task is made once a minute at most.")
        }
        guard task.runAt == nil, task.expiresAt == nil, task.dependsOn?.isEmpty ?? true, task.uniqueKey == nil else {
            throw TaskRequestRules.refusal("task", "A timetable's task has no runAt, expiresAt, dependsOn or uniqueKey of its own.")
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
            try once.remember(id, now: now, in: sql)
            try AuditTrail.append(
                "schedule.create", on: "schedule", id: id, by: caller, details: ["cron": .string(timetable.description)],
                surroundings: engine.surroundings, in: sql)
            sql.notify(TaskEngine.scheduleChannel, id)
            return TaskSchedule(
                scheduleId: id, accountId: account, cron: timetable.description, task: request, nextRunAt: next, lastRunAt: nil,
                lastTaskId: nil)
        }
    }

    /// Throws `NOT_FOUND`, and `FORBIDDEN` for one of the server's own. Tasks it made stay.
    public func deleteSchedule(_ scheduleId: String, in scope: TaskScope, by caller: Caller) async throws {
        let engine = engine
        try await database.write { sql in
            guard let schedule = try Self.schedule(scheduleId, in: scope, sql: sql) else { throw Self.noSchedule }
            guard schedule.accountId != TaskEngine.systemAccount else {
                throw DriveError(.forbidden, "The server's own timetables stay.", details: ["rule": "scheduleId"])
            }
            let removed = try sql.execute("DELETE FROM task_schedules WHERE schedule_id = $1", [.text(scheduleId)])
            guard removed == 1 else { throw Self.noSchedule }
            try AuditTrail.append(
                "schedule.delete", on: "schedule", id: scheduleId, by: caller, surroundings: engine.surroundings, in: sql)
        }
    }
}
