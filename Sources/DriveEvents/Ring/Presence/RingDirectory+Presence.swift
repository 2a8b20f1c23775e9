import DriveDatabase
import DriveModel
import Foundation

extension RingDirectory {
    /// Says which accounts watch on this server, until `expires`, and which do no more: one transaction for all.
    func notePresence(on server: String, watching: Set<UUID>, gone: Set<UUID>, until expires: Timestamp) async throws {
        guard !watching.isEmpty || !gone.isEmpty else { return }
        let now = surroundings.now()
        try await database.write { sql in
            // In one order everywhere, so that no two transactions wait for each other.
            for account in watching.sorted(by: { $0.uuidString < $1.uuidString }) {
                try sql.execute(
                    """
                    INSERT INTO ring_presence (account_id, server_id, expires_at) VALUES ($1, $2, $3)
                    ON CONFLICT (account_id, server_id) DO UPDATE SET expires_at = excluded.expires_at
                    """, [.uuid(account), .text(server), .timestamp(expires)])
            }
            if !gone.isEmpty {
                try sql.execute(
                    "DELETE FROM ring_presence WHERE server_id = $1 AND account_id \(sql.dialect.isAnyUUID("$2"))",
                    [.text(server), sql.dialect.list(gone.map(\.lowercaseString))])
            }
            // Of servers that died.
            try sql.execute("DELETE FROM ring_presence WHERE expires_at < $1", [.timestamp(now - .seconds(600))])
        }
    }

    /// Nobody watches on this server any more: it stops.
    func removePresence(on server: String) async throws {
        _ = try await database.write { sql in try sql.execute("DELETE FROM ring_presence WHERE server_id = $1", [.text(server)]) }
    }

    /// Whether somebody of the account looks at the screen, on any server.
    static func isWatching(_ account: UUID, now: Timestamp, in sql: any SQLSession) throws -> Bool {
        try sql.first("SELECT 1 AS found FROM ring_presence WHERE account_id = $1 AND expires_at > $2", [.uuid(account), .timestamp(now)])
            != nil
    }
}
