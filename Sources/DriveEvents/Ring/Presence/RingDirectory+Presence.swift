import DriveDatabase
import DriveModel
import Foundation

extension RingDirectory {
    /// Says who is where on this server, until `expires`, and who is there no more: one transaction for all.
    func notePresence(
        on server: String, here: Set<PresenceBoard.Presence>, gone: Set<PresenceBoard.Presence>, until expires: Timestamp
    ) async throws {
        guard !here.isEmpty || !gone.isEmpty else { return }
        let now = surroundings.now()
        let (present, absent) = (Self.rows(here), Self.rows(gone))
        try await database.write { sql in
            let table = sql.dialect.rows("$1", ["account_id": .uuid, "place": .text])
            if !present.isEmpty {
                // Without a WHERE, SQLite would take the ON CONFLICT for a join's ON.
                try sql.execute(
                    """
                    INSERT INTO ring_presence (account_id, place, server_id, expires_at)
                    SELECT x.account_id, x.place, $2, $3 FROM \(table) WHERE x.place IS NOT NULL
                    ON CONFLICT (account_id, place, server_id) DO UPDATE SET expires_at = excluded.expires_at
                    """, [present.value, .text(server), .timestamp(expires)])
            }
            if !absent.isEmpty {
                try sql.execute(
                    """
                    DELETE FROM ring_presence WHERE server_id = $2
                    AND (account_id, place) IN (SELECT x.account_id, x.place FROM \(table))
                    """, [absent.value, .text(server)])
            }
            try Self.sweep(before: now, in: sql)
        }
    }

    /// Rows of servers that died, and of clients of a gateway that were heard of no more.
    private static func sweep(before now: Timestamp, in sql: any SQLSession) throws {
        try sql.execute("DELETE FROM ring_presence WHERE expires_at < $1", [.timestamp(now - .seconds(600))])
    }

    /// In one order everywhere, so that no two transactions wait for each other.
    private static func rows(_ presences: Set<PresenceBoard.Presence>) -> SQLRows {
        var rows = SQLRows()
        let named = presences.map { (account: $0.account.lowercaseString, place: $0.place.name) }
        for presence in named.sorted(by: { ($0.account, $0.place) < ($1.account, $1.place) }) {
            rows.append { row in
                row.add("account_id", presence.account)
                row.add("place", presence.place)
            }
        }
        return rows
    }

    /// Nobody is on this server any more: it stops.
    func removePresence(on server: String) async throws {
        _ = try await database.write { sql in try sql.execute("DELETE FROM ring_presence WHERE server_id = $1", [.text(server)]) }
    }

    /// Somebody of the account is at a place for a while, where no server of ours sees him: a gateway says so.
    ///
    /// - Parameter client: names him among all who are said to be somewhere.
    public func note(_ account: UUID, at place: PresencePlace, client: String, for time: Duration) async throws {
        let now = surroundings.now()
        _ = try await database.write { sql in
            try Self.sweep(before: now, in: sql)
            return try sql.execute(
                """
                INSERT INTO ring_presence (account_id, place, server_id, expires_at) VALUES ($1, $2, $3, $4)
                ON CONFLICT (account_id, place, server_id) DO UPDATE SET expires_at = excluded.expires_at
                """, [.uuid(account), .text(place.name), .text("gateway:\(client)"), .timestamp(now + time)])
        }
    }

    /// He is there no more.
    public func noteGone(_ account: UUID, from place: PresencePlace, client: String) async throws {
        _ = try await database.write { sql in
            try sql.execute(
                "DELETE FROM ring_presence WHERE account_id = $1 AND place = $2 AND server_id = $3",
                [.uuid(account), .text(place.name), .text("gateway:\(client)")])
        }
    }

    /// Those of the accounts that have somebody at the place, on another server than this one.
    func present(_ accounts: Set<UUID>, at place: PresencePlace, besides server: String) async throws -> Set<UUID> {
        guard !accounts.isEmpty else { return [] }
        let now = surroundings.now()
        return try await database.read { sql in
            Set(
                try sql.query(
                    """
                    SELECT DISTINCT account_id FROM ring_presence
                    WHERE account_id \(sql.dialect.isAnyUUID("$1")) AND place = $2 AND expires_at > $3 AND server_id <> $4
                    """,
                    [sql.dialect.list(accounts.map(\.lowercaseString)), .text(place.name), .timestamp(now), .text(server)]
                ).map { try $0.uuid("account_id") })
        }
    }

    /// Whether somebody of the account looks at the screen, on any server.
    static func isWatching(_ account: UUID, now: Timestamp, in sql: any SQLSession) throws -> Bool {
        try sql.first(
            "SELECT 1 AS found FROM ring_presence WHERE account_id = $1 AND place = $2 AND expires_at > $3",
            [.uuid(account), .text(PresencePlace.foreground.name), .timestamp(now)]) != nil
    }
}
