import DriveModel

/// What went wrong in a database, in one vocabulary for both engines.
public struct DatabaseError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// A unique or primary key is taken; the constraint's or columns' name where the engine tells it.
        case uniqueViolation(String)
        /// Another constraint (check, not null, foreign key) refused.
        case constraintViolation
        /// Locked by somebody else for too long, or serialization failed: the same call may succeed later.
        case busy
        /// No room on the database's volume.
        case full
        /// No connection, or the connection broke; whether a running COMMIT took effect is not known.
        case unavailable
        /// Reading or writing the database's files failed.
        case ioFailure
        /// The database's files are damaged.
        case corrupt
        /// A result without the expected column or type.
        case unexpectedResult
        /// The statement is wrong: a defect of ours.
        case statement
    }

    public var kind: Kind
    public var message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { "\(kind): \(message)" }

    /// Whether the same call may succeed later with nothing changed by the caller.
    public var isRetryable: Bool {
        switch kind {
        case .busy, .full, .unavailable, .ioFailure: true
        default: false
        }
    }

    /// As a caller of the API meets it; the engine's own words stay in the log.
    public var asDriveError: DriveError {
        switch kind {
        case .full:
            DriveError(.storageFull, "The database's volume is full; nothing was changed.", retryAfter: 30)
        case .busy, .unavailable, .ioFailure:
            DriveError(.databaseUnavailable, "The database does not answer now. Try again; what was acknowledged is kept.", retryAfter: 2)
        default:
            DriveError(.internalError, "The database refused a statement; the request id finds the reason in the log.")
        }
    }
}
