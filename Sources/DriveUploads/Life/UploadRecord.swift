import DriveDatabase
import DriveModel
import Foundation

/// A row of `upload_tasks` with the status of its `tasks` row, which is the truth.
public struct UploadRecord: Sendable {
    public let id: UUID
    public let taskId: String
    public let accountId: UUID
    public let fileName: String
    public let contentType: String
    public let plan: ChunkPlan
    public let poolId: UUID
    public let bundleId: UUID?
    /// The SHA-256 the client announced, in hex.
    public let hash: String?
    public let expiredAt: Timestamp?
    public let reservedBytes: Int64
    public let legacyEvents: Bool
    public let face: String
    public let stagingName: String
    public let bootId: String
    public let hashedBytes: Int64
    public let hashState: [UInt8]?
    public let chunksUploaded: Int
    public let bytesUploaded: Int64
    public let fileId: String?
    public let status: TaskStatus
    public let errorMessage: String?
    public let sessionExpiresAt: Timestamp
    public let sessionSerial: Int
    public let lastActivity: Timestamp
    public let createdAt: Timestamp
    public let updatedAt: Timestamp
    /// Whether nobody has said yet how many bytes there will be: the plan's are those reserved so far.
    public let isLengthDeferred: Bool
    /// Text of the client's own.
    public let metadata: String?
    /// `partial`, or the text of a final upload (tus, concatenation).
    public let concatenation: String?
    /// Where bytes begin that count only if a digest matches; they came before a crash where it is set at a start.
    public let pendingFrom: Int64?
    /// Whether the client's last body came whole and was to end the upload.
    public let isEnded: Bool
    /// Set where the owner ended the upload's address after it was complete.
    public let deletedAt: Timestamp?

    /// The columns `init(row:)` reads, from `upload_tasks u JOIN tasks t`.
    public static let columns = """
        u.id, u.task_id, u.account_id, u.file_name, u.file_size, u.content_type, u.chunk_size, u.chunks_uploaded,
        u.bytes_uploaded, u.pool_id, u.bundle_id, u.expired_at, u.hash, u.reserved_bytes, u.legacy_events, u.face,
        u.staging_path, u.boot_id, u.hashed_bytes, u.hash_state, u.file_id, u.session_expires_at, u.session_serial,
        u.last_activity, u.created_at, u.updated_at, u.length_deferred, u.metadata, u.concatenation, u.pending_from, u.is_ended, u.deleted_at,
        t.status AS task_status, t.error_message
        """
    public static let tables = "upload_tasks u JOIN tasks t ON t.task_id = u.task_id"

    public init(row: SQLRow) throws {
        id = try row.uuid("id")
        taskId = try row.text("task_id")
        accountId = try row.uuid("account_id")
        fileName = try row.text("file_name")
        contentType = try row.text("content_type")
        plan = ChunkPlan(fileSize: try row.int64("file_size"), chunkSize: try row.int64("chunk_size"))
        poolId = try row.uuid("pool_id")
        bundleId = try row.optionalUUID("bundle_id")
        let announced = try row.text("hash")
        hash = announced.isEmpty ? nil : announced
        expiredAt = try row.optionalTimestamp("expired_at")
        reservedBytes = try row.int64("reserved_bytes")
        legacyEvents = try row.bool("legacy_events")
        face = try row.text("face")
        stagingName = try row.text("staging_path")
        bootId = try row.text("boot_id")
        hashedBytes = try row.int64("hashed_bytes")
        hashState = try row.optionalBlob("hash_state")
        chunksUploaded = try row.int("chunks_uploaded")
        bytesUploaded = try row.int64("bytes_uploaded")
        fileId = try row.optionalText("file_id")
        guard let status = TaskStatus(rawValue: try row.text("task_status")) else {
            throw DatabaseError(.unexpectedResult, "tasks.status holds an unknown word")
        }
        self.status = status
        errorMessage = try row.optionalText("error_message")
        sessionExpiresAt = try row.timestamp("session_expires_at")
        sessionSerial = try row.int("session_serial")
        lastActivity = try row.timestamp("last_activity")
        createdAt = try row.timestamp("created_at")
        updatedAt = try row.timestamp("updated_at")
        isLengthDeferred = try row.bool("length_deferred")
        metadata = try row.optionalText("metadata")
        concatenation = try row.optionalText("concatenation")
        pendingFrom = try row.optionalInt64("pending_from")
        isEnded = try row.bool("is_ended")
        deletedAt = try row.optionalTimestamp("deleted_at")
    }

    /// Reads one upload of an account; nil where there is none. Another account's upload is none.
    public static func find(_ taskId: String, account: UUID, in sql: any SQLSession) throws -> UploadRecord? {
        try sql.first(
            "SELECT \(columns) FROM \(tables) WHERE u.task_id = $1 AND u.account_id = $2", [.text(taskId), .uuid(account)]
        ).map(UploadRecord.init(row:))
    }

    /// 0 to 100.
    public var progress: Double { Self.progress(bytes: bytesUploaded, of: plan.fileSize, status: status) }

    static func progress(bytes: Int64, of size: Int64, status: TaskStatus) -> Double {
        if status == .completed { return 100 }
        guard size > 0 else { return 0 }
        return (Double(bytes) / Double(size) * 10_000).rounded(.down) / 100
    }

    public var summary: UploadSummary {
        UploadSummary(
            taskId: taskId, fileName: fileName, fileSize: plan.fileSize, contentType: contentType, hash: hash,
            chunkSize: plan.chunkSize, chunksCount: plan.count, chunksUploaded: chunksUploaded, bytesUploaded: bytesUploaded,
            progress: progress, status: status, poolId: poolId, bundleId: bundleId, fileId: fileId, errorMessage: errorMessage,
            expiredAt: expiredAt, createdAt: createdAt, updatedAt: updatedAt, lastActivity: lastActivity)
    }
}
