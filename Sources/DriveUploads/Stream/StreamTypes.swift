import DriveModel
import Foundation

/// A new upload whose bytes come as one stream, in order, in any number of requests.
public struct NewStream: Hashable, Sendable {
    /// `UploadFace.tus` or `UploadFace.resumable`.
    public var face: String
    /// nil: the upload's id becomes the file's name.
    public var fileName: String?
    public var contentType: String?
    /// Bytes; nil while the client does not know.
    public var length: Int64?
    public var poolId: UUID?
    public var bundleId: UUID?
    public var expiredAt: Timestamp?
    /// The file's SHA-256 in hex; other bytes are refused at the end.
    public var hash: String?
    /// Text of the face's own, given back as it came.
    public var metadata: String?
    /// Whether it is one part of a concatenation: its bytes become no file of their own.
    public var isPartial = false

    public init(face: String) {
        self.face = face
    }
}

/// What is known of a stream upload now.
public struct StreamUpload: Sendable {
    public enum Phase: Sendable {
        /// It takes bytes, or is a part that has all of its own.
        case receiving
        /// A concatenation whose parts are not all there, or are being put together: it has no offset yet.
        case assembling
        /// It became this file.
        case completed(CloudFile)
    }

    public var taskId: String
    public var phase: Phase
    /// Bytes that are kept, from the first one on.
    public var offset: Int64
    /// Bytes there will be; nil while nobody has said.
    public var length: Int64?
    public var metadata: String?
    /// The concatenation's text as it came: `partial`, or that of a final upload.
    public var concatenation: String?
    /// When the upload goes unless more comes; nil once it is complete.
    public var expiresAt: Timestamp?

    /// Whether it has become a file (or a part that has all its bytes).
    public var isComplete: Bool {
        if case .completed = phase { return true }
        return false
    }
}

/// How one request adds to a stream.
public struct StreamAppend: Sendable {
    /// What the end of the body means.
    public enum Ending: Sendable {
        /// The upload completes when its declared length is reached.
        case whenWhole
        /// The upload ends with this body.
        case atEnd
        /// More comes, whatever the length says.
        case never
    }

    /// The protocol that brings the body; an upload of another one is none. nil: any.
    public var face: String?
    /// Where the client believes the kept bytes end.
    public var offset: Int64
    /// Bytes of the body; nil where the request does not tell.
    public var contentLength: Int64?
    /// Bytes of the whole upload, where the request declares them.
    public var length: Int64?
    public var ending: Ending
    /// The most bytes of the body; nil: no limit but the upload's.
    public var limit: Int64?
    /// Called while the body streams, now and then, with an offset that survives even a power failure.
    public var progress: (@Sendable (_ offset: Int64) async -> Void)?
    /// Called once this request is the one that writes, before its body is read.
    public var begun: (@Sendable () async -> Void)?

    public init(over face: String? = nil, offset: Int64, contentLength: Int64?, length: Int64? = nil, ending: Ending) {
        self.face = face
        self.offset = offset
        self.contentLength = contentLength
        self.length = length
        self.ending = ending
    }
}
