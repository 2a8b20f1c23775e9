import Foundation

/// `POST /api/files/upload/create`.
public struct CreateUploadRequest: Codable, Hashable, Sendable {
    public var fileName: String
    /// Bytes.
    public var fileSize: Int64
    public var contentType: String?
    public var poolId: UUID?
    public var bundleId: UUID?
    /// Bytes; what holds is in the reply.
    public var chunkSize: Int64?
    public var encryptPassword: String?
    /// When the finished file goes.
    public var expiredAt: Timestamp?
    /// SHA-256 of the whole file in hex. Without it the server computes it and skips the early duplicate check.
    public var hash: String?
    /// Whether `upload.*` events go out beside `task.*`.
    public var legacyUploadEvents: Bool?

    public init(
        fileName: String, fileSize: Int64, contentType: String? = nil, poolId: UUID? = nil, bundleId: UUID? = nil,
        chunkSize: Int64? = nil, encryptPassword: String? = nil, expiredAt: Timestamp? = nil, hash: String? = nil,
        legacyUploadEvents: Bool? = nil
    ) {
        self.fileName = fileName
        self.fileSize = fileSize
        self.contentType = contentType
        self.poolId = poolId
        self.bundleId = bundleId
        self.chunkSize = chunkSize
        self.encryptPassword = encryptPassword
        self.expiredAt = expiredAt
        self.hash = hash
        self.legacyUploadEvents = legacyUploadEvents
    }
}

/// The reply to create: either a task to send chunks to, or the file the caller owns already.
public struct CreateUploadReply: Codable, Hashable, Sendable {
    public var fileExists: Bool
    public var file: CloudFile?
    public var taskId: String?
    public var chunkSize: Int64?
    public var chunksCount: Int?
    /// Good for this one upload alone, until `sessionExpiresAt`.
    public var sessionToken: String?
    public var sessionExpiresAt: Timestamp?

    public init(existing file: CloudFile) {
        self.fileExists = true
        self.file = file
    }

    public init(taskId: String, chunkSize: Int64, chunksCount: Int, sessionToken: String?, sessionExpiresAt: Timestamp?) {
        self.fileExists = false
        self.taskId = taskId
        self.chunkSize = chunkSize
        self.chunksCount = chunksCount
        self.sessionToken = sessionToken
        self.sessionExpiresAt = sessionExpiresAt
    }
}

/// An upload as the lists show it.
public struct UploadSummary: Codable, Hashable, Sendable {
    public var taskId: String
    public var fileName: String
    /// Bytes.
    public var fileSize: Int64
    public var contentType: String
    public var hash: String?
    public var chunkSize: Int64
    public var chunksCount: Int
    public var chunksUploaded: Int
    public var bytesUploaded: Int64
    /// 0 to 100.
    public var progress: Double
    public var status: TaskStatus
    public var poolId: UUID
    public var bundleId: UUID?
    /// The finished file.
    public var fileId: String?
    public var errorMessage: String?
    public var expiredAt: Timestamp?
    public var createdAt: Timestamp
    public var updatedAt: Timestamp
    public var lastActivity: Timestamp

    public init(
        taskId: String, fileName: String, fileSize: Int64, contentType: String, hash: String?, chunkSize: Int64, chunksCount: Int,
        chunksUploaded: Int, bytesUploaded: Int64, progress: Double, status: TaskStatus, poolId: UUID, bundleId: UUID?,
        fileId: String?, errorMessage: String?, expiredAt: Timestamp?, createdAt: Timestamp, updatedAt: Timestamp,
        lastActivity: Timestamp
    ) {
        self.taskId = taskId
        self.fileName = fileName
        self.fileSize = fileSize
        self.contentType = contentType
        self.hash = hash
        self.chunkSize = chunkSize
        self.chunksCount = chunksCount
        self.chunksUploaded = chunksUploaded
        self.bytesUploaded = bytesUploaded
        self.progress = progress
        self.status = status
        self.poolId = poolId
        self.bundleId = bundleId
        self.fileId = fileId
        self.errorMessage = errorMessage
        self.expiredAt = expiredAt
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.lastActivity = lastActivity
    }
}

/// `GET …/progress/{taskId}`.
public struct UploadProgress: Codable, Hashable, Sendable {
    public var taskId: String
    public var status: TaskStatus
    /// 0 to 100.
    public var progress: Double
    public var chunksUploaded: Int
    public var chunksTotal: Int
    public var bytesUploaded: Int64
    public var bytesTotal: Int64
    /// Bytes from the start whose SHA-256 is already computed.
    public var bytesVerified: Int64
    public var lastActivity: Timestamp

    public init(
        taskId: String, status: TaskStatus, progress: Double, chunksUploaded: Int, chunksTotal: Int, bytesUploaded: Int64,
        bytesTotal: Int64, bytesVerified: Int64, lastActivity: Timestamp
    ) {
        self.taskId = taskId
        self.status = status
        self.progress = progress
        self.chunksUploaded = chunksUploaded
        self.chunksTotal = chunksTotal
        self.bytesUploaded = bytesUploaded
        self.bytesTotal = bytesTotal
        self.bytesVerified = bytesVerified
        self.lastActivity = lastActivity
    }
}

/// `GET …/resume/{taskId}`: what a client needs to go on.
public struct ResumeInformation: Codable, Hashable, Sendable {
    public var taskId: String
    public var fileName: String
    public var fileSize: Int64
    public var contentType: String
    public var hash: String?
    public var chunkSize: Int64
    public var chunksCount: Int
    /// Indexes of the chunks that are kept, ascending.
    public var uploadedChunks: [Int]
    public var status: TaskStatus
    public var fileId: String?
    /// A new token for this upload alone.
    public var sessionToken: String?
    public var sessionExpiresAt: Timestamp?

    public init(
        taskId: String, fileName: String, fileSize: Int64, contentType: String, hash: String?, chunkSize: Int64, chunksCount: Int,
        uploadedChunks: [Int], status: TaskStatus, fileId: String?, sessionToken: String?, sessionExpiresAt: Timestamp?
    ) {
        self.taskId = taskId
        self.fileName = fileName
        self.fileSize = fileSize
        self.contentType = contentType
        self.hash = hash
        self.chunkSize = chunkSize
        self.chunksCount = chunksCount
        self.uploadedChunks = uploadedChunks
        self.status = status
        self.fileId = fileId
        self.sessionToken = sessionToken
        self.sessionExpiresAt = sessionExpiresAt
    }
}

/// The reply to an acknowledged chunk.
public struct ChunkReply: Codable, Hashable, Sendable {
    public var taskId: String
    public var chunkIndex: Int
    public var size: Int64
    /// CRC-32C of the chunk, eight hex digits.
    public var checksum: String
    public var chunksUploaded: Int
    public var chunksTotal: Int
    /// 0 to 100.
    public var progress: Double

    public init(
        taskId: String, chunkIndex: Int, size: Int64, checksum: String, chunksUploaded: Int, chunksTotal: Int, progress: Double
    ) {
        self.taskId = taskId
        self.chunkIndex = chunkIndex
        self.size = size
        self.checksum = checksum
        self.chunksUploaded = chunksUploaded
        self.chunksTotal = chunksTotal
        self.progress = progress
    }
}

/// The body of `202` from complete: bytes that came out of order are still being verified.
public struct VerifyingReply: Codable, Hashable, Sendable {
    public var taskId: String
    /// Always `Verifying`.
    public var status: String
    /// 0 to 100, of the bytes to hash.
    public var progress: Double

    public init(taskId: String, progress: Double) {
        self.taskId = taskId
        self.status = "Verifying"
        self.progress = progress
    }
}

/// `GET …/stats`.
public struct UploadStatistics: Codable, Hashable, Sendable {
    public var totalTasks: Int
    public var inProgressTasks: Int
    public var completedTasks: Int
    public var failedTasks: Int
    public var expiredTasks: Int
    public var totalUploadedBytes: Int64
    /// 0 to 100.
    public var averageProgress: Double
    public var recentActivity: [UploadSummary]

    public init(
        totalTasks: Int, inProgressTasks: Int, completedTasks: Int, failedTasks: Int, expiredTasks: Int, totalUploadedBytes: Int64,
        averageProgress: Double, recentActivity: [UploadSummary]
    ) {
        self.totalTasks = totalTasks
        self.inProgressTasks = inProgressTasks
        self.completedTasks = completedTasks
        self.failedTasks = failedTasks
        self.expiredTasks = expiredTasks
        self.totalUploadedBytes = totalUploadedBytes
        self.averageProgress = averageProgress
        self.recentActivity = recentActivity
    }
}
