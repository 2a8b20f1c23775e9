import DriveDatabase
import DriveModel
import Foundation

/// A new token and what is on record of it.
package struct IssuedToken: Sendable {
    /// The token itself: shown once, stored nowhere.
    package var token: String
    package var record: TokenRecord
}

/// A row of `api_tokens`; the token itself is not in it.
package struct TokenRecord: Sendable, Hashable {
    package var id: String
    package var accountId: UUID
    package var name: String
    package var role: AccountRole
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
        guard lifetime >= .seconds(1), lifetime <= .seconds(3660 * 86_400) else {
            throw DriveError(.invalidRequest, "A token lives for a second to ten years.")
        }
        guard AccountRules.isValid(name: name) else { throw AccountRules.invalidName }
        let now = surroundings.now()
        // Whole seconds, as in the token.
        let record = TokenRecord(
            id: surroundings.newIdentifier(), accountId: accountId, name: name, role: role, createdAt: Timestamp(seconds: now.seconds),
            expiresAt: Timestamp(seconds: (now + lifetime).seconds))
        let token = try signed(
            AccountClaims(
                iss: Self.issuer, aud: audience, sub: accountId.uuidString.lowercased(), jti: record.id, role: role,
                iat: record.createdAt.seconds, exp: record.expiresAt.seconds))
        try await audit.write(to: database) { sql, trail in
            guard let account = try sql.first("SELECT role, disabled_at FROM accounts WHERE id = $1", [.uuid(accountId)]) else {
                throw AccountRules.notFound
            }
            guard try account.optionalTimestamp("disabled_at") == nil else { throw AccountRules.disabled }
            if role == .admin, try account.text("role") != AccountRole.admin.rawValue {
                throw DriveError(.forbidden, "Only an administrator's account can have an administrator's token.")
            }
            try sql.execute(
                "INSERT INTO api_tokens (id, account_id, name, role, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    .text(record.id), .uuid(accountId), .text(name), .text(role.rawValue), .timestamp(record.createdAt),
                    .timestamp(record.expiresAt),
                ])
            try trail.append(
                actor.entry("token.create", "token", record.id, ["account": .string(accountId.uuidString.lowercased())]), in: sql)
        }
        return IssuedToken(token: token, record: record)
    }

    /// Makes a token for one upload. There is no record of it: the upload's row holds the serial and the expiry that count.
    package func uploadSessionToken(
        accountId: UUID, taskId: String, serial: Int, expiresAt: Timestamp
    ) throws(DriveError) -> String {
        try signed(
            UploadClaims(
                iss: Self.issuer, aud: Self.uploadAudience, sub: accountId.uuidString.lowercased(), task: taskId, serial: serial,
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

    private struct UploadClaims: Encodable {
        var iss, aud, sub, task: String
        var serial: Int
        var iat, exp: Int64
    }
}
