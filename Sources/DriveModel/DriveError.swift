/// Every error a caller meets: a stable code, a sentence that names the rule, and details for programs.
///
/// The code decides the category and so the HTTP status (mapped in one place, `DriveServer/Errors`).
public struct DriveError: Error, Hashable, Sendable {
    /// What kind of refusal it is; each maps to one HTTP status.
    public enum Category: Sendable {
        case invalid, unauthenticated, refused, notFound, methodNotAllowed, conflict, gone, preconditionFailed, tooLarge
        case unsupportedMediaType, rangeNotSatisfiable, unprocessable, tooManyRequests, internalFailure, notImplemented, unavailable,
            storageFull, timedOut, locked, upgradeRequired
    }

    public var code: Code
    /// One sentence that names the rule that refused.
    public var message: String
    /// Facts for programs: indexes, limits, identifiers. Never a secret.
    public var details: [String: JSONValue]
    /// Seconds after which a repetition makes sense.
    public var retryAfter: Int?

    public init(_ code: Code, _ message: String, details: [String: JSONValue] = [:], retryAfter: Int? = nil) {
        self.code = code
        self.message = message
        self.details = details
        self.retryAfter = retryAfter
    }

    /// A stable code. Open, so that a face can have codes of its own.
    public struct Code: Hashable, Sendable {
        /// As it stands in the reply's `code`.
        public let name: String
        public let category: Category

        public init(_ name: String, _ category: Category) {
            self.name = name
            self.category = category
        }

        public static func == (left: Code, right: Code) -> Bool { left.name == right.name }
        public func hash(into hasher: inout Hasher) { hasher.combine(name) }
    }
}

extension DriveError {
    /// Whether it answers a request that was ended while its body still came: its client waits for nothing any more.
    public var isOfEndedRequest: Bool {
        code == .uploadTakenOver || code == .bodyInterrupted || details["endedMeanwhile"] == .bool(true)
    }
}

extension DriveError: CustomStringConvertible {
    public var description: String { "\(code.name): \(message)" }
}

extension DriveError.Code {
    // Requests
    public static let invalidRequest = Self("INVALID_REQUEST", .invalid)
    public static let invalidFileName = Self("INVALID_FILE_NAME", .invalid)
    public static let invalidFileSize = Self("INVALID_FILE_SIZE", .invalid)
    public static let invalidChunkSize = Self("INVALID_CHUNK_SIZE", .invalid)
    public static let invalidHash = Self("INVALID_HASH", .invalid)
    public static let invalidMultipart = Self("INVALID_MULTIPART", .invalid)
    public static let unsupportedMediaType = Self("UNSUPPORTED_MEDIA_TYPE", .unsupportedMediaType)
    public static let payloadTooLarge = Self("PAYLOAD_TOO_LARGE", .tooLarge)
    public static let requestTimeout = Self("REQUEST_TIMEOUT", .timedOut)
    public static let notImplemented = Self("NOT_IMPLEMENTED", .notImplemented)
    // Access
    public static let unauthenticated = Self("UNAUTHENTICATED", .unauthenticated)
    public static let tokenRevoked = Self("TOKEN_REVOKED", .unauthenticated)
    public static let accountDisabled = Self("ACCOUNT_DISABLED", .refused)
    public static let forbidden = Self("FORBIDDEN", .refused)
    public static let rateLimited = Self("RATE_LIMITED", .tooManyRequests)
    public static let notFound = Self("NOT_FOUND", .notFound)
    public static let upgradeRequired = Self("UPGRADE_REQUIRED", .upgradeRequired)
    public static let methodNotAllowed = Self("METHOD_NOT_ALLOWED", .methodNotAllowed)
    // Policies and quota
    public static let poolPolicy = Self("POOL_POLICY", .refused)
    public static let quotaExceeded = Self("QUOTA_EXCEEDED", .refused)
    public static let fileTooLarge = Self("FILE_TOO_LARGE", .tooLarge)
    public static let tooManyOpenUploads = Self("TOO_MANY_OPEN_UPLOADS", .tooManyRequests)
    // Uploads
    public static let taskNotFound = Self("TASK_NOT_FOUND", .notFound)
    public static let taskPaused = Self("TASK_PAUSED", .conflict)
    public static let taskClosed = Self("TASK_CLOSED", .conflict)
    public static let eventsGone = Self("EVENTS_GONE", .gone)
    public static let taskExpired = Self("TASK_EXPIRED", .gone)
    public static let invalidChunkIndex = Self("INVALID_CHUNK_INDEX", .invalid)
    public static let chunkAlreadyUploaded = Self("CHUNK_ALREADY_UPLOADED", .conflict)
    public static let chunkInProgress = Self("CHUNK_IN_PROGRESS", .conflict)
    public static let chunkTakenOver = Self("CHUNK_TAKEN_OVER", .conflict)
    public static let chunkSizeMismatch = Self("CHUNK_SIZE_MISMATCH", .invalid)
    public static let chunkDigestMismatch = Self("CHUNK_DIGEST_MISMATCH", .unprocessable)
    public static let bodyTruncated = Self("BODY_TRUNCATED", .invalid)
    public static let uploadIncomplete = Self("UPLOAD_INCOMPLETE", .conflict)
    public static let hashMismatch = Self("HASH_MISMATCH", .unprocessable)
    public static let idempotencyConflict = Self("IDEMPOTENCY_KEY_REUSED", .unprocessable)
    /// What the key made was removed since: `id` in the details names it.
    public static let idempotencyResultGone = Self("IDEMPOTENCY_RESULT_GONE", .gone)
    // Uploads that come as one stream
    /// A PATCH whose offset is not where the kept bytes end: `offset` in the details says where they do.
    public static let offsetMismatch = Self("OFFSET_MISMATCH", .conflict)
    /// A length that disagrees with one that was declared before.
    public static let lengthMismatch = Self("LENGTH_MISMATCH", .invalid)
    /// More bytes than the declared length.
    public static let lengthExceeded = Self("LENGTH_EXCEEDED", .tooLarge)
    /// The upload is complete and takes nothing more.
    public static let uploadCompleted = Self("UPLOAD_COMPLETED", .refused)
    /// The upload was cancelled, failed, or deleted.
    public static let uploadGone = Self("UPLOAD_GONE", .gone)
    /// Another request for the same upload came, and this one was ended; its bytes are kept.
    public static let uploadTakenOver = Self("UPLOAD_TAKEN_OVER", .locked)
    /// The upload is busy for a moment (being completed, put together, or held by a request that does not end).
    public static let uploadBusy = Self("UPLOAD_BUSY", .locked)
    /// The body broke off or stood still; what came is kept.
    public static let bodyInterrupted = Self("BODY_INTERRUPTED", .unavailable)
    /// The bytes do not match the digest sent with them; none of them is kept.
    public static let checksumMismatch = Self("CHECKSUM_MISMATCH", .unprocessable)
    /// A concatenation that names something that is no part of the caller's, or parts that cannot be joined.
    public static let invalidConcatenation = Self("INVALID_CONCATENATION", .invalid)
    // Tasks
    /// The task's status does not allow what was asked: `status` and `wanted` in the details name both.
    public static let taskState = Self("TASK_STATE", .conflict)
    /// The account has as many open tasks, or timetables, as it may have.
    public static let tooManyTasks = Self("TOO_MANY_TASKS", .tooManyRequests)
    /// The lease is not this worker's any more: the task was cancelled, ended, or given to another.
    public static let leaseLost = Self("LEASE_LOST", .conflict)
    /// A change of many things asks for `confirm: true`, or for `dryRun: true` to see what it would do.
    public static let confirmationRequired = Self("CONFIRMATION_REQUIRED", .invalid)
    // Files
    public static let fileNotFound = Self("FILE_NOT_FOUND", .notFound)
    public static let rangeNotSatisfiable = Self("RANGE_NOT_SATISFIABLE", .rangeNotSatisfiable)
    public static let preconditionFailed = Self("PRECONDITION_FAILED", .preconditionFailed)
    public static let conflict = Self("CONFLICT", .conflict)
    // The machine
    public static let storageFull = Self("STORAGE_FULL", .storageFull)
    public static let storageFailed = Self("STORAGE_FAILED", .unavailable)
    public static let poolInUse = Self("POOL_IN_USE", .unavailable)
    public static let blobDamaged = Self("BLOB_DAMAGED", .internalFailure)
    public static let databaseUnavailable = Self("DATABASE_UNAVAILABLE", .unavailable)
    public static let shuttingDown = Self("SHUTTING_DOWN", .unavailable)
    public static let internalError = Self("INTERNAL_ERROR", .internalFailure)
}
