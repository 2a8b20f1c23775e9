import DriveEvents
import DriveModel

/// The events of an upload: `task.*` always, `upload.*` beside it where the client asked.
enum UploadEvents {
    static let taskName = "Upload File"

    private static func base(_ taskId: String) -> [String: JSONValue] {
        ["taskId": .string(taskId), "name": .string(taskName), "type": .string(TaskType.fileUpload.rawValue)]
    }

    static func created(_ taskId: String, now: Timestamp) -> [DriveEvent] {
        [DriveEvent(type: "task.created", taskId: taskId, data: base(taskId).merging(["createdAt": .string("\(now)")]) { $1 })]
    }

    static func progress(
        _ record: UploadRecord, progress: Double, chunks: Int, status: TaskStatus = .inProgress, now: Timestamp
    ) -> [DriveEvent] {
        let common: [String: JSONValue] = [
            "progress": .double(progress), "status": .string(status.rawValue), "lastActivity": .string("\(now)"),
        ]
        var events = [DriveEvent(type: "task.progress", taskId: record.taskId, data: base(record.taskId).merging(common) { $1 })]
        if record.legacyEvents {
            events.append(
                legacy(
                    "upload.progress", record.taskId, record.fileName, record.plan.fileSize,
                    common.merging([
                        "chunksUploaded": .integer(Int64(chunks)), "chunksTotal": .integer(Int64(record.plan.count)),
                    ]) { $1 }))
        }
        return events
    }

    static func completed(_ taskId: String, file: CloudFile, legacyEvents: Bool, now: Timestamp) -> [DriveEvent] {
        let results: JSONValue = ["fileId": .string(file.id), "fileName": .string(file.name), "fileSize": .integer(file.size)]
        var events = [
            DriveEvent(
                type: "task.completed", taskId: taskId,
                data: base(taskId).merging(["completedAt": .string("\(now)"), "results": results]) { $1 })
        ]
        if legacyEvents {
            events.append(
                legacy(
                    "upload.completed", taskId, file.name, file.size,
                    ["fileId": .string(file.id), "completedAt": .string("\(now)")]))
        }
        return events
    }

    /// A part became a piece of another upload; it is no file of its own.
    static func concatenated(_ taskId: String, into final: String, now: Timestamp) -> [DriveEvent] {
        let facts: [String: JSONValue] = ["completedAt": .string("\(now)"), "results": ["concatenatedInto": .string(final)]]
        return [DriveEvent(type: "task.completed", taskId: taskId, data: base(taskId).merging(facts) { $1 })]
    }

    /// `paused`, `resumed`.
    static func changed(_ word: String, _ taskId: String, status: TaskStatus, now: Timestamp) -> [DriveEvent] {
        let facts: [String: JSONValue] = ["status": .string(status.rawValue), "changedAt": .string("\(now)")]
        return [DriveEvent(type: "task.\(word)", taskId: taskId, data: base(taskId).merging(facts) { $1 })]
    }

    /// Failure, cancel and expiry, with what the engine's tasks say of them: clients wait for one of the terminal words.
    static func ended(_ record: UploadRecord, as status: TaskStatus, code: String?, message: String, now: Timestamp) -> [DriveEvent] {
        let (now, message) = (JSONValue.string("\(now)"), JSONValue.string(message))
        var facts = ["errorMessage": message]
        if status == .failed {
            facts["failedAt"] = now
            facts["errorCode"] = code.map(JSONValue.string)
        } else {
            facts["changedAt"] = now
            facts["status"] = .string(status.rawValue)
        }
        var events = [
            DriveEvent(
                type: "task.\(status.rawValue.lowercased())", taskId: record.taskId, data: base(record.taskId).merging(facts) { $1 })
        ]
        if record.legacyEvents {
            events.append(
                legacy(
                    "upload.failed", record.taskId, record.fileName, record.plan.fileSize, ["failedAt": now, "errorMessage": message]))
        }
        return events
    }

    private static func legacy(
        _ type: String, _ taskId: String, _ fileName: String, _ fileSize: Int64, _ more: [String: JSONValue]
    ) -> DriveEvent {
        DriveEvent(
            type: type, taskId: taskId,
            data: more.merging([
                "taskId": .string(taskId), "fileName": .string(fileName), "fileSize": .integer(fileSize),
            ]) { $1 })
    }
}
