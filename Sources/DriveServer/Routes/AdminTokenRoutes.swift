import DriveModel
import Foundation
import Hummingbird

/// `/admin/tokens`: the records of tokens, and tokens for workers.
///
/// No token of an account is made here: an administrator would be anybody by it. `drive token create` makes them.
enum AdminTokenRoutes {
    static let all: [Route] = [
        Route(.post, "/admin/tokens", .admin, create),
        Route(.get, "/admin/tokens", .admin, list),
        Route(.delete, "/admin/tokens/{tokenId}", .admin, revoke),
    ]

    @Sendable private static func create(_ call: Call) async throws -> Response {
        let request: WorkerTokenRequest = try await call.json()
        let lifetime = request.expiresInSeconds.map { Duration.seconds($0) } ?? call.services.configuration.access.tokenTTL
        let issued = try await call.services.issuer.issueWorkerToken(
            accountId: try request.accountId ?? call.account, name: request.name ?? "worker",
            grant: WorkerGrant(kinds: request.worker.kinds, allAccounts: request.worker.allAccounts ?? false), lifetime: lifetime,
            by: call.actor)
        return try call.reply(IssuedTokenReply(issued), status: .created)
    }

    @Sendable private static func list(_ call: Call) async throws -> Response {
        guard let account = try call.queryUUID("account") else {
            throw DriveError(.invalidRequest, "Name the account: ?account=UUID.", details: ["rule": "account"])
        }
        return try call.reply(try await call.services.accounts.tokens(of: account).map(TokenReply.init))
    }

    @Sendable private static func revoke(_ call: Call) async throws -> Response {
        try await call.services.accounts.revokeToken(try call.parameter("tokenId"), by: call.actor)
        return Response(status: .noContent)
    }
}

struct WorkerTokenRequest: Decodable {
    /// nil: the administrator's own.
    var accountId: UUID?
    var name: String?
    /// nil: as long as other tokens.
    var expiresInSeconds: Int64?
    var worker: WorkerGrantRequest
}

struct WorkerGrantRequest: Decodable {
    /// The kinds of Custom tasks; empty: all kinds.
    var kinds: [String]
    /// Every account's tasks, for a token of an administrator's account.
    var allAccounts: Bool?
}

/// A new token, shown once, with its record.
package struct IssuedTokenReply: Encodable, Sendable {
    package var token: String
    package var record: TokenReply

    package init(_ issued: IssuedToken) {
        token = issued.token
        record = TokenReply(issued.record)
    }
}

/// A token's record; never the token.
package struct TokenReply: Codable, Sendable {
    package var id: String
    package var accountId: UUID
    package var name: String
    package var role: TokenRole
    package var createdAt: Timestamp
    package var expiresAt: Timestamp
    package var revokedAt: Timestamp?

    package init(_ record: TokenRecord) {
        id = record.id
        accountId = record.accountId
        name = record.name
        role = record.role
        createdAt = record.createdAt
        expiresAt = record.expiresAt
        revokedAt = record.revokedAt
    }
}
