import DriveDatabase
import DriveModel
import Foundation

/// A new token and what is on record of it.
package struct IssuedToken: Sendable {
    /// The token itself: shown once, stored nowhere.
    package var token: String
    package var record: TokenRecord
}

/// What a token on record is good for.
package enum TokenRole: String, Codable, Sendable, CaseIterable {
    case user, admin
    /// Leasing and reporting tasks (`/tasks/work`) alone.
    case worker

    package init(_ role: AccountRole) {
        switch role {
        case .user: self = .user
        case .admin: self = .admin
        }
    }
}

/// A row of `api_tokens`; the token itself is not in it.
package struct TokenRecord: Sendable, Hashable {
    package var id: String
    package var accountId: UUID
    package var name: String
    package var role: TokenRole
    package var createdAt: Timestamp
    package var expiresAt: Timestamp
    package var revokedAt: Timestamp?
}

/// Makes our own tokens: JWTs signed with HS256 by the instance's key.
package struct TokenIssuer: Sendable {
    /// The `iss` of our tokens, and the issuer of local accounts.
    package static let issuer = "drive"
    /// The `aud` of upload session tokens.
    package static let uploadAudience = "drive-upload"
    /// The `aud` of worker tokens.
    package static let workerAudience = "drive-worker"

    private let key: SigningKey
    private let audience: String
    private let database: any Database
    private let audit: AuditLog
    private let surroundings: Surroundings

    /// - Parameter audience: the `aud` of account tokens.
    package init(
        key: SigningKey, audience: String, database: any Database, audit: AuditLog, surroundings: Surroundings = .system
    ) {
        self.key = key
        self.audience = audience
        self.database = database
        self.audit = audit
        self.surroundings = surroundings
    }

    /// Makes a token for an account and puts it on record.
    ///
    /// Throws `notFound` for an unknown account, `accountDisabled`, `forbidden` where an administrator's token is asked for
    /// an account that is none, `invalidRequest` for a lifetime under a second or over ten years.
    package func issueAccountToken(
        accountId: UUID, name: String, role: AccountRole, lifetime: Duration, by actor: AuditActor
    ) async throws(DriveError) -> IssuedToken {
        let record = try newRecord(of: accountId, name: name, role: TokenRole(role), lifetime: lifetime)
        let token = try signed(
            AccountClaims(
                iss: Self.issuer, aud: audience, sub: accountId.lowercaseString, jti: record.id, role: role,
                iat: record.createdAt.seconds, exp: record.expiresAt.seconds))
        let refusal = role == .admin ? "Only an administrator's account can have an administrator's token." : nil
        try await keep(record, unlessAdministrator: refusal, by: actor)
        return IssuedToken(token: token, record: record)
    }

    /// Makes a token for a worker, good for `/tasks/work` alone, and puts it on record.
    ///
    /// Throws as `issueAccountToken`; `forbidden` where tasks of all accounts are asked for an account that is no administrator's,
    /// `invalidRequest` for kinds that are none.
    package func issueWorkerToken(
        accountId: UUID, name: String, grant: WorkerGrant, lifetime: Duration, by actor: AuditActor
    ) async throws(DriveError) -> IssuedToken {
        try grant.check()
        let record = try newRecord(of: accountId, name: name, role: .worker, lifetime: lifetime)
        let token = try signed(
            WorkerClaims(
                iss: Self.issuer, aud: Self.workerAudience, sub: accountId.lowercaseString, jti: record.id, kinds: grant.kinds,
                scope: grant.allAccounts ? WorkerGrant.allScope : nil, iat: record.createdAt.seconds, exp: record.expiresAt.seconds))
        let refusal = grant.allAccounts ? "Only an administrator's account can have a worker token for all accounts." : nil
        let details: [String: JSONValue] = [
            "kinds": .array(grant.kinds.map { .string($0) }), "allAccounts": .bool(grant.allAccounts),
        ]
        try await keep(record, unlessAdministrator: refusal, details: details, by: actor)
        return IssuedToken(token: token, record: record)
    }

    private func newRecord(of accountId: UUID, name: String, role: TokenRole, lifetime: Duration) throws(DriveError) -> TokenRecord {
        guard lifetime >= .seconds(1), lifetime <= .seconds(3660 * 86_400) else {
            throw DriveError(.invalidRequest, "A token lives for a second to ten years.")
        }
        guard AccountRules.isValid(name: name) else { throw AccountRules.invalidName }
        let now = surroundings.now()
        // Whole seconds, as in the token.
        return TokenRecord(
            id: surroundings.newIdentifier(), accountId: accountId, name: name, role: role, createdAt: Timestamp(seconds: now.seconds),
            expiresAt: Timestamp(seconds: (now + lifetime).seconds))
    }

    /// Stores a record with its audit entry.
    ///
    /// - Parameter refusal: where given, the account must be an administrator's, and this is what another is told.
    private func keep(
        _ record: TokenRecord, unlessAdministrator refusal: String?, details: [String: JSONValue] = [:], by actor: AuditActor
    ) async throws(DriveError) {
        try await audit.write(to: database) { sql, trail in
            guard let account = try sql.first("SELECT role, disabled_at FROM accounts WHERE id = $1", [.uuid(record.accountId)]) else {
                throw AccountRules.notFound
            }
            guard try account.optionalTimestamp("disabled_at") == nil else { throw AccountRules.disabled }
            if let refusal, try account.text("role") != AccountRole.admin.rawValue { throw DriveError(.forbidden, refusal) }
            try sql.execute(
                "INSERT INTO api_tokens (id, account_id, name, role, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    .text(record.id), .uuid(record.accountId), .text(record.name), .text(record.role.rawValue),
                    .timestamp(record.createdAt), .timestamp(record.expiresAt),
                ])
            let owner: [String: JSONValue] = ["account": .string(record.accountId.lowercaseString)]
            try trail.append(actor.entry("token.create", "token", record.id, details.merging(owner) { $1 }), in: sql)
        }
    }

    /// Makes a token for one upload. There is no record of it: the upload's row holds the serial and the expiry that count.
    package func uploadSessionToken(
        accountId: UUID, taskId: String, serial: Int, expiresAt: Timestamp
    ) throws(DriveError) -> String {
        try signed(
            UploadClaims(
                iss: Self.issuer, aud: Self.uploadAudience, sub: accountId.lowercaseString, task: taskId, serial: serial,
                iat: surroundings.now().seconds, exp: expiresAt.seconds))
    }

    private func signed(_ claims: some Encodable) throws(DriveError) -> String {
        do {
            let header = try DriveJSON.encoder().encode(["alg": "HS256", "kid": key.id, "typ": "JWT"])
            let text = try Base64URL.encode(header) + "." + Base64URL.encode(DriveJSON.encoder().encode(claims))
            return text + "." + Base64URL.encode(key.sign(Array(text.utf8)))
        } catch {
            throw DriveError(.internalError, "The token could not be written.")
        }
    }

    private struct AccountClaims: Encodable {
        var iss, aud, sub, jti: String
        var role: AccountRole
        var iat, exp: Int64
    }

    private struct WorkerClaims: Encodable {
        var iss, aud, sub, jti: String
        var kinds: [String]
        var scope: String?
        var iat, exp: Int64
    }

    private struct UploadClaims: Encodable {
        var iss, aud, sub, task: String
        var serial: Int
        var iat, exp: Int64
    }
}
