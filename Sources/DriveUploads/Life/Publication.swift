import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// Paths that may hold bytes without a blob row. Noted before a rename and before an unlink; the next start settles
/// what a crash left.
enum BlobIntent {
    static func note(_ path: String, pool: UUID, task: String?, now: Timestamp, in sql: any SQLSession) throws {
        try sql.execute(
            "INSERT INTO blob_intents (pool_id, storage_path, task_id, created_at) VALUES ($1, $2, $3, $4)",
            [.uuid(pool), .text(path), .text(task), .timestamp(now)])
    }

    static func clear(_ path: String, pool: UUID, in sql: any SQLSession) throws {
        try sql.execute("DELETE FROM blob_intents WHERE pool_id = $1 AND storage_path = $2", [.uuid(pool), .text(path)])
    }

    /// Clears a note that is still the task's; false where housekeeping has taken the path since, so that its bytes may be
    /// gone at any moment.
    static func claim(_ path: String, pool: UUID, task: String, in sql: any SQLSession) throws -> Bool {
        try sql.execute(
            "DELETE FROM blob_intents WHERE pool_id = $1 AND storage_path = $2 AND task_id = $3", [.uuid(pool), .text(path), .text(task)])
            == 1
    }

    /// Leaves what a task noted and needs no more to housekeeping.
    static func release(of task: String, in sql: any SQLSession) throws {
        try sql.execute("UPDATE blob_intents SET task_id = NULL WHERE task_id = $1", [.text(task)])
    }
}

/// The one transaction that makes a file of an upload: blob or one reference more, file, task, quota, events, audit.
struct Publication: Sendable {
    var fileId: String
    var taskId: String
    var accountId: UUID
    var name: String
    var size: Int64
    var contentType: String
    var hash: String
    var crc32c: UInt32
    var pool: Pool
    var expiredAt: Timestamp?
    var reservedBytes: Int64
    /// Whether the upload's bytes count as open in the pool.
    var preallocated: Bool
    var legacyEvents: Bool
    /// Bytes for accounts without a quota of their own; nil: no limit.
    var defaultQuota: Int64?
    var now: Timestamp
    /// Told where other tasks wait for this one.
    var tasks: TaskEngine?

    /// Publishes by one more reference where the pool has the same bytes; nil where it has not.
    func shareExisting(by caller: Caller, surroundings: Surroundings, in sql: any SQLSession) throws -> CloudFile? {
        let changed = try sql.execute(
            """
            UPDATE file_checksums SET reference_count = reference_count + 1, unreferenced_at = NULL
            WHERE checksum = $1 AND pool_id = $2 AND file_size = $3
            """, [.text(hash), .uuid(pool.id), .integer(size)])
        guard changed == 1 else { return nil }
        return try finish(by: caller, surroundings: surroundings, in: sql)
    }

    /// Publishes the bytes at `path`. `surplus` tells that somebody published the same bytes meanwhile, so that the
    /// path is to be removed; its intent then stays until that is done.
    func commit(
        path: String, by caller: Caller, surroundings: Surroundings, in sql: any SQLSession
    ) throws -> (file: CloudFile, surplus: Bool) {
        let row = try sql.first(
            """
            INSERT INTO file_checksums (checksum, pool_id, file_size, storage_path, crc32c, reference_count, first_seen_at)
            VALUES ($1, $2, $3, $4, $6, 1, $5)
            ON CONFLICT (checksum, pool_id) DO UPDATE SET reference_count = file_checksums.reference_count + 1, unreferenced_at = NULL
            RETURNING storage_path
            """, [.text(hash), .uuid(pool.id), .integer(size), .text(path), .timestamp(now), .integer(Int64(crc32c))])
        let surplus = try row?.text("storage_path") != path
        if !surplus { try BlobIntent.clear(path, pool: pool.id, in: sql) }
        return (try finish(by: caller, surroundings: surroundings, in: sql), surplus)
    }

    private func finish(by caller: Caller, surroundings: Surroundings, in sql: any SQLSession) throws -> CloudFile {
        // What was reserved is what is charged, whatever became of the multiplier meanwhile; only a length that was not
        // known before is charged anew.
        let charge = preallocated ? reservedBytes : pool.policy.charge(for: size)
        // The bundle may have gone since the upload began; the size is the one that was reserved.
        let row = try sql.first("SELECT bundle_id, file_size FROM upload_tasks WHERE task_id = $1", [.text(taskId)])
        let bundleId = try row?.optionalUUID("bundle_id")
        let reserved = QuotaLedger.Demand(charge: reservedBytes, bytes: try row?.int64("file_size") ?? 0)
        let file = CloudFile(
            id: fileId, name: name, size: size, contentType: contentType, hash: hash, poolId: pool.id, bundleId: bundleId, userMeta: [:],
            expiredAt: expiredAt, createdAt: now, updatedAt: now)
        let upload = try sql.execute(
            """
            UPDATE upload_tasks SET status = 1, file_id = $2, hash = $3, file_size = $4, bytes_uploaded = $4, hashed_bytes = $4, hash_state = NULL,
                chunks_uploaded = chunks_count, chunk_size = CASE WHEN chunk_size > $4 THEN $6 ELSE chunk_size END, last_activity = $5, updated_at = $5
            WHERE task_id = $1 AND status = 0
            """, [.text(taskId), .text(fileId), .text(hash), .integer(size), .timestamp(now), .integer(max(1, size))])
        let results: [String: JSONValue] = ["fileId": .string(fileId), "fileName": .string(name), "fileSize": .integer(size)]
        let task = try sql.first(
            """
            UPDATE tasks SET status = $2, progress = 100, results = $3, last_activity = $4, updated_at = $4, completed_at = $4
            WHERE task_id = $1 AND status = $5 RETURNING has_dependents
            """,
            [
                .text(taskId), .text(TaskStatus.completed.rawValue), .encoded(results), .timestamp(now),
                .text(TaskStatus.inProgress.rawValue),
            ])
        guard upload == 1, let task else { throw try lostRace(in: sql) }
        try sql.execute(
            """
            INSERT INTO files (id, account_id, name, name_folded, size, content_type, hash, pool_id, bundle_id, charged_bytes,
                user_meta, task_id, expired_at, created_at, updated_at)
            VALUES ($1, $2, $3, $13, $4, $5, $6, $7, $8, $9, '{}', $10, $11, $12, $12)
            """,
            [
                .text(fileId), .uuid(accountId), .text(name), .integer(size), .text(contentType), .text(hash), .uuid(pool.id),
                .uuid(bundleId),
                .integer(charge), .text(taskId), .timestamp(expiredAt), .timestamp(now), .text(FileName.folded(name)),
            ])
        let usage = try QuotaLedger.settle(reserved, charged: charge, files: 1, for: accountId, in: sql)
        if preallocated { try QuotaLedger.closeBytes(size, pool: pool.id, sql: sql) }
        // Appends events, as what follows: the row of the account's events comes after all others in the order of locks.
        if try task.bool("has_dependents") { try tasks?.clientTaskEnded(taskId, as: .completed, in: sql) }
        // The end of the task comes last: who waits for it has then seen the rest.
        var events = [FileEvents.created(file, by: taskId)]
        if let warning = FileEvents.quotaWarning(usage, rise: charge, default: defaultQuota, now: now) { events.append(warning) }
        events += UploadEvents.completed(taskId, file: file, legacyEvents: legacyEvents, now: now)
        try EventOutbox.append(events, account: accountId, now: now, in: sql)
        try AuditTrail.append(
            "file.create", on: "file", id: fileId, by: caller, details: ["taskId": .string(taskId), "size": .integer(size)],
            surroundings: surroundings, in: sql)
        return file
    }

    /// Cancel, expiry or another completion came first: this transaction is undone.
    private func lostRace(in sql: any SQLSession) throws -> DriveError {
        guard let record = try UploadRecord.find(taskId, account: accountId, in: sql) else { return UploadService.notFound(taskId) }
        return record.refusal(as: record.status)
    }
}
