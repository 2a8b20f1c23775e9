import CLibPQ

/// A failure as libpq tells it, before it is put into the vocabulary of both engines.
struct PostgresFailure: Error {
    /// SQLSTATE, five letters (PostgreSQL manual, appendix A); nil where libpq itself failed.
    var sqlState: String?
    /// The primary message alone: the detail would quote the row.
    var message: String
    /// The constraint that refused.
    var constraint: String?
    var isConnectionLost: Bool
    /// The server ended the transaction because it stood idle: a repetition would stand idle as well.
    var isIdleTimeout = false

    init(_ message: String, sqlState: String? = nil, constraint: String? = nil, isConnectionLost: Bool = false) {
        self.message = message
        self.sqlState = sqlState
        self.constraint = constraint
        self.isConnectionLost = isConnectionLost
    }

    /// Reads the fields of a failed result.
    init(result: OpaquePointer?, handle: OpaquePointer, target: PostgresTarget) {
        func field(_ code: Character) -> String? {
            guard let ascii = code.asciiValue, let text = PQresultErrorField(result, Int32(ascii)) else { return nil }
            return String(cString: text)
        }
        // PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY and PG_DIAG_CONSTRAINT_NAME of postgres_ext.h.
        sqlState = field("C")
        message = target.redacted(field("M") ?? String(cString: PQerrorMessage(handle)))
        constraint = field("n")
        isConnectionLost = PQstatus(handle) != CONNECTION_OK
    }

    /// The transaction was undone by the server and may well succeed when repeated as a whole.
    var isRepeatable: Bool { sqlState == "40001" || sqlState == "40P01" }

    /// A prepared statement does not fit the schema any more, or somebody (a pooler) took it away.
    var isStaleStatement: Bool {
        sqlState == "26000" || (sqlState == "0A000" && message.contains("cached plan"))
    }

    /// The server refused a statement because an earlier one of the transaction failed.
    var isConsequence: Bool { sqlState == "25P02" }

    var databaseError: DatabaseError {
        DatabaseError(kind, sqlState.map { "\(message) (SQLSTATE \($0))" } ?? message)
    }

    /// By PostgreSQL's manual, appendix A: a code of its own first, then its class. What no row names is the statement's
    /// fault; 25006 too, which is a change within a read.
    private var kind: DatabaseError.Kind {
        guard let sqlState else { return isConnectionLost ? .unavailable : .statement }
        switch sqlState {
        // Of class 08 and yet no matter of the connection: fewer arguments than the statement has parameters.
        case "08P01": break
        case "23505": return .uniqueViolation(constraint ?? "")
        // The server's time limits on a transaction; it ends the connection with them.
        case "25P03", "25P04": return .unavailable
        case "40002": return .constraintViolation
        case "40003": return .unavailable
        case "53100": return .full
        case "55P03", "57014": return .busy
        case "XX001", "XX002": return .corrupt
        default:
            switch sqlState.prefix(2) {
            case "23": return .constraintViolation
            case "40": return .busy
            case "08", "53", "57": return .unavailable
            case "58": return .ioFailure
            default: break
            }
        }
        return isConnectionLost ? .unavailable : .statement
    }
}
