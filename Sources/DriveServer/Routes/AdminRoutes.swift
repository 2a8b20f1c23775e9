import DriveModel
import Foundation
import Hummingbird

/// `/admin`: accounts and the audit log, for administrators.
enum AdminRoutes {
    static let all: [Route] = [
        Route(.get, "/admin/accounts", .admin, accounts),
        Route(.patch, "/admin/accounts/{accountId}", .admin, updateAccount),
        Route(.get, "/admin/audit", .admin, audit),
    ]

    @Sendable private static func accounts(_ call: Call) async throws -> Response {
        let accounts = try await call.services.accounts.accounts(
            offset: try call.query("offset", default: 0, in: 0...10_000_000), limit: try call.query("limit", default: 100, in: 1...500))
        return try call.reply(accounts.map(AccountReply.init))
    }

    @Sendable private static func updateAccount(_ call: Call) async throws -> Response {
        let change: AccountChange = try await call.json()
        let id = try call.identifier("accountId")
        let directory = call.services.accounts
        guard var account = try await directory.account(id: id) else {
            throw DriveError(.notFound, "There is no account with this id.", details: ["rule": "accountId"])
        }
        if let disabled = change.disabled { account = try await directory.setDisabled(disabled, account: id, by: call.actor) }
        if let quota = change.quotaBytes { account = try await directory.setQuota(quota, account: id, by: call.actor) }
        if let role = change.role { account = try await directory.setRole(role, account: id, by: call.actor) }
        return try call.reply(AccountReply(account))
    }

    @Sendable private static func audit(_ call: Call) async throws -> Response {
        let records = try await call.services.audit.listing(
            in: call.services.database, accountId: try call.queryUUID("account"), action: call.query("action"),
            limit: try call.query("limit", default: 100, in: 1...1000))
        return try call.reply(records.map(AuditReply.init))
    }
}

private struct AccountChange: Decodable {
    var disabled: Bool?
    var quotaBytes: Int64??
    var role: AccountRole?

    private enum CodingKeys: String, CodingKey {
        case disabled, quotaBytes, role
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        disabled = try container.decodeIfPresent(Bool.self, forKey: .disabled)
        quotaBytes = try container.patch(Int64.self, forKey: .quotaBytes).change
        role = try container.decodeIfPresent(AccountRole.self, forKey: .role)
    }
}

/// An account as administrators and the command line see it.
package struct AccountReply: Codable, Sendable {
    package var id: UUID
    package var issuer: String
    package var name: String
    package var role: AccountRole
    package var quotaBytes: Int64?
    package var createdAt: Timestamp
    package var disabledAt: Timestamp?

    package init(_ account: Account) {
        id = account.id
        issuer = account.issuer
        name = account.name
        role = account.role
        quotaBytes = account.quotaBytes
        createdAt = account.createdAt
        disabledAt = account.disabledAt
    }
}

private struct AuditReply: Encodable {
    var id: String
    var at: Timestamp
    var action: String
    var objectType: String
    var objectId: String?
    var accountId: UUID?
    var address: String?
    var requestId: String?
    var details: [String: JSONValue]

    init(_ record: AuditRecord) {
        id = record.id
        at = record.at
        action = record.entry.action
        objectType = record.entry.objectType
        objectId = record.entry.objectId
        accountId = record.entry.accountId
        address = record.entry.address
        requestId = record.entry.requestId
        details = record.entry.details
    }
}
