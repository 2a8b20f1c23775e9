import Synchronization
import Logging
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Foundation

extension UploadService {
    /// Cancels an upload: takes nothing more, waits for writes under way, frees the quota and the disk.
    /// Cancelling a cancelled one is fine; a completed one throws `TASK_CLOSED`.
    public func cancel(_ taskId: String, by caller: Caller) async throws {
        let record = try await find(taskId, account: caller.accountId)
        if record.status == .cancelled { return }
        if record.status.isTerminal {
            throw DriveError(
                .taskClosed, "The upload is \(record.status.rawValue.lowercased()); there is nothing to cancel.",
                details: ["taskId": .string(taskId), "status": .string(record.status.rawValue)])
        }
        guard try await end(taskId, as: .cancelled, message: "Cancelled by its owner.", code: nil, by: caller) else {
            let now = try await find(taskId, account: caller.accountId)
            if now.status == .cancelled { return }
            throw DriveError(
                .taskClosed, "The upload is \(now.status.rawValue.lowercased()); there is nothing to cancel.",
                details: ["taskId": .string(taskId), "status": .string(now.status.rawValue)])
        }
    }

    /// Ends an upload without a file. The database decides the race against complete: false where that won.
    ///
    /// - Parameter cutoff: an upload that showed a sign of life since then is not ended; nil: whatever it did.
    @discardableResult
    func end(
        _ taskId: String, as status: TaskStatus, message: String, code: String?, idleSince cutoff: Timestamp? = nil, by caller: Caller
    ) async throws -> Bool {
        let now = surroundings.now()
        let (surroundings, tasks) = (surroundings, tasks)
        let record = try await database.write { sql -> UploadRecord? in
            let changed = try sql.execute(
                """
                UPDATE upload_tasks SET status = $3, updated_at = $4, hash_state = NULL
                WHERE task_id = $1 AND account_id = $2 AND status = 0\(cutoff == nil ? "" : " AND last_activity < $5")
                """,
                [.text(taskId), .uuid(caller.accountId), .integer(status.uploadStatusCode), .timestamp(now)]
                    + (cutoff.map { [.timestamp($0)] } ?? []))
            guard changed == 1, let record = try UploadRecord.find(taskId, account: caller.accountId, in: sql) else { return nil }
            let task = try sql.first(
                """
                UPDATE tasks SET status = $2, error_message = $3, error_code = $4, updated_at = $5, last_activity = $5, completed_at = $5
                WHERE task_id = $1 RETURNING has_dependents
                """, [.text(taskId), .text(status.rawValue), .text(message), .text(code), .timestamp(now)])
            try sql.execute("DELETE FROM upload_chunks WHERE session_id = $1", [.uuid(record.id)])
            try QuotaLedger.settle(
                QuotaLedger.Demand(charge: record.reservedBytes, bytes: record.plan.fileSize), charged: 0, files: 0, for: record.accountId,
                in: sql)
            if record.face != UploadFace.direct { try QuotaLedger.closeBytes(record.plan.fileSize, pool: record.poolId, sql: sql) }
            // Behind the quota, as it writes events.
            if try task?.bool("has_dependents") == true { try tasks?.clientTaskEnded(taskId, as: status, in: sql) }
            try EventOutbox.append(
                UploadEvents.ended(record, as: status, code: code, message: message, now: now), account: record.accountId, now: now, in: sql
            )
            try AuditTrail.append(
                "upload.\(status.rawValue.lowercased())", on: "upload", id: taskId, by: caller, surroundings: surroundings, in: sql)
            return record
        }
        guard let record else { return false }
        switch sessions.withLock({ $0[SessionKey(taskId: taskId, account: caller.accountId)] }) {
        case .open(let session)?: await session.close(as: status)
        case .loading(let task)?: await (try? task.value)?.close(as: status)
        case nil: break
        }
        forget(taskId, account: caller.accountId)
        do {
            try await pools.open(record.poolId).store.removeStaging(record.stagingName)
        } catch {
            logger.warning("a staging file stays until the next sweep", metadata: ["task": "\(taskId)", "error": "\(error)"])
        }
        if Concatenation.isPartial(record) { try await endFinals(ofPart: taskId, account: caller.accountId) }
        return true
    }

    /// Extends the session: a new expiry, and a new serial, so that the caller gets a new token.
    public func extend(_ taskId: String, by caller: Caller) async throws -> UploadRecord {
        let now = surroundings.now()
        let until = now + settings.sessionLifetime
        let changed = try await database.write { sql in
            try sql.execute(
                """
                UPDATE upload_tasks SET session_expires_at = $3, last_activity = $4, updated_at = $4
                WHERE task_id = $1 AND account_id = $2 AND status = 0
                """, [.text(taskId), .uuid(caller.accountId), .timestamp(until), .timestamp(now)])
        }
        let record = try await find(taskId, account: caller.accountId)
        guard changed == 1 else {
            guard record.status == .completed else { throw UploadSession.closedError(record.status, taskId: taskId) }
            throw DriveError(.taskClosed, "The upload is complete; there is no session to extend.", details: ["taskId": .string(taskId)])
        }
        return record
    }
}
