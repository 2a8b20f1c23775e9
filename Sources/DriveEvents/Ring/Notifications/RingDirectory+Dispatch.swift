import DriveDatabase
import DriveModel
import Foundation

/// Puts pushes into the caller's queue, in the caller's transaction: the queue stands above this module.
public typealias EnqueuePushes = @Sendable ([RingPush], any SQLSession) throws -> Void

extension RingDirectory {
    /// What one transaction made of an account's events.
    public struct Dispatched: Hashable, Sendable {
        public var notifications = 0
        public var pushes = 0
        /// There are more events to look at.
        public var isMore = false
    }

    /// The accounts with events behind their cursor, in the order of their ids: one page of them.
    public func accountsBehind(after last: UUID?, limit: Int) async throws -> [UUID] {
        try await database.read { sql in
            try sql.query(
                """
                SELECT s.account_id FROM event_sequences s LEFT JOIN ring_cursors c ON c.account_id = s.account_id
                WHERE s.last_sequence > COALESCE(c.sequence, 0)\(last == nil ? "" : " AND s.account_id > $2")
                ORDER BY s.account_id LIMIT $1
                """, [.int(limit)] + (last.map { [.uuid($0)] } ?? [])
            ).map { try $0.uuid("account_id") }
        }
    }

    /// The accounts with news behind their cursor that are not older than `time`: one page of them, as above. It reads the events
    /// since then and no others, whatever the number of accounts.
    public func accountsWithNews(since time: Timestamp, after last: UUID?, limit: Int) async throws -> [UUID] {
        try await database.read { sql in
            try sql.query(
                """
                SELECT DISTINCT e.account_id FROM events e LEFT JOIN ring_cursors c ON c.account_id = e.account_id
                WHERE e.created_at >= $2 AND e.type \(sql.dialect.isAny("$3")) AND e.sequence > COALESCE(c.sequence, 0)
                \(last == nil ? "" : "AND e.account_id > $4")
                ORDER BY e.account_id LIMIT $1
                """,
                [.int(limit), .timestamp(time), sql.dialect.list(NotificationRule.eventTypes)] + (last.map { [.uuid($0)] } ?? [])
            ).map { try $0.uuid("account_id") }
        }
    }

    /// Those of the accounts for which a look is worth a transaction: they have news, or their cursor has fallen far behind.
    /// Most events are progress, and cost no more than this.
    public func accountsWithNews(among accounts: [UUID]) async throws -> [UUID] {
        guard !accounts.isEmpty else { return [] }
        let lag = limits.lag
        return try await database.read { sql in
            try sql.query(
                """
                SELECT s.account_id FROM event_sequences s LEFT JOIN ring_cursors c ON c.account_id = s.account_id
                WHERE s.account_id \(sql.dialect.isAnyUUID("$1")) AND (s.last_sequence >= COALESCE(c.sequence, 0) + $3 OR EXISTS (
                    SELECT 1 FROM events e WHERE e.account_id = s.account_id AND e.sequence > COALESCE(c.sequence, 0)
                    AND e.type \(sql.dialect.isAny("$2"))))
                """,
                [
                    sql.dialect.list(accounts.map(\.lowercaseString)), sql.dialect.list(NotificationRule.eventTypes), .int(lag),
                ]
            ).map { try $0.uuid("account_id") }
        }
    }

    /// Looks at an account's events behind its cursor, at most one page: writes its notifications, puts a push for each device
    /// into the queue, and moves the cursor, all in one transaction. So each is enqueued once, however often it is tried.
    ///
    /// - Returns: nil where another server does it at the moment.
    public func dispatch(_ account: UUID, enqueue: @escaping EnqueuePushes) async throws -> Dispatched? {
        let now = surroundings.now()
        return try await database.write { [self] sql in
            try sql.execute(
                "INSERT INTO ring_cursors (account_id, sequence) VALUES ($1, 0) ON CONFLICT (account_id) DO NOTHING", [.uuid(account)])
            let held = try sql.first(
                "SELECT sequence FROM ring_cursors WHERE account_id = $1\(sql.dialect.forUpdateSkipLocked)", [.uuid(account)])
            guard let cursor = try held?.int64("sequence") else { return nil }
            // Before the events: whatever is up to it is committed, and seen by the next statement.
            let last =
                try sql.first("SELECT last_sequence FROM event_sequences WHERE account_id = $1", [.uuid(account)])?
                .int64("last_sequence") ?? 0
            let page = try sql.query(
                """
                SELECT sequence, type, task_id, data, created_at FROM events
                WHERE account_id = $1 AND sequence > $2 AND sequence <= $3 AND type \(sql.dialect.isAny("$4"))
                ORDER BY sequence LIMIT $5
                """,
                [
                    .uuid(account), .integer(cursor), .integer(last), sql.dialect.list(NotificationRule.eventTypes), .int(limits.page),
                ]
            ).map { (event: try LiveEvent($0), time: try $0.timestamp("created_at")) }
            var dispatched = Dispatched()
            dispatched.isMore = page.count == limits.page
            if !page.isEmpty { try tell(page, account: account, now: now, enqueue: enqueue, dispatched: &dispatched, in: sql) }
            let end = dispatched.isMore ? page.last?.event.sequence ?? last : last
            if end > cursor {
                try sql.execute("UPDATE ring_cursors SET sequence = $2 WHERE account_id = $1", [.uuid(account), .integer(end)])
            }
            return dispatched
        }
    }

    private func tell(
        _ page: [(event: LiveEvent, time: Timestamp)], account: UUID, now: Timestamp, enqueue: EnqueuePushes,
        dispatched: inout Dispatched, in sql: any SQLSession
    ) throws {
        let situation = NotificationRule.Situation(
            preferences: try Self.preferences(of: account, in: sql), isWatching: try Self.isWatching(account, now: now, in: sql), now: now)
        let devices = try sql.query(
            """
            SELECT id FROM ring_devices WHERE account_id = $1
            AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = $1 AND a.disabled_at IS NOT NULL) ORDER BY registered_at
            """, [.uuid(account)]
        ).map { try $0.uuid("id") }
        var pushes: [RingPush] = []
        for (event, time) in page {
            guard let notification = NotificationRule.notification(for: event, at: time, in: situation) else { continue }
            let id = newUUID()
            guard try insert(notification, id: id, sequence: event.sequence, account: account, now: now, in: sql) else { continue }
            dispatched.notifications += 1
            guard notification.isPushed else { continue }
            let options = PushOptions(
                id: id, timeToLive: notification.timeToLive, urgency: notification.urgency, collapseKey: notification.collapseKey)
            pushes += devices.map { RingPush(device: $0, account: account, notification: notification.content, options: options) }
        }
        dispatched.pushes = pushes.count
        if !pushes.isEmpty { try enqueue(pushes, sql) }
        if dispatched.notifications > 0 { try boundNotifications(of: account, in: sql) }
    }
}
