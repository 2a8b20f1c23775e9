import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// How other programs call the people behind accounts (``RingUser``).
struct RingPeople: Sendable {
    let database: any Database

    /// What other programs call the account; nil where it is gone or disabled.
    func name(of account: UUID) async throws -> String? {
        let row = try await database.read { sql in
            try sql.first("SELECT issuer, subject FROM accounts WHERE id = $1 AND disabled_at IS NULL", [.uuid(account)])
        }
        guard let row else { return nil }
        return RingUser.name(
            account: account.lowercaseString, issuer: try row.text("issuer"), subject: try row.text("subject"),
            localIssuer: TokenIssuer.issuer)
    }

    /// The accounts that are called so, as far as there are any: by their id, or by the subject at an external issuer. A subject
    /// that several issuers know is nobody's.
    func accounts(named names: Set<String>) async throws -> [String: UUID] {
        var rows = SQLRows()
        // One id may be spelled in several ways.
        var identifiers: [UUID: [String]] = [:]
        for name in names.sorted() {
            rows.append { $0.add("name", name) }
            if let id = UUID(uuidString: name) { identifiers[id, default: []].append(name) }
        }
        guard !rows.isEmpty else { return [:] }
        let (subjects, ids) = (rows.value, identifiers)
        return try await database.read { sql in
            var accounts: [String: UUID] = [:]
            for row in try sql.query(
                """
                SELECT MIN(CAST(a.id AS \(sql.dialect == .postgresql ? "VARCHAR" : "TEXT"))) AS id, a.subject FROM accounts a
                JOIN \(sql.dialect.rows("$1", ["name": .text])) ON a.subject = x.name
                WHERE a.issuer <> $2 GROUP BY a.subject HAVING COUNT(*) = 1 AND COUNT(a.disabled_at) = 0
                """, [subjects, .text(TokenIssuer.issuer)])
            {
                accounts[try row.text("subject")] = try row.uuid("id")
            }
            if !ids.isEmpty {
                for row in try sql.query(
                    "SELECT id FROM accounts WHERE id \(sql.dialect.isAnyUUID("$1")) AND disabled_at IS NULL",
                    [sql.dialect.list(ids.keys.map(\.lowercaseString))])
                {
                    let id = try row.uuid("id")
                    for name in ids[id] ?? [] { accounts[name] = id }
                }
            }
            return accounts
        }
    }
}
