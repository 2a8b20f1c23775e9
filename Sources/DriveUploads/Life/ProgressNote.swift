import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks

/// What every transaction that keeps bytes has in common: the task's progress, and its event where one is due.
struct ProgressNote: Sendable {
    let record: UploadRecord
    let progress: Double
    let chunks: Int
    let now: Timestamp
    /// As the transaction left it.
    let throttle: ProgressThrottle

    /// Writes the task's part of the transaction. What it returns is the engine's to hear when that is committed (`tell`).
    ///
    /// Throws what an upload answers that has ended meanwhile.
    static func write(
        _ progress: Double, chunks: Int, of record: UploadRecord, now: Timestamp, in sql: any SQLSession
    ) throws -> ProgressNote {
        let task = try sql.first(
            """
            UPDATE tasks SET progress = $2, last_activity = $3, updated_at = $3 WHERE task_id = $1 AND status = 'InProgress'
            RETURNING sent_progress, sent_at
            """, [.text(record.taskId), .double(progress), .timestamp(now)])
        guard let task else { throw try ended(record, in: sql) }
        var throttle = ProgressThrottle(
            sentProgress: try task.double("sent_progress"), sentAt: try task.optionalTimestamp("sent_at") ?? record.createdAt)
        if throttle.shouldSend(progress, now: now) {
            try sql.execute(
                "UPDATE tasks SET sent_progress = $2, sent_at = $3 WHERE task_id = $1",
                [.text(record.taskId), .double(throttle.sentProgress), .timestamp(throttle.sentAt)])
            try EventOutbox.append(
                UploadEvents.progress(record, progress: progress, chunks: chunks, now: now), account: record.accountId, now: now, in: sql)
        }
        return ProgressNote(record: record, progress: progress, chunks: chunks, now: now, throttle: throttle)
    }

    /// Tells the engine what the throttle held back.
    func tell(_ engine: TaskEngine?) {
        engine?.heldProgress.note(progress, of: record.taskId, throttle: throttle, now: now) { status, lastActivity in
            try UploadEvents.progress(record, progress: progress, chunks: chunks, status: status, now: lastActivity)
                .map { try $0.outboxEvent(of: record.accountId) }
        }
    }

    /// Why an upload takes nothing any more.
    static func ended(_ record: UploadRecord, in sql: any SQLSession) throws -> DriveError {
        let status = try sql.first("SELECT status FROM tasks WHERE task_id = $1", [.text(record.taskId)])
            .flatMap { TaskStatus(rawValue: try $0.text("status")) }
        guard let status else { return UploadService.notFound(record.taskId) }
        return record.refusal(as: status)
    }
}

extension UploadRecord {
    /// What a request meets that comes to an upload of this status.
    func refusal(as status: TaskStatus) -> DriveError {
        guard UploadFace.isStream(face) else { return UploadSession.closedError(status, taskId: taskId) }
        let details: [String: JSONValue] = ["taskId": .string(taskId), "status": .string(status.rawValue)]
        switch status {
        case .completed: return DriveError(.uploadCompleted, "The upload is complete and takes nothing more.", details: details)
        case .failed:
            return DriveError(
                .uploadGone, "The upload failed: \(errorMessage ?? "its bytes could not be kept.") Create a new one.", details: details)
        case .cancelled: return DriveError(.uploadGone, "The upload was ended by its owner.", details: details)
        case .pending, .inProgress:
            return DriveError(.uploadBusy, "The upload is being completed and takes nothing now.", details: details, retryAfter: 1)
        case .expired, .paused: return UploadSession.closedError(status, taskId: taskId)
        }
    }
}
