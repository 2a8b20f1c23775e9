import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// The events of a task, in the spec's shape.
enum TaskEvents {
    /// What names a task in its events.
    struct Subject: Sendable {
        var taskId: String
        var name: String
        var type: TaskType
        var kind: String?
        var accountId: UUID

        init(taskId: String, name: String, type: TaskType, kind: String?, accountId: UUID) {
            self.taskId = taskId
            self.name = name
            self.type = type
            self.kind = kind
            self.accountId = accountId
        }

        init(_ task: TaskSummary) {
            self.init(taskId: task.taskId, name: task.name, type: task.type, kind: task.kind, accountId: task.accountId)
        }

        init(_ task: ClaimedTask) {
            self.init(taskId: task.taskId, name: task.name, type: task.type, kind: task.kind, accountId: task.accountId)
        }
    }

    static func created(_ subject: Subject, now: Timestamp) -> OutboxEvent {
        event("task.created", subject, ["createdAt": .string("\(now)")])
    }

    static func progress(
        _ subject: Subject, progress: Double, status: TaskStatus = .inProgress, message: String?, now: Timestamp
    ) -> OutboxEvent {
        var data: [String: JSONValue] = [
            "progress": .double(progress), "status": .string(status.rawValue), "lastActivity": .string("\(now)"),
        ]
        if let message { data["statusMessage"] = .string(message) }
        return event("task.progress", subject, data)
    }

    /// - Parameter results: JSON text of an object.
    static func completed(_ subject: Subject, results: String, now: Timestamp) -> OutboxEvent {
        event("task.completed", subject, ["completedAt": .string("\(now)")], raw: ("results", results))
    }

    static func failed(_ subject: Subject, code: String, message: String, now: Timestamp) -> OutboxEvent {
        event("task.failed", subject, ["failedAt": .string("\(now)"), "errorCode": .string(code), "errorMessage": .string(message)])
    }

    static func retrying(_ subject: Subject, attempt: Int, message: String, runAt: Timestamp, now: Timestamp) -> OutboxEvent {
        event(
            "task.retrying", subject,
            [
                "attempt": .integer(Int64(attempt)), "errorMessage": .string(message), "runAt": .string("\(runAt)"),
                "changedAt": .string("\(now)"),
            ])
    }

    /// The alert that a running task shows no progress.
    static func stalled(_ subject: Subject, seconds: Int64, now: Timestamp) -> OutboxEvent {
        event("task.stalled", subject, ["stalledAt": .string("\(now)"), "secondsWithoutProgress": .integer(seconds)])
    }

    /// `task.paused`, `task.resumed`, `task.cancelled`, `task.expired`.
    static func changed(_ word: String, _ subject: Subject, status: TaskStatus, reason: String?, now: Timestamp) -> OutboxEvent {
        var data: [String: JSONValue] = ["status": .string(status.rawValue), "changedAt": .string("\(now)")]
        if let reason { data["errorMessage"] = .string(reason) }
        return event("task.\(word)", subject, data)
    }

    private static func event(
        _ type: String, _ subject: Subject, _ data: [String: JSONValue], raw: (name: String, json: String)? = nil
    ) -> OutboxEvent {
        var writer = JSONObjectWriter()
        writer.add("taskId", subject.taskId)
        writer.add("name", subject.name)
        writer.add("type", subject.type.rawValue)
        if let kind = subject.kind { writer.add("kind", kind) }
        for (name, value) in data { writer.add(name, value) }
        if let raw { writer.add(raw.name, json: raw.json) }
        return OutboxEvent(account: subject.accountId, type: type, taskId: subject.taskId, data: writer.text)
    }
}
