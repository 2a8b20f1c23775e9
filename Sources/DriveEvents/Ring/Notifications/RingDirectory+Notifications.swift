import DriveDatabase
import DriveModel
import Foundation

extension RingDirectory {
    // MARK: Past notifications

    /// A page of an account's notifications, the newest first, and how many there are in all.
    public func notifications(
        of account: UUID, unreadOnly: Bool, offset: Int, limit: Int
    ) async throws -> (items: [PastNotification], total: Int, unread: Int) {
        let condition = unreadOnly ? " AND read_at IS NULL" : ""
        return try await database.read { sql in
            let counts = try sql.first(
                """
                SELECT COUNT(*) AS total, COUNT(*) - COUNT(read_at) AS unread FROM ring_notifications WHERE account_id = $1
                """, [.uuid(account)])
            let unread = try counts?.int("unread") ?? 0
            let items = try sql.query(
                "SELECT * FROM ring_notifications WHERE account_id = $1\(condition) ORDER BY sequence DESC LIMIT $2 OFFSET $3",
                [.uuid(account), .int(limit), .int(offset)]
            ).map { try PastNotification($0) }
            return (items, unreadOnly ? unread : try counts?.int("total") ?? 0, unread)
        }
    }

    /// Sets or takes away read marks; returns how many changed. Ids that are not the account's change nothing.
    public func mark(_ selection: NotificationSelection, read: Bool, of account: UUID) async throws -> Int {
        let now = surroundings.now()
        return try await database.write { sql in
            let mark: SQLValue = .timestamp(read ? now : nil)
            let condition = read ? "read_at IS NULL" : "read_at IS NOT NULL"
            switch selection {
            case .ids(let ids):
                guard !ids.isEmpty else { return 0 }
                return try sql.execute(
                    """
                    UPDATE ring_notifications SET read_at = $2
                    WHERE account_id = $1 AND id \(sql.dialect.isAnyUUID("$3")) AND \(condition)
                    """, [.uuid(account), mark, sql.dialect.list(ids.map(\.lowercaseString))])
            case .upTo(let sequence):
                return try sql.execute(
                    "UPDATE ring_notifications SET read_at = $2 WHERE account_id = $1 AND sequence <= $3 AND \(condition)",
                    [.uuid(account), mark, .integer(sequence)])
            }
        }
    }

    /// Removes notifications older than `cutoff`, at most `limit`; returns how many.
    public static func pruneNotifications(before cutoff: Timestamp, limit: Int, in sql: any SQLSession) throws -> Int {
        try sql.execute(
            """
            DELETE FROM ring_notifications WHERE (account_id, sequence) IN
            (SELECT account_id, sequence FROM ring_notifications WHERE created_at < $1 ORDER BY created_at LIMIT $2)
            """, [.timestamp(cutoff), .int(limit)])
    }

    /// Adds a notification and gives up those beyond the account's bound. False where the event has one already.
    func insert(
        _ notification: RingNotification, id: UUID, sequence: Int64, account: UUID, now: Timestamp, in sql: any SQLSession
    ) throws -> Bool {
        let content = notification.content
        return try sql.execute(
            """
            INSERT INTO ring_notifications (account_id, sequence, id, kind, title, subtitle, body, meta, action_uri, task_id, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING
            """,
            [
                .uuid(account), .integer(sequence), .uuid(id), .text(notification.kind.rawValue), .text(content.title),
                .text(content.subtitle), .text(content.body), try .encoded(content.meta ?? .object([:])), .text(content.actionURI),
                .text(notification.taskId), .timestamp(now),
            ]) == 1
    }

    func boundNotifications(of account: UUID, in sql: any SQLSession) throws {
        try sql.execute(
            """
            DELETE FROM ring_notifications WHERE account_id = $1 AND sequence <=
            (SELECT sequence FROM ring_notifications WHERE account_id = $1 ORDER BY sequence DESC LIMIT 1 OFFSET $2)
            """, [.uuid(account), .int(limits.notifications)])
    }

    // MARK: Preferences

    public func preferences(of account: UUID) async throws -> NotificationPreferences {
        try await database.read { sql in try Self.preferences(of: account, in: sql) }
    }

    /// Changes what is named and leaves the rest; returns what holds then.
    public func setPreferences(
        _ changes: [NotificationKind: NotificationDelivery], of account: UUID
    ) async throws -> NotificationPreferences {
        try await database.write { sql in
            for (kind, delivery) in changes.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                try sql.execute(
                    """
                    INSERT INTO ring_preferences (account_id, kind, delivery) VALUES ($1, $2, $3)
                    ON CONFLICT (account_id, kind) DO UPDATE SET delivery = excluded.delivery
                    """, [.uuid(account), .text(kind.rawValue), .text(delivery.rawValue)])
            }
            return try Self.preferences(of: account, in: sql)
        }
    }

    static func preferences(of account: UUID, in sql: any SQLSession) throws -> NotificationPreferences {
        var chosen: [NotificationKind: NotificationDelivery] = [:]
        for row in try sql.query("SELECT kind, delivery FROM ring_preferences WHERE account_id = $1", [.uuid(account)]) {
            // A word of a newer program is passed over.
            guard let kind = NotificationKind(rawValue: try row.text("kind")) else { continue }
            chosen[kind] = NotificationDelivery(rawValue: try row.text("delivery"))
        }
        return NotificationPreferences(chosen)
    }
}
