import DriveDatabase
import DriveModel
import Foundation
import Logging

/// On whose behalf something is done, and where the request came from.
public struct Caller: Hashable, Sendable {
    public var accountId: UUID
    public var role: AccountRole
    /// The client's address, as the trusted proxies tell it.
    public var address: String?
    public var requestId: String?

    public init(accountId: UUID, role: AccountRole, address: String? = nil, requestId: String? = nil) {
        self.accountId = accountId
        self.role = role
        self.address = address
        self.requestId = requestId
    }

    /// Housekeeping on an account's rows.
    public static func system(for account: UUID) -> Caller {
        Caller(accountId: account, role: .user, address: nil, requestId: "system")
    }
}

/// Who did what, to which, when, from where. Written in the transaction of the change, and logged once that is durable.
public enum AuditTrail {
    /// Where the lines go unless a caller has another place.
    public static let logger = Logger(label: "Drive.Audit")

    public static func append(
        _ action: String, on objectType: String, id objectId: String?, by caller: Caller, details: [String: JSONValue] = [:],
        surroundings: Surroundings, in sql: any SQLSession
    ) throws {
        try append(
            action, on: objectType, id: objectId, account: caller.accountId, address: caller.address, requestId: caller.requestId,
            details: details, surroundings: surroundings, logger: logger, in: sql)
    }

    /// - Parameter account: nil for who has none: the command line, a sign-in that failed.
    public static func append(
        _ action: String, on objectType: String, id objectId: String?, account: UUID?, address: String?, requestId: String?,
        details: [String: JSONValue], surroundings: Surroundings, logger: Logger, in sql: any SQLSession
    ) throws {
        let id = surroundings.newIdentifier()
        let text = try DriveJSON.text(details)
        try sql.execute(
            """
            INSERT INTO audit_log (id, at, account_id, action, object_type, object_id, address, request_id, details)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            [
                .text(id), .timestamp(surroundings.now()), .uuid(account), .text(action), .text(objectType), .text(objectId),
                .text(address), .text(requestId), .json(text),
            ])
        sql.afterCommit {
            var metadata: Logger.Metadata = ["audit_id": "\(id)", "action": "\(action)", "object_type": "\(objectType)"]
            metadata["object_id"] = objectId.map { "\($0)" }
            metadata["account_id"] = account.map { "\($0.lowercaseString)" }
            metadata["address"] = address.map { "\($0)" }
            metadata["request_id"] = requestId.map { "\($0)" }
            if !details.isEmpty { metadata["details"] = "\(text)" }
            logger.info("audit", metadata: metadata)
        }
    }
}
