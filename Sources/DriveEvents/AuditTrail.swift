import DriveDatabase
import DriveModel
import Foundation

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

/// Who did what, to which, when, from where. Written in the transaction of the change.
public enum AuditTrail {
    public static func append(
        _ action: String, on objectType: String, id objectId: String?, by caller: Caller, details: [String: JSONValue] = [:],
        surroundings: Surroundings, in sql: any SQLSession
    ) throws {
        try sql.execute(
            """
            INSERT INTO audit_log (id, at, account_id, action, object_type, object_id, address, request_id, details)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            [
                .text(surroundings.newIdentifier()), .timestamp(surroundings.now()), .uuid(caller.accountId), .text(action),
                .text(objectType), .text(objectId), .text(caller.address), .text(caller.requestId), .encoded(details),
            ])
    }
}
