import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

extension TaskService {
    /// Asks for a pause: a waiting task is Paused at once, a running one when its handler comes to a safe step
    /// (`requested` says so until then). Throws `TASK_NOT_FOUND`, `TASK_STATE`, as all changes do.
    public func pauseTask(_ taskId: String, in scope: TaskScope, by caller: Caller) async throws -> TaskSummary {
        try await change(taskId, .pause, in: scope, by: caller)
    }

    public func resumeTask(_ taskId: String, in scope: TaskScope, by caller: Caller) async throws -> TaskSummary {
        try await change(taskId, .resume, in: scope, by: caller)
    }

    /// Cancels: the task is Cancelled at once; its handler, where one runs, is stopped within a second and writes nothing more.
    public func cancelTask(_ taskId: String, in scope: TaskScope, by caller: Caller) async throws -> TaskSummary {
        try await change(taskId, .cancel, in: scope, by: caller)
    }

    /// From Failed or Cancelled to Pending, with all attempts again, from the last checkpoint on.
    public func retryTask(_ taskId: String, in scope: TaskScope, by caller: Caller) async throws -> TaskSummary {
        try await change(taskId, .retry, in: scope, by: caller)
    }

    private func change(_ taskId: String, _ event: TaskEvent, in scope: TaskScope, by caller: Caller) async throws -> TaskSummary {
        let engine = engine
        let current = try await database.read { sql in try TaskRow.expect(taskId, in: scope, sql: sql).summary }
        if current.type == .fileUpload { return try await changeUpload(current, event, in: scope, by: caller) }
        return try await database.write { sql in
            let task = try engine.control(taskId, event, in: scope, sql: sql)
            try AuditTrail.append(
                "task.\(event.rawValue)", on: "task", id: taskId, by: caller, surroundings: engine.surroundings, in: sql)
            return task.summary
        }
    }

    /// An upload is driven by its client; its own service changes it.
    private func changeUpload(
        _ task: TaskSummary, _ event: TaskEvent, in scope: TaskScope, by caller: Caller
    ) async throws -> TaskSummary {
        guard let uploads else {
            throw DriveError(.notImplemented, "This service has no uploads.", details: ["rule": "type"])
        }
        var owner = caller
        owner.accountId = task.accountId
        switch event {
        case .pause: try await uploads.pauseTask(task.taskId, by: owner)
        case .resume: try await uploads.resumeTask(task.taskId, by: owner)
        case .cancel:
            _ = try TaskLifeCycle.change(TaskState(task.status), on: .cancel, task: task.taskId)
            try await uploads.cancelTask(task.taskId, by: owner)
        default:
            throw DriveError(
                .taskState, "An upload is \(task.status.rawValue) and cannot be tried again by the server; create it anew.",
                details: [
                    "rule": "type", "taskId": .string(task.taskId), "status": .string(task.status.rawValue),
                    "wanted": .string(TaskLifeCycle.goal(of: event).rawValue),
                ])
        }
        return try await self.task(task.taskId, in: scope)
    }

    /// - Parameter priority: 0 to 100. Throws `TASK_STATE` for an ended task.
    public func setPriority(_ priority: Int, of taskId: String, in scope: TaskScope, by caller: Caller) async throws -> TaskSummary {
        try TaskRequestRules.checkPriority(priority)
        let engine = engine
        return try await database.write { sql in
            let task = try engine.setPriority(priority, of: taskId, in: scope, sql: sql)
            try AuditTrail.append(
                "task.priority", on: "task", id: taskId, by: caller, details: ["priority": .integer(Int64(priority))],
                surroundings: engine.surroundings, in: sql)
            return task.summary
        }
    }

    /// Removes an ended task from the lists. Throws `TASK_STATE` for an open one.
    public func deleteTask(_ taskId: String, in scope: TaskScope, by caller: Caller) async throws {
        let engine = engine
        // Many items go in several transactions; the task is in the lists until the last of them.
        var isGone = false
        while !isGone {
            isGone = try await database.write { sql in
                let task = try TaskRow.expect(taskId, in: scope, locking: true, sql: sql)
                guard task.summary.status.isTerminal else {
                    throw DriveError(
                        .taskState, "The task is \(task.summary.status.rawValue); cancel it first, or wait for its end.",
                        details: ["taskId": .string(taskId), "status": .string(task.summary.status.rawValue), "wanted": "deleted"])
                }
                let most = TaskEngine.mostItemsRemoved
                guard try TaskEngine.removeItems(of: taskId, limit: most, in: sql) < most else { return false }
                try TaskEngine.remove(taskId, in: sql)
                try AuditTrail.append("task.delete", on: "task", id: taskId, by: caller, surroundings: engine.surroundings, in: sql)
                return true
            }
        }
    }

    /// Removes ended tasks that ended longer ago than this, uploads too; returns how many.
    public func cleanUpTasks(olderThan age: Duration, in scope: TaskScope, by caller: Caller) async throws -> Int {
        let cutoff = engine.surroundings.now() - age
        var removed = 0
        while true {
            let (count, isDone) = try await database.write { sql -> (Int, Bool) in
                var condition =
                    "completed_at IS NOT NULL AND completed_at <= $1 AND status IN ('Completed', 'Failed', 'Cancelled', 'Expired')"
                var arguments: [SQLValue] = [.timestamp(cutoff)]
                if case .account(let account) = scope {
                    condition += " AND account_id = $2"
                    arguments.append(.uuid(account))
                }
                let ids = try sql.query(
                    "SELECT task_id FROM tasks WHERE \(condition) LIMIT 200\(sql.dialect.forUpdateSkipLocked)", arguments
                )
                .map { try $0.text("task_id") }
                var (count, room) = (0, TaskEngine.mostItemsRemoved)
                for id in ids {
                    room -= try TaskEngine.removeItems(of: id, limit: room, in: sql)
                    guard room > 0 else { return (count, false) }
                    try TaskEngine.remove(id, in: sql)
                    count += 1
                }
                return (count, ids.count < 200)
            }
            removed += count
            if isDone { break }
        }
        let (engine, total) = (engine, removed)
        try await database.write { sql in
            try AuditTrail.append(
                "task.cleanup", on: "account", id: caller.accountId.lowercaseString, by: caller,
                details: ["removed": .integer(Int64(total))], surroundings: engine.surroundings, in: sql)
        }
        return removed
    }

    /// Puts dead letters back into the queue: these, or all (nil), at most 1,000. Returns their ids. An id that is no dead letter of the scope's
    /// throws `TASK_NOT_FOUND` or `TASK_STATE`, and nothing is changed.
    public func redrive(_ taskIds: [String]?, in scope: TaskScope, by caller: Caller) async throws -> [String] {
        let engine = engine
        if let taskIds {
            guard taskIds.count <= 1000 else { throw TaskRequestRules.refusal("taskIds", "taskIds has at most 1000 ids.") }
            return try await database.write { sql in
                for id in taskIds.sorted() {
                    let task = try TaskRow.expect(id, in: scope, locking: true, sql: sql).summary
                    guard task.deadAt != nil else {
                        throw DriveError(
                            .taskState, "The task is \(task.status.rawValue) and no dead letter.",
                            details: ["taskId": .string(id), "status": .string(task.status.rawValue), "wanted": "Pending"])
                    }
                    _ = try engine.control(id, .retry, in: scope, sql: sql)
                }
                try Self.auditRedrive(taskIds, by: caller, engine: engine, in: sql)
                return taskIds
            }
        }
        // What lies there now, oldest first; what fails again meanwhile is for the next call.
        let candidates = try await database.read { sql in
            var condition = "dead_at IS NOT NULL"
            var arguments: [SQLValue] = [.int(Self.mostRedriven)]
            if case .account(let account) = scope {
                condition += " AND account_id = $2"
                arguments.append(.uuid(account))
            }
            return try sql.query("SELECT task_id FROM tasks WHERE \(condition) ORDER BY dead_at, task_id LIMIT $1", arguments)
                .map { try $0.text("task_id") }
        }
        var redriven: [String] = []
        for id in candidates {
            try Task.checkCancellation()
            do {
                try await database.write { sql in
                    _ = try engine.control(id, .retry, in: scope, sql: sql)
                    try Self.auditRedrive([id], by: caller, engine: engine, in: sql)
                }
                redriven.append(id)
            } catch is DriveError {
                // It cannot be, for what it waits for; or somebody did so meanwhile.
                continue
            }
        }
        return redriven
    }

    /// Dead letters that one call puts back.
    private static let mostRedriven = 1000

    private static func auditRedrive(_ taskIds: [String], by caller: Caller, engine: TaskEngine, in sql: any SQLSession) throws {
        for id in taskIds {
            try AuditTrail.append("task.redrive", on: "task", id: id, by: caller, surroundings: engine.surroundings, in: sql)
        }
    }

    /// Cancels a batch's open tasks.
    public func cancelBatch(_ batchId: String, in scope: TaskScope, by caller: Caller) async throws -> TaskBatch {
        _ = try await batch(batchId, in: scope)
        let engine = engine
        try await database.write { sql in
            let ids = try engine.cancelAll(inBatch: batchId, sql: sql)
            try AuditTrail.append(
                "batch.cancel", on: "batch", id: batchId, by: caller, details: ["tasks": .integer(Int64(ids))],
                surroundings: engine.surroundings, in: sql)
        }
        return try await batch(batchId, in: scope)
    }
}
