import DriveEvents
import DriveModel
internal import GRPCCore

/// Errors of Drive as statuses of gRPC, and the other way round.
enum RingStatus {
    /// The trailing metadata with the stable code of the error.
    static let codeKey = "drive-error"

    /// The status of a refusal; its message names the rule, and the metadata the stable code.
    static func error(_ error: DriveError) -> RPCError {
        RPCError(code: code(error.code.category), message: error.message, metadata: [codeKey: "\(error.code.name)"])
    }

    /// Does what was asked; a refusal becomes its status.
    static func answer<Answer>(_ body: () async throws(DriveError) -> Answer) async throws -> Answer {
        do throws(DriveError) { return try await body() } catch { throw self.error(error) }
    }

    static func code(_ category: DriveError.Category) -> RPCError.Code {
        switch category {
        case .invalid, .unprocessable, .unsupportedMediaType, .rangeNotSatisfiable, .tooLarge: .invalidArgument
        case .unauthenticated: .unauthenticated
        case .refused: .permissionDenied
        case .notFound, .gone: .notFound
        case .conflict, .preconditionFailed, .upgradeRequired: .failedPrecondition
        case .tooManyRequests, .storageFull: .resourceExhausted
        case .notImplemented, .methodNotAllowed: .unimplemented
        case .unavailable, .timedOut, .locked: .unavailable
        case .internalFailure: .internalError
        }
    }

    /// The status and what is said of it, and of its cause, on one line: `unavailable: …`.
    static func reason(_ error: RPCError) -> String {
        var text = "\(error.code): \(error.message)"
        if let cause = error.cause { text += " (\(cause))" }
        let line = text.unicodeScalars.map { (0x20...0x7E).contains($0.value) && $0 != "\"" && $0 != "\\" ? Character($0) : " " }
        return String(String(line).split(separator: " ").joined(separator: " ").prefix(300))
    }

    /// What a failed call means for what was to be said.
    static func outcome(of error: any Error) -> PushOutcome {
        guard let error = error as? RPCError else {
            return .retry(after: nil, reason: error is CancellationError ? "cancelled" : "unreachable")
        }
        let reason = reason(error)
        return switch error.code {
        case .notFound: .unregistered(since: nil)
        case .unauthenticated, .permissionDenied: .credentials(reason: reason)
        case .invalidArgument, .outOfRange, .alreadyExists, .failedPrecondition: .refused(reason: reason)
        // A service that lacks the method, or is none: whoever set it up must mend that.
        case .unimplemented: .credentials(reason: reason)
        default: .retry(after: nil, reason: reason)
        }
    }
}
