import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// Everything a new upload's rows need.
struct UploadDraft: Sendable {
    var id: UUID
    var taskId: String
    var fileName: String
    var contentType: String
    var plan: ChunkPlan
    var pool: Pool
    var bundleId: UUID?
    /// Hex, or empty where the client announced none.
    var hash: String
    var expiredAt: Timestamp?
    var legacyEvents: Bool
    var face: String
    var bootId: String
    var now: Timestamp
    var sessionExpiresAt: Timestamp
    var isLengthDeferred = false
    var metadata: String?
    var concatenation: String?

    var charge: Int64 { pool.policy.charge(for: plan.fileSize) }
    var demand: QuotaLedger.Demand { QuotaLedger.Demand(charge: charge, bytes: plan.fileSize) }

    /// Reserves the quota and writes the task, the upload and their event.
    func insert(by caller: Caller, opensBytes: Bool = false, settings: UploadSettings, surroundings: Surroundings, in sql: any SQLSession)
        throws
    {
        try QuotaLedger.reserve(demand, for: caller.accountId, settings: settings, in: sql)
        let parameters: [String: JSONValue] = [
            "fileName": .string(fileName), "fileSize": .integer(plan.fileSize), "contentType": .string(contentType),
            "poolId": .string(pool.id.lowercaseString),
        ]
        try sql.execute(
            """
            INSERT INTO tasks (id, task_id, name, type, status, account_id, parameters, results, last_activity, created_at, updated_at,
                started_at, sent_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', $8, $8, $8, $8, $8)
            """,
            [
                .uuid(id), .text(taskId), .text(UploadEvents.taskName), .text(TaskType.fileUpload.rawValue),
                .text(TaskStatus.inProgress.rawValue), .uuid(caller.accountId), .encoded(parameters), .timestamp(now),
            ])
        try sql.execute(
            """
            INSERT INTO upload_tasks (id, task_id, file_name, file_name_folded, file_size, content_type, chunk_size, chunks_count,
                pool_id, bundle_id, expired_at, hash, account_id, status, legacy_events, reserved_bytes, session_expires_at, staging_path, boot_id, face,
                last_activity, created_at, updated_at, length_deferred, metadata, concatenation)
            VALUES ($1, $2, $3, $19, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14, $15, $2, $16, $17, $18, $18, $18, $20, $21, $22)
            """,
            [
                .uuid(id), .text(taskId), .text(fileName), .integer(plan.fileSize), .text(contentType), .integer(plan.chunkSize),
                .int(plan.count), .uuid(pool.id), .uuid(bundleId), .timestamp(expiredAt), .text(hash), .uuid(caller.accountId),
                .bool(legacyEvents), .integer(charge), .timestamp(sessionExpiresAt), .text(bootId), .text(face), .timestamp(now),
                .text(FileName.folded(fileName)), .bool(isLengthDeferred), .text(metadata), .text(concatenation),
            ])
        // Before the events, as everywhere.
        if opensBytes { try QuotaLedger.openBytes(plan.fileSize, in: pool, sql: sql) }
        try EventOutbox.append(UploadEvents.created(taskId, now: now), account: caller.accountId, now: now, in: sql)
        if face != UploadFace.direct {
            try AuditTrail.append(
                "upload.create", on: "upload", id: taskId, by: caller, details: ["fileSize": .integer(plan.fileSize)],
                surroundings: surroundings, in: sql)
        }
    }
}
