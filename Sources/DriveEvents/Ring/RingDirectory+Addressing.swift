import DriveDatabase
import DriveModel
import Foundation

extension RingDirectory {
    /// The accounts of these devices, as far as these are registered; disabled accounts have none.
    public func accounts(ofDevices devices: [UUID]) async throws -> [UUID: UUID] {
        guard !devices.isEmpty else { return [:] }
        return try await database.read { sql in
            var accounts: [UUID: UUID] = [:]
            for row in try sql.query(
                """
                SELECT id, account_id FROM ring_devices d WHERE id \(sql.dialect.isAnyUUID("$1"))
                AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = d.account_id AND a.disabled_at IS NOT NULL)
                """,
                [sql.dialect.list(devices.map(\.lowercaseString))])
            {
                accounts[try row.uuid("id")] = try row.uuid("account_id")
            }
            return accounts
        }
    }

    /// Removes a device, whoever's it is. Returns whose it was; nil where it is not registered.
    public static func removeDevice(_ device: UUID, in sql: any SQLSession) throws -> UUID? {
        try sql.first("DELETE FROM ring_devices WHERE id = $1 RETURNING account_id", [.uuid(device)])?.uuid("account_id")
    }

    /// Appends what other programs say to the outbox, a hundred events in a transaction: where a later one fails, a repetition brings the
    /// earlier ones again.
    public func append(_ events: [OutboxEvent]) async throws {
        for start in stride(from: 0, to: events.count, by: 100) {
            let portion = Array(events[start..<min(start + 100, events.count)])
            let now = surroundings.now()
            try await database.write { sql in try EventOutbox.append(portion, now: now, in: sql) }
        }
    }
}
