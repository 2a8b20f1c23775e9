import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging

/// Who did what to which object, and from where.
package struct AuditEntry: Sendable, Hashable {
    /// `object.verb`, as `token.revoke`.
    package var action: String
    package var objectType: String
    package var objectId: String?
    /// The account that acted; nil for the command line and the instance itself.
    package var accountId: UUID?
    package var address: String?
    package var requestId: String?
    /// Facts for people; never a secret.
    package var details: [String: JSONValue]

    package init(
        action: String, objectType: String, objectId: String? = nil, accountId: UUID? = nil, address: String? = nil,
        requestId: String? = nil, details: [String: JSONValue] = [:]
    ) {
        self.action = action
        self.objectType = objectType
        self.objectId = objectId
        self.accountId = accountId
        self.address = address
        self.requestId = requestId
        self.details = details
    }
}

/// Who acts, for functions that write their audit entries themselves.
package struct AuditActor: Sendable, Hashable {
    package var accountId: UUID?
    package var address: String?
    package var requestId: String?

    package init(accountId: UUID? = nil, address: String? = nil, requestId: String? = nil) {
        self.accountId = accountId
        self.address = address
        self.requestId = requestId
    }

    /// The command line, or the instance itself.
    package static let system = AuditActor()

    func entry(_ action: String, _ type: String, _ id: String?, _ details: [String: JSONValue] = [:]) -> AuditEntry {
        AuditEntry(
            action: action, objectType: type, objectId: id, accountId: accountId, address: address, requestId: requestId, details: details)
    }
}

/// An entry on record.
package struct AuditRecord: Sendable, Hashable {
    package var id: String
    package var at: Timestamp
    package var entry: AuditEntry
}

/// Where the entries of one transaction go.
package struct AuditAppender: Sendable {
    fileprivate let surroundings: Surroundings
    fileprivate let logger: Logger

    /// Writes the entry's row in the transaction of the change it tells of, and its log line once that is durable.
    package func append(_ entry: AuditEntry, in sql: any SQLSession) throws {
        try AuditTrail.append(
            entry.action, on: entry.objectType, id: entry.objectId, account: entry.accountId, address: entry.address,
            requestId: entry.requestId, details: entry.details, surroundings: surroundings, logger: logger, in: sql)
    }
}

/// The audit log: the table `audit_log`, and a structured log line (label `Drive.Audit`) for each entry.
package struct AuditLog: Sendable {
    private let surroundings: Surroundings
    private let logger: Logger

    package init(surroundings: Surroundings = .system, logger: Logger = AuditTrail.logger) {
        self.surroundings = surroundings
        self.logger = logger
    }

    /// Runs `body` in a transaction to which it may append entries.
    ///
    /// Throws `DriveError`s of `body` as they are, and those of the database as a caller of the API meets them.
    package func write<Result: Sendable>(
        to database: any Database, _ body: @escaping @Sendable (any SQLSession, AuditAppender) throws -> Result
    ) async throws(DriveError) -> Result {
        let appender = AuditAppender(surroundings: surroundings, logger: logger)
        do {
            return try await database.write { sql in try body(sql, appender) }
        } catch {
            throw DriveError(database: error)
        }
    }

    /// Writes an entry in a transaction of its own.
    package func record(_ entry: AuditEntry, in database: any Database) async throws(DriveError) {
        try await write(to: database) { sql, trail in try trail.append(entry, in: sql) }
    }

    /// The entries on record, the newest first.
    ///
    /// - Parameters:
    ///   - accountId: those of one acting account alone.
    ///   - action: those of one action alone.
    ///   - last: the last record of the page before.
    ///   - limit: at most so many, 1 to 1000.
    package func listing(
        in database: any Database, accountId: UUID? = nil, action: String? = nil, after last: AuditRecord? = nil, limit: Int = 100
    ) async throws(DriveError) -> [AuditRecord] {
        var conditions: [String] = []
        var arguments: [SQLValue] = []
        func bind(_ value: SQLValue) -> String {
            arguments.append(value)
            return "$\(arguments.count)"
        }
        if let accountId { conditions.append("account_id = \(bind(.uuid(accountId)))") }
        if let action { conditions.append("action = \(bind(.text(action)))") }
        if let last {
            conditions.append("(at < \(bind(.timestamp(last.at))) OR (at = \(bind(.timestamp(last.at))) AND id < \(bind(.text(last.id)))))")
        }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let statement = """
            SELECT id, at, account_id, action, object_type, object_id, address, request_id, details
            FROM audit_log \(filter) ORDER BY at DESC, id DESC LIMIT \(min(max(limit, 1), 1000))
            """
        let values = arguments
        do {
            return try await database.read { sql in
                try sql.query(statement, values).map { row in
                    AuditRecord(
                        id: try row.text("id"), at: try row.timestamp("at"),
                        entry: AuditEntry(
                            action: try row.text("action"), objectType: try row.text("object_type"),
                            objectId: try row.optionalText("object_id"), accountId: try row.optionalUUID("account_id"),
                            address: try row.optionalText("address"), requestId: try row.optionalText("request_id"),
                            details: try row.decoded("details")))
                }
            }
        } catch {
            throw DriveError(database: error)
        }
    }
}

extension DriveError {
    /// An error of a database closure as a caller of the API meets it.
    init(database error: any Error) {
        switch error {
        case let error as DriveError: self = error
        case let error as DatabaseError: self = error.asDriveError
        default: self.init(.internalError, "The request failed inside; the request id finds the reason in the log.")
        }
    }
}
