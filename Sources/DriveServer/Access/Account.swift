import DriveDatabase
import DriveModel
import Foundation

/// A row of `accounts`.
package struct Account: Sendable, Hashable {
    package var id: UUID
    /// `drive` for a local account, else the `iss` of the tokens it comes with.
    package var issuer: String
    package var subject: String
    package var name: String
    package var role: AccountRole
    /// The most bytes it may store; nil: the instance's default.
    package var quotaBytes: Int64?
    package var createdAt: Timestamp
    package var disabledAt: Timestamp?

    static let columns = "id, issuer, subject, name, role, quota_bytes, created_at, disabled_at"

    init(row: SQLRow) throws {
        id = try row.uuid("id")
        issuer = try row.text("issuer")
        subject = try row.text("subject")
        name = try row.text("name")
        role = AccountRole(rawValue: try row.text("role")) ?? .user
        quotaBytes = try row.optionalInt64("quota_bytes")
        createdAt = try row.timestamp("created_at")
        disabledAt = try row.optionalTimestamp("disabled_at")
    }
}

extension TokenRecord {
    init(row: SQLRow) throws {
        id = try row.text("id")
        accountId = try row.uuid("account_id")
        name = try row.text("name")
        role = TokenRole(rawValue: try row.text("role")) ?? .user
        createdAt = try row.timestamp("created_at")
        expiresAt = try row.timestamp("expires_at")
        revokedAt = try row.optionalTimestamp("revoked_at")
    }
}

/// What holds for names, and the errors about accounts.
enum AccountRules {
    static let longestName = 200

    static let invalidName = DriveError(
        .invalidRequest, "A name has 1 to \(longestName) bytes, no control characters, and no blanks at its ends.")
    static let notFound = DriveError(.notFound, "There is no such account.")
    static let tokenNotFound = DriveError(.notFound, "There is no such token.")
    static let disabled = DriveError(.accountDisabled, "The account is disabled.")
    static let revoked = DriveError(.tokenRevoked, "The access token was revoked; sign in with another one.")

    static func isValid(name: String) -> Bool {
        let isPlain = !name.unicodeScalars.contains { $0.properties.generalCategory == .control }
        return isPlain && !name.isEmpty && name.utf8.count <= longestName
            && name == name.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A name for people from the usual claims (OpenID Connect Core §5.1).
    static func name(from claims: TokenClaims, otherwise subject: String) -> String {
        for claim in ["name", "preferred_username"] {
            if let name = claims.text(claim), isValid(name: name) { return name }
        }
        return isValid(name: subject) ? subject : "unnamed"
    }
}
