import DriveCrypto
import DriveModel

/// What a failed request of an upload means for what comes next. Pure: decided by the error alone.
enum ReplyMeaning: Hashable {
    /// The same again, later.
    case retry(after: Duration?)
    /// No answer came, or it was lost: what became of the request is not known.
    case lost
    /// The server has the chunk already.
    case chunkStored
    /// Somebody else sends this chunk right now: only this one waits.
    case chunkBusy(after: Duration)
    /// The bytes were damaged on the way: send them again.
    case resend
    /// Ask the server where the upload stands: the session ran out, or the task changed.
    case refresh
    /// The server lacks these chunks.
    case missing([Int])
    /// The whole file's hash differs; the server's CRC-32C of each chunk.
    case hashMismatch([Int: UInt32])
    /// The upload is over though nobody wished it: it expired, or the server could not keep it.
    case ended(String)
    /// The server knows nothing of the upload; whether somebody wished that, it cannot say.
    case unknown(String)
    /// Somebody cancelled the upload.
    case cancelled
    case paused
    /// Trying again changes nothing.
    case fatal

    /// That the same call may succeed later, and the wait the server wishes; nil where it may not.
    struct Repetition: Hashable {
        var after: Duration?
    }

    var repetition: Repetition? {
        switch self {
        case .retry(let after): Repetition(after: after)
        case .lost: Repetition()
        default: nil
        }
    }

    init(of error: DriveClientError) {
        switch error {
        case .network: self = .lost
        case .server(let reply, let retryAfter): self.init(reply, retryAfter: retryAfter.map { .seconds($0) })
        default: self = .fatal
        }
    }

    private init(_ reply: ErrorReply, retryAfter: Duration?) {
        switch DriveError.Code(reply.code, .invalid) {
        case .chunkAlreadyUploaded: self = .chunkStored
        case .chunkInProgress, .chunkTakenOver: self = .chunkBusy(after: retryAfter ?? .seconds(1))
        case .chunkDigestMismatch, .bodyTruncated: self = .resend
        case .uploadIncomplete: self = .missing(Self.indexes(reply.details["missingChunks"]))
        case .hashMismatch: self = .hashMismatch(Self.checksums(reply.details["chunks"]))
        case .taskPaused: self = .paused
        case .taskClosed: self = Self.closed(reply)
        // Expired; or finished, and its file was deleted since.
        case .taskExpired, .fileNotFound: self = .ended(reply.message)
        case .taskNotFound: self = .unknown(reply.message)
        case .tooManyOpenUploads, .accountDisabled, .tokenRevoked, .conflict, .blobDamaged: self = .fatal
        default: self.init(status: reply.status, retryAfter: retryAfter)
        }
    }

    /// For codes this client does not know, and for proxies that send none: by the status (RFC 9110, section 15; RFC 6585).
    /// A proxy's 404 or 410 says nothing of the upload, which is not given up for it.
    private init(status: Int, retryAfter: Duration?) {
        switch status {
        case 401: self = .refresh
        // In conflict with the upload's state (RFC 9110, section 15.5.10); which one was lost with the body.
        case 409: self = .refresh
        case 501, 505: self = .fatal
        case 408, 425, 429, 500...599: self = .retry(after: retryAfter)
        default: self = .fatal
        }
    }

    /// Why the upload takes nothing: the reply says how it stands.
    private static func closed(_ reply: ErrorReply) -> ReplyMeaning {
        switch reply.details["status"]?.string.flatMap({ TaskStatus(rawValue: $0) }) {
        case .cancelled: .cancelled
        case .failed, .expired: .ended(reply.message)
        default: .refresh
        }
    }

    private static func indexes(_ value: JSONValue?) -> [Int] {
        guard case .array(let elements)? = value else { return [] }
        return elements.compactMap { $0.integer.flatMap(Int.init(exactly:)) }
    }

    private static func checksums(_ value: JSONValue?) -> [Int: UInt32] {
        guard case .array(let elements)? = value else { return [:] }
        var checksums: [Int: UInt32] = [:]
        for element in elements {
            guard let index = element["index"]?.integer.flatMap(Int.init(exactly:)), let hex = element["checksum"]?.string,
                let checksum = UInt32(hex, radix: 16)
            else { continue }
            checksums[index] = checksum
        }
        return checksums
    }
}

extension DriveClientError {
    /// Whether the same call may succeed later.
    public var isRetryable: Bool {
        switch self {
        case .gaveUp, .busy, .pausedOnServer, .cancelled: return true
        default:
            switch ReplyMeaning(of: self) {
            case .retry, .lost, .chunkBusy, .resend: return true
            default: return serverReply?.code == DriveError.Code.tooManyOpenUploads.name
            }
        }
    }
}
