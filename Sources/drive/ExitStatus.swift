import ArgumentParser
import DriveClient
import DriveModel

/// What `drive` ends with, for scripts. The numbers follow sysexits.h where it has a meaning of the kind.
enum ExitStatus: Int32, CaseIterable {
    case ok = 0
    /// Something unforeseen.
    case failure = 1
    /// The command line or an environment variable is wrong.
    case usage = 64
    /// Bytes are not those they should be: SHA-256 differs.
    case contentMismatch = 65
    /// A file of this machine is missing or cannot be read or written.
    case localFile = 66
    /// No token, or one that the server does not accept.
    case notSignedIn = 67
    /// The server has no such file or upload, or it is somebody else's.
    case notFound = 68
    /// The server answered something that trying again does not change.
    case server = 69
    /// Worth trying again: no network, the server is down or busy.
    case retryable = 75
    /// Refused by a right, a pool's policy, a quota or a limit.
    case refused = 77
    /// Configuration or stored data is wrong.
    case configuration = 78
    /// Stopped by Ctrl-C or SIGTERM; what was acknowledged is kept.
    case interrupted = 130

    var code: ExitCode { ExitCode(rawValue) }

    /// One line for `--help`.
    static let help = """
        Exit status: 0 done, 64 wrong usage, 65 content differs, 66 local file, 67 not signed in, 68 not found, 69 server error, \
        75 try again later, 77 refused (right, policy, quota), 78 configuration, 130 interrupted.
        """
}

extension ExitStatus {
    init(_ error: DriveClientError) {
        switch error {
        case .server(let reply, _): self = Self.of(reply, retryable: error.isRetryable)
        case .network, .gaveUp, .busy, .pausedOnServer, .fileChanged: self = .retryable
        case .invalidReply, .uploadEnded, .cancelledOnServer: self = .server
        case .invalidArgument: self = .usage
        case .untrusted: self = .configuration
        case .file, .fileExists: self = .localFile
        case .contentMismatch: self = .contentMismatch
        case .cancelled: self = .interrupted
        }
    }

    private static func of(_ reply: ErrorReply, retryable: Bool) -> ExitStatus {
        switch reply.status {
        case 401: .notSignedIn
        case 402, 403, 413, 415: .refused
        case 404, 410: .notFound
        case 422 where reply.code == DriveError.Code.hashMismatch.name: .contentMismatch
        case _ where retryable: .retryable
        // The server read a value of the command line and found it wrong.
        case 400: .usage
        case 409 where reply.code == DriveError.Code.taskState.name: .refused
        case 422: .refused
        default: .server
        }
    }
}
