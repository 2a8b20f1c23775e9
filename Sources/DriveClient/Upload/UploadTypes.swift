import DriveModel
import Foundation

/// Where an upload goes and what it is called there.
public struct UploadContext: Hashable, Sendable {
    /// nil takes the last part of the path.
    public var fileName: String?
    /// nil guesses by the name.
    public var contentType: String?
    public var poolId: UUID?
    public var bundleId: UUID?
    /// When the finished file goes.
    public var expiredAt: Timestamp?
    /// Whether it can be continued by another process; off for files that will not be there then.
    public var isResumable: Bool

    public init(
        fileName: String? = nil, contentType: String? = nil, poolId: UUID? = nil, bundleId: UUID? = nil,
        expiredAt: Timestamp? = nil, isResumable: Bool = true
    ) {
        self.fileName = fileName
        self.contentType = contentType
        self.poolId = poolId
        self.bundleId = bundleId
        self.expiredAt = expiredAt
        self.isResumable = isResumable
    }
}

/// How uploads are carried out.
public struct UploadOptions: Hashable, Sendable {
    /// Wish in bytes; nil leaves it to the server.
    public var chunkSize: Int64?
    /// Chunks under way at once; so many chunks are in memory.
    public var parallel: Int
    public var retry: RetryPolicy
    /// Whether the whole file is hashed first, so that the server can answer at once where the account has its content already.
    public var verifyBeforeUpload: Bool
    /// Files of at most so many bytes go in one request.
    public var directLimit: Int64
    /// Where journals are kept; nil takes `drive/uploads` in the user's state folder.
    public var stateDirectory: String?
    /// Whether the server's live events are listened to meanwhile, so that an upload that somebody pauses or cancels elsewhere ends at
    /// once and not with its next chunk. It takes one of the account's places for clients that listen; where there is none, nothing is amiss.
    public var listens: Bool

    public init(
        chunkSize: Int64? = nil, parallel: Int = 3, retry: RetryPolicy = RetryPolicy(), verifyBeforeUpload: Bool = false,
        directLimit: Int64 = 1 << 20, stateDirectory: String? = nil, listens: Bool = false
    ) {
        self.chunkSize = chunkSize
        self.parallel = max(1, parallel)
        self.retry = retry
        self.verifyBeforeUpload = verifyBeforeUpload
        self.directLimit = directLimit
        self.stateDirectory = stateDirectory
        self.listens = listens
    }
}

/// Where an upload stands.
public enum UploadStatus: Hashable, Sendable {
    case waiting
    /// The file is hashed before anything is sent.
    case hashing
    case uploading
    /// An attempt failed; the next one is in a while.
    case retrying(DriveClientError, in: Duration)
    /// All bytes are there; percent of those that had to be verified again.
    case verifying(percent: Double)
    case paused
    case completed(CloudFile)
    case failed(DriveClientError)
    case cancelled

    /// Whether nothing more happens unless `retry` is called.
    public var isFinal: Bool {
        switch self {
        case .completed, .failed, .cancelled: true
        case .waiting, .hashing, .uploading, .retrying, .verifying, .paused: false
        }
    }
}

/// One report of an upload.
public struct UploadUpdate: Hashable, Sendable {
    public var status: UploadStatus
    public var progress: TransferProgress
    /// Bytes that an earlier process had sent already.
    public var resumedBytes: Int64

    public init(status: UploadStatus, progress: TransferProgress, resumedBytes: Int64 = 0) {
        self.status = status
        self.progress = progress
        self.resumedBytes = resumedBytes
    }
}
