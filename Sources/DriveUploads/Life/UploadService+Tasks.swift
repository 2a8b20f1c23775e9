import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation
import Logging
import Synchronization

/// Uploads as tasks of the one list: their owner pauses, resumes and cancels them there, and their client meets the answer.
extension UploadService: ClientDrivenTasks {
    /// Pauses an upload: it takes no bytes until it is resumed (`TASK_PAUSED`), and keeps what it has. Throws `TASK_STATE`.
    public func pauseTask(_ taskId: String, by caller: Caller) async throws {
        // Nobody but its client drives it, so a pause is reached when no write is under way any more.
        let change = try await changeStatus(of: taskId, by: caller, word: "paused") { state throws(DriveError) in
            if state.status == .paused { return state }
            let asked = try TaskLifeCycle.change(state, on: .pause, task: taskId)
            return asked.requested == nil ? asked : try TaskLifeCycle.change(asked, on: .reachPause, task: taskId)
        }
        guard change else { return }
        switch sessions.withLock({ $0[SessionKey(taskId: taskId, account: caller.accountId)] }) {
        case .open(let session)?: await session.close(as: .paused)
        case .loading(let task)?: await (try? task.value)?.close(as: .paused)
        case nil: break
        }
        // Opened again from its rows, when it goes on.
        forget(taskId, account: caller.accountId)
    }

    /// Lets a paused upload take bytes again. Throws `TASK_STATE`.
    public func resumeTask(_ taskId: String, by caller: Caller) async throws {
        forget(taskId, account: caller.accountId)
        _ = try await changeStatus(of: taskId, by: caller, word: "resumed") { state throws(DriveError) in
            try TaskLifeCycle.change(TaskLifeCycle.change(state, on: .resume, task: taskId), on: .start, task: taskId)
        }
    }

    public func cancelTask(_ taskId: String, by caller: Caller) async throws {
        try await cancel(taskId, by: caller)
    }

    /// Changes the task's status by the one rule; false where it was so already.
    private func changeStatus(
        of taskId: String, by caller: Caller, word: String, _ rule: @escaping @Sendable (TaskState) throws(DriveError) -> TaskState
    ) async throws -> Bool {
        let now = surroundings.now()
        let surroundings = surroundings
        return try await database.write { sql in
            // The upload's row before the task's, as who keeps bytes takes them: two chunks and a pause would wait in a circle. Not that of
            // an ended one, which a removal takes last.
            _ = try sql.first(
                "SELECT 1 AS held FROM upload_tasks WHERE task_id = $1 AND account_id = $2 AND status = 0\(sql.dialect.forUpdate)",
                [.text(taskId), .uuid(caller.accountId)])
            let row = try sql.first(
                "SELECT status FROM tasks WHERE task_id = $1 AND account_id = $2\(sql.dialect.forUpdate)",
                [.text(taskId), .uuid(caller.accountId)])
            guard let row, let status = TaskStatus(rawValue: try row.text("status")),
                let record = try UploadRecord.find(taskId, account: caller.accountId, in: sql)
            else { throw Self.notFound(taskId) }
            let next = try rule(TaskState(status))
            guard next.status != status else { return false }
            guard record.face != UploadFace.direct else {
                throw DriveError(
                    .taskState,
                    "An upload of one request is \(status.rawValue) until that request ends; it cannot become \(next.status.rawValue).",
                    details: [
                        "rule": "face", "taskId": .string(taskId), "status": .string(status.rawValue),
                        "wanted": .string(next.status.rawValue),
                    ])
            }
            try sql.execute(
                "UPDATE tasks SET status = $2, last_activity = $3, updated_at = $3 WHERE task_id = $1",
                [.text(taskId), .text(next.status.rawValue), .timestamp(now)])
            // Time spent in a pause is no staleness.
            try sql.execute(
                "UPDATE upload_tasks SET last_activity = $2, updated_at = $2 WHERE task_id = $1", [.text(taskId), .timestamp(now)])
            try EventOutbox.append(
                UploadEvents.changed(word, taskId, status: next.status, now: now), account: caller.accountId, now: now, in: sql)
            try AuditTrail.append("upload.\(word)", on: "upload", id: taskId, by: caller, surroundings: surroundings, in: sql)
            return true
        }
    }

    /// Whether a chunk is kept already.
    public func isChunkUploaded(_ taskId: String, chunkIndex: Int, account: UUID) async throws -> Bool {
        try await database.read { sql in
            guard let record = try UploadRecord.find(taskId, account: account, in: sql) else { throw Self.notFound(taskId) }
            guard record.plan.size(of: chunkIndex) != nil else { return false }
            if record.status == .completed { return true }
            return try sql.first(
                "SELECT 1 AS kept FROM upload_chunks WHERE session_id = $1 AND chunk_index = $2", [.uuid(record.id), .int(chunkIndex)])
                != nil
        }
    }
}
