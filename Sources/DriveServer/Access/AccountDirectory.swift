import DriveDatabase
import DriveModel
import Foundation
import Logging

/// The accounts: who a verified token stands for, and whether that still holds.
package struct AccountDirectory: Sendable {
    let database: any Database
    let audit: AuditLog
    let surroundings: Surroundings
    private let states: AccessStateCache

    package init(
        database: any Database, audit: AuditLog, surroundings: Surroundings = .system, time: MonotonicTime = .system,
        cachedStates: Int = 10_000, patience: Duration = .seconds(5), logger: Logger = Logger(label: "Drive.Access")
    ) {
        self.database = database
        self.audit = audit
        self.surroundings = surroundings
        states = AccessStateCache(database: database, time: time, capacity: cachedStates, patience: patience, logger: logger)
    }

    /// Who a verified token stands for, by the state of its account and its record at most half a second ago.
    func identity(of token: VerifiedToken) async throws(DriveError) -> Identity {
        var tokenId: String?
        switch token.subject {
        case .account(let id, _), .worker(let id, _): tokenId = id
        case .upload, .external: break
        }
        guard let state = try await states.state(.init(accountId: token.accountId, tokenId: tokenId)) else {
            throw TokenFault.unknownAccount.error
        }
        var kind = Identity.Kind.account
        let role: AccountRole
        switch token.subject {
        case .account(_, let claimed):
            let record = try Self.record(of: state)
            guard record.role != .worker else { throw TokenFault.unknownToken.error }
            // An administrator's token is one only as long as its account is an administrator's.
            role = claimed == .admin && record.role == .admin && state.role == .admin ? .admin : .user
        case .worker(_, var grant):
            guard try Self.record(of: state).role == .worker else { throw TokenFault.unknownToken.error }
            grant.allAccounts = grant.allAccounts && state.role == .admin
            kind = .worker(grant)
            role = .user
        case .upload(let taskId, let serial):
            kind = .uploadSession(taskId: taskId, serial: serial)
            role = .user
        case .external(let claimed):
            role = claimed
        }
        guard !state.isDisabled else { throw AccountRules.disabled }
        return Identity(
            accountId: token.accountId, role: role, tokenId: tokenId, kind: kind, name: state.name, goodUntil: token.goodUntil)
    }

    /// The token's record, where it is one that still holds.
    private static func record(of state: AccessState) throws(DriveError) -> AccessState.Token {
        guard let record = state.token else { throw TokenFault.unknownToken.error }
        guard !record.isRevoked else { throw AccountRules.revoked }
        return record
    }

    /// The account of an external issuer's subject; made at first sight. Its role follows the token.
    func externalAccount(issuer: String, subject: String, name: String, role: AccountRole) async throws(DriveError) -> UUID {
        let find = "SELECT id, role FROM accounts WHERE issuer = $1 AND subject = $2"
        let known: UUID?
        do {
            known = try await database.read { sql in
                guard let row = try sql.first(find, [.text(issuer), .text(subject)]) else { return nil }
                return try row.text("role") == role.rawValue ? try row.uuid("id") : nil
            }
        } catch {
            throw DriveError(database: error)
        }
        if let known { return known }
        let surroundings = surroundings
        return try await audit.write(to: database) { sql, trail in
            let made = surroundings.newUUID()
            let created = try sql.execute(
                """
                INSERT INTO accounts (id, issuer, subject, name, role, created_at) VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (issuer, subject) DO NOTHING
                """,
                [
                    .uuid(made), .text(issuer), .text(subject), .text(name), .text(role.rawValue), .timestamp(surroundings.now()),
                ])
            if created > 0 {
                let entry = AuditActor.system.entry(
                    "account.create", "account", made.lowercaseString, ["issuer": .string(issuer), "role": .string(role.rawValue)])
                try trail.append(entry, in: sql)
                return made
            }
            // Somebody was first. A snapshot older than that row does not show it: then the caller tries again.
            guard let row = try sql.first(find, [.text(issuer), .text(subject)]) else {
                throw DatabaseError(.busy, "an account was made at the same time")
            }
            let id = try row.uuid("id")
            if try row.text("role") != role.rawValue {
                try sql.execute("UPDATE accounts SET role = $1 WHERE id = $2", [.text(role.rawValue), .uuid(id)])
                let entry = AuditActor.system.entry(
                    "account.role", "account", id.lowercaseString, ["role": .string(role.rawValue)])
                try trail.append(entry, in: sql)
            }
            return id
        }
    }

    /// Makes this process see a change of its own at once; other processes see it within half a second.
    func forget(_ accountId: UUID) { states.forget(accountId: accountId) }
}
