import DriveDatabase
import DriveModel
import Foundation

extension RingDirectory {
    /// The channel that tells the name of a leadership that was given up.
    static let leadershipChannel = "drive_ring_leaders"

    /// Who leads; nil where nobody ever did.
    func leadership(_ name: String) async throws -> Leadership? {
        try await database.read { sql in
            try sql.first("SELECT holder, heartbeat FROM ring_leaders WHERE name = $1", [.text(name)]).map { row in
                Leadership(holder: try row.optionalText("holder"), heartbeat: try row.int64("heartbeat"))
            }
        }
    }

    /// Takes the lead, where the row is still as it was seen.
    /// - Returns: when any server led for the first time; nil where another one was faster.
    func takeLeadership(_ name: String, holder: String, seen: Leadership?) async throws -> Timestamp? {
        let now = surroundings.now()
        return try await database.write { sql in
            try sql.first(
                """
                INSERT INTO ring_leaders (name, holder, heartbeat, since) VALUES ($1, $2, 1, $3) ON CONFLICT (name)
                DO UPDATE SET holder = excluded.holder, heartbeat = ring_leaders.heartbeat + 1 WHERE ring_leaders.heartbeat = $4
                RETURNING since
                """, [.text(name), .text(holder), .timestamp(now), .integer(seen?.heartbeat ?? 0)])?.timestamp("since")
        }
    }

    /// Shows a sign of life, and writes how far accounts were forwarded: what a server writes that leads no more would undo what
    /// its successor wrote.
    /// - Parameter isLast: the lead is given up.
    /// - Returns: false where another server leads; nothing was written.
    func keepLeadership(_ name: String, holder: String, cursors: [UUID: Int64], isLast: Bool = false) async throws -> Bool {
        try await database.write { sql in
            let count = try sql.execute(
                """
                UPDATE ring_leaders SET heartbeat = heartbeat + 1\(isLast ? ", holder = NULL" : "") WHERE name = $1 AND holder = $2
                """, [.text(name), .text(holder)])
            guard count == 1 else { return false }
            if isLast { sql.notify(Self.leadershipChannel, name) }
            var rows = SQLRows()
            for (account, sequence) in cursors {
                rows.append { row in
                    row.add("account_id", account.lowercaseString)
                    row.add("sequence", sequence)
                }
            }
            guard !rows.isEmpty else { return true }
            try sql.execute(
                """
                INSERT INTO ring_forwarding (account_id, sequence) SELECT x.account_id, x.sequence
                FROM \(sql.dialect.rows("$1", ["account_id": .uuid, "sequence": .bigint])) WHERE 1 = 1
                ON CONFLICT (account_id) DO UPDATE SET sequence = excluded.sequence
                """, [rows.value])
            return true
        }
    }
}
