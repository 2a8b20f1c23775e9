import DriveDatabase
import DriveModel
import Foundation

/// What an administrator and the command line do with accounts and tokens. Each change and its audit entry are one transaction.
extension AccountDirectory {
    /// Makes a local account, whose subject is its name. Throws `conflict` where the name is taken, `invalidRequest` for a bad one.
    package func createAccount(name: String, role: AccountRole, by actor: AuditActor) async throws(DriveError) -> Account {
        guard AccountRules.isValid(name: name) else { throw AccountRules.invalidName }
        let surroundings = surroundings
        return try await audit.write(to: database) { sql, trail in
            let id = surroundings.newUUID()
            let created = try sql.execute(
                """
                INSERT INTO accounts (id, issuer, subject, name, role, created_at) VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (issuer, subject) DO NOTHING
                """,
                [
                    .uuid(id), .text(TokenIssuer.issuer), .text(name), .text(name), .text(role.rawValue),
                    .timestamp(surroundings.now()),
                ])
            guard created > 0 else { throw DriveError(.conflict, "There is an account of that name already.") }
            let entry = actor.entry("account.create", "account", id.lowercaseString, ["role": .string(role.rawValue)])
            try trail.append(entry, in: sql)
            return try Self.account(id, sql)
        }
    }

    /// The local account of that name.
    package func account(named name: String) async throws(DriveError) -> Account? {
        try await read { sql in
            try sql.first(
                "SELECT \(Account.columns) FROM accounts WHERE issuer = $1 AND subject = $2", [.text(TokenIssuer.issuer), .text(name)]
            ).map(Account.init(row:))
        }
    }

    package func account(id: UUID) async throws(DriveError) -> Account? {
        try await read { sql in
            try sql.first("SELECT \(Account.columns) FROM accounts WHERE id = $1", [.uuid(id)]).map(Account.init(row:))
        }
    }

    /// The accounts by name, `limit` (1 to 1000) of them from `offset` on.
    package func accounts(offset: Int = 0, limit: Int = 100) async throws(DriveError) -> [Account] {
        try await read { sql in
            try sql.query(
                "SELECT \(Account.columns) FROM accounts ORDER BY name, id LIMIT $1 OFFSET $2",
                [.int(min(max(limit, 1), 1000)), .int(max(offset, 0))]
            ).map(Account.init(row:))
        }
    }

    /// Disables an account or enables it again. Doing it twice changes nothing.
    package func setDisabled(_ disabled: Bool, account id: UUID, by actor: AuditActor) async throws(DriveError) -> Account {
        let now = surroundings.now()
        return try await change(id, actor, disabled ? "account.disable" : "account.enable") { sql, account in
            guard (account.disabledAt != nil) != disabled else { return false }
            try sql.execute(
                "UPDATE accounts SET disabled_at = $1 WHERE id = $2", [.timestamp(disabled ? now : nil as Timestamp?), .uuid(id)])
            return true
        }
    }

    /// Sets how many bytes the account may store; nil: the instance's default, -1: no limit.
    package func setQuota(_ bytes: Int64?, account id: UUID, by actor: AuditActor) async throws(DriveError) -> Account {
        guard bytes ?? 0 >= -1 else { throw DriveError(.invalidRequest, "A quota is a number of bytes, or -1 for no limit.") }
        let details: [String: JSONValue] = ["quotaBytes": bytes.map { .integer($0) } ?? .null]
        return try await change(id, actor, "account.quota", details) { sql, _ in
            try sql.execute("UPDATE accounts SET quota_bytes = $1 WHERE id = $2", [.integer(bytes), .uuid(id)])
            return true
        }
    }

    /// Sets the role of a local account; that of an external one follows its tokens (`forbidden`).
    package func setRole(_ role: AccountRole, account id: UUID, by actor: AuditActor) async throws(DriveError) -> Account {
        try await change(id, actor, "account.role", ["role": .string(role.rawValue)]) { sql, account in
            guard account.issuer == TokenIssuer.issuer else {
                throw DriveError(.forbidden, "The role of an external account comes with its tokens.")
            }
            try sql.execute("UPDATE accounts SET role = $1 WHERE id = $2", [.text(role.rawValue), .uuid(id)])
            return true
        }
    }

    /// The records of an account's tokens, the newest first; revoked and expired ones too.
    package func tokens(of accountId: UUID) async throws(DriveError) -> [TokenRecord] {
        try await read { sql in
            try sql.query(
                """
                SELECT id, account_id, name, role, created_at, expires_at, revoked_at FROM api_tokens
                WHERE account_id = $1 ORDER BY created_at DESC, id
                """, [.uuid(accountId)]
            ).map(TokenRecord.init(row:))
        }
    }

    /// Revokes a token; doing it twice changes nothing. Throws `notFound` where there is none.
    ///
    /// - Parameter owner: where given, only a token of this account is found.
    package func revokeToken(_ tokenId: String, owner: UUID? = nil, by actor: AuditActor) async throws(DriveError) {
        let now = surroundings.now()
        let accountId = try await audit.write(to: database) { sql, trail in
            guard let row = try sql.first("SELECT account_id FROM api_tokens WHERE id = $1", [.text(tokenId)]) else {
                throw AccountRules.tokenNotFound
            }
            let accountId = try row.uuid("account_id")
            guard owner == nil || owner == accountId else { throw AccountRules.tokenNotFound }
            let changed = try sql.execute(
                "UPDATE api_tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL", [.timestamp(now), .text(tokenId)])
            if changed > 0 {
                let account = JSONValue.string(accountId.lowercaseString)
                try trail.append(actor.entry("token.revoke", "token", tokenId, ["account": account]), in: sql)
            }
            return accountId
        }
        forget(accountId)
    }

    /// Revokes all tokens of an account and returns how many there were.
    @discardableResult
    package func revokeAllTokens(of accountId: UUID, by actor: AuditActor) async throws(DriveError) -> Int {
        let now = surroundings.now()
        let count = try await audit.write(to: database) { sql, trail in
            _ = try Self.account(accountId, sql)
            let changed = try sql.execute(
                "UPDATE api_tokens SET revoked_at = $1 WHERE account_id = $2 AND revoked_at IS NULL", [.timestamp(now), .uuid(accountId)])
            if changed > 0 {
                let entry = actor.entry(
                    "token.revokeAll", "account", accountId.lowercaseString, ["count": .integer(Int64(changed))])
                try trail.append(entry, in: sql)
            }
            return changed
        }
        forget(accountId)
        return count
    }

    /// Changes one account and writes the entry where `body` says that something changed.
    private func change(
        _ id: UUID, _ actor: AuditActor, _ action: String, _ details: [String: JSONValue] = [:],
        _ body: @escaping @Sendable (any SQLSession, Account) throws -> Bool
    ) async throws(DriveError) -> Account {
        let changed = try await audit.write(to: database) { sql, trail in
            if try body(sql, Self.account(id, sql)) {
                try trail.append(actor.entry(action, "account", id.lowercaseString, details), in: sql)
            }
            return try Self.account(id, sql)
        }
        forget(id)
        return changed
    }

    private static func account(_ id: UUID, _ sql: any SQLSession) throws -> Account {
        guard let row = try sql.first("SELECT \(Account.columns) FROM accounts WHERE id = $1", [.uuid(id)]) else {
            throw AccountRules.notFound
        }
        return try Account(row: row)
    }

    private func read<Result: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws(DriveError) -> Result {
        do {
            return try await database.read(body)
        } catch {
            throw DriveError(database: error)
        }
    }
}
