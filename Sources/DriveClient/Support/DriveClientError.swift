import DriveModel

/// Why a call of the client did not succeed.
public enum DriveClientError: Error, Hashable, Sendable {
    /// The server answered with an error; `retryAfter` is its wish in seconds.
    case server(ErrorReply, retryAfter: Int?)
    /// No answer: the connection failed, broke or timed out.
    case network(String)
    /// The server's certificate comes from nobody this client trusts, or is for another name: nothing was sent.
    case untrusted(String)
    /// An answer that this client does not understand.
    case invalidReply(String)
    /// An argument that cannot be used: a server address, a path, a size.
    case invalidArgument(String)
    /// A file of this machine could not be read or written.
    case file(path: String, reason: String)
    /// A file of this machine that must not be replaced.
    case fileExists(path: String)
    /// The file was changed while it was being uploaded; nothing was published.
    case fileChanged(path: String)
    /// The bytes are not those that were expected: SHA-256 in hex.
    case contentMismatch(fileId: String, expected: String, actual: String)
    /// The upload is over on the server though nobody wished it, or forgotten there: a new one is needed.
    case uploadEnded(taskId: String, reason: String)
    /// Somebody cancelled the upload on the server; it is not begun anew unless it is asked for again.
    case cancelledOnServer(taskId: String)
    /// The upload was paused on the server.
    case pausedOnServer(taskId: String)
    /// Another process works on the same file.
    case busy(path: String)
    /// Every attempt failed for as long as the retry policy's patience, in seconds, allows; the last error's text.
    case gaveUp(seconds: Int, lastError: String)
    /// The caller cancelled; what was acknowledged is kept where it can be resumed.
    case cancelled

    /// The server's error, where it was one.
    public var serverReply: ErrorReply? {
        if case .server(let reply, _) = self { reply } else { nil }
    }

    /// The upload or task that it tells of; nil where it names none.
    public var taskId: String? {
        switch self {
        case .server(let reply, _): reply.details["taskId"]?.string
        case .uploadEnded(let taskId, _), .cancelledOnServer(let taskId), .pausedOnServer(let taskId): taskId
        default: nil
        }
    }
}

extension DriveClientError: CustomStringConvertible {
    /// One line for people: what happened, with the server's code and request id where there are any.
    public var description: String {
        switch self {
        case .server(let reply, _):
            "\(reply.code): \(reply.message)" + (reply.requestId.map { " (request \($0))" } ?? "")
        case .network(let reason): "No answer from the server: \(reason)"
        case .untrusted(let reason): "The server's certificate is not trusted: \(reason). Nothing was sent to it."
        case .invalidReply(let reason): "The server's answer is not understood: \(reason)"
        case .invalidArgument(let reason): reason
        case .file(let path, let reason): "\(path): \(reason)"
        case .fileExists(let path): "\(path) exists already."
        case .fileChanged(let path): "\(path) was changed while it was being sent; upload it again."
        case .contentMismatch(let fileId, let expected, let actual):
            "CONTENT MISMATCH: file \(fileId) should have SHA-256 \(expected) but has \(actual)."
        case .uploadEnded(let taskId, let reason): "Upload \(taskId) cannot be continued: \(reason)"
        case .cancelledOnServer(let taskId): "Upload \(taskId) was cancelled on the server."
        case .pausedOnServer(let taskId): "Upload \(taskId) is paused on the server; let it go on first: drive tasks resume \(taskId)"
        case .busy(let path): "Another process is working on \(path)."
        case .gaveUp(let seconds, let lastError): "Gave up: no further attempt fits into the \(seconds) s of patience. \(lastError)"
        case .cancelled: "Cancelled."
        }
    }
}

extension DriveClientError {
    /// Any error of the client's inner parts as one of this type.
    init(_ error: any Error) {
        switch error {
        case let error as DriveClientError: self = error
        case is CancellationError: self = .cancelled
        default: self = .network(String(describing: error))
        }
    }
}
