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

    /// The accounts with news behind their cursor that are not older than `time`: one page of them, as above. It reads the news
    /// since then and no other events, whatever the number of accounts.
    public func accountsWithNews(since time: Timestamp, after last: UUID?, limit: Int) async throws -> [UUID] {
        try await database.read { sql in
            try sql.query(
                Self.latestNews(isContinued: last != nil), [.int(limit), .timestamp(time)] + (last.map { [.uuid($0)] } ?? [])
            ).map { try $0.uuid("account_id") }
        }
    }

    /// With the limit as `$1`, the time as `$2`, and the account after which it continues as `$3`. Materialized, since SQLite would
    /// go through the whole table in the order of its accounts instead.
    static func latestNews(isContinued: Bool) -> String {
        """
        WITH news AS MATERIALIZED (SELECT account_id, sequence FROM events WHERE created_at >= $2 AND \(NotificationRule.rows))
        SELECT DISTINCT n.account_id FROM news n LEFT JOIN ring_cursors c ON c.account_id = n.account_id
        WHERE n.sequence > COALESCE(c.sequence, 0)\(isContinued ? " AND n.account_id > $3" : "") ORDER BY n.account_id LIMIT $1
        """
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
                WHERE s.account_id \(sql.dialect.isAnyUUID("$1")) AND (s.last_sequence >= COALESCE(c.sequence, 0) + $2 OR EXISTS (
                    SELECT 1 FROM events e WHERE e.account_id = s.account_id AND e.sequence > COALESCE(c.sequence, 0)
                    AND \(NotificationRule.rows)))
                """, [sql.dialect.list(accounts.map(\.lowercaseString)), .int(lag)]
            ).map { try $0.uuid("account_id") }
        }
    }

    /// Looks at an account's events behind its cursor, at most one page: writes its notifications, puts their pushes into the
    /// queue, and moves the cursor, all in one transaction. So each is enqueued once, however often it is tried.
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
            // Bounded in bytes too: SQLite's one writer waits while they are read and decoded.
            let page = try OutboxPage(
                of: account, after: cursor, upTo: last, where: NotificationRule.rows,
                bounds: .init(rows: limits.page, bytes: limits.pageBytes), in: sql)
            let told = try tell(page.entries, account: account, now: now, enqueue: enqueue, in: sql)
            let end = told.stop ?? (page.isMore ? page.end : nil) ?? last
            if end > cursor {
                try sql.execute("UPDATE ring_cursors SET sequence = $2 WHERE account_id = $1", [.uuid(account), .integer(end)])
            }
            return Dispatched(
                notifications: told.notifications, pushes: told.pushes, isMore: page.isMore || told.stop != nil)
        }
    }

    private struct Told {
        var notifications = 0
        var pushes = 0
        /// The number of the last event that was looked at, where that was not all of them.
        var stop: Int64?
    }

    private func tell(
        _ entries: [OutboxPage.Entry], account: UUID, now: Timestamp, enqueue: EnqueuePushes, in sql: any SQLSession
    ) throws -> Told {
        var told = Told()
        guard !entries.isEmpty else { return told }
        let situation = NotificationRule.Situation(
            preferences: try Self.preferences(of: account, in: sql), isWatching: try Self.isWatching(account, now: now, in: sql), now: now)
        let reach = try reach(of: account, in: sql)
        var budget = PushBudget(limits)
        var pushes: [RingPush] = []
        var last: Int64?
        for entry in entries {
            let event = entry.event
            defer { last = event.sequence }
            guard let notification = NotificationRule.notification(for: event, at: entry.createdAt, in: situation) else { continue }
            let targets = notification.isPushed ? reach.targets(of: notification.kind) : []
            let isPushed = budget.admits(targets.count, isListed: notification.isListed)
            if !isPushed, !notification.isListed, !targets.isEmpty {
                // Of this one nothing would be left: it begins the next page.
                told.stop = last
                break
            }
            let id = surroundings.newUUID()
            if notification.isListed {
                guard try insert(notification, id: id, sequence: event.sequence, account: account, now: now, in: sql) else { continue }
                told.notifications += 1
            }
            guard isPushed else { continue }
            let options = PushOptions(
                id: id, timeToLive: notification.timeToLive, urgency: notification.urgency, collapseKey: notification.collapseKey)
            pushes += targets.map { RingPush(target: $0, account: account, notification: notification.content, options: options) }
        }
        told.pushes = pushes.count
        if !pushes.isEmpty { try enqueue(pushes, sql) }
        if told.notifications > 0 { try boundNotifications(of: account, in: sql) }
        return told
    }

    /// Where an account's notifications go.
    private struct Reach {
        var devices: [RingPush.Target] = []
        var hasGateway = false

        /// What came from a gateway does not go to one: it could come back for ever.
        func targets(of kind: NotificationKind) -> [RingPush.Target] {
            hasGateway && kind != .program ? devices + [.gateway] : devices
        }
    }

    /// Nowhere, for an account that is disabled.
    private func reach(of account: UUID, in sql: any SQLSession) throws -> Reach {
        let disabled = try sql.first("SELECT 1 AS found FROM accounts WHERE id = $1 AND disabled_at IS NOT NULL", [.uuid(account)])
        guard disabled == nil else { return Reach() }
        let devices = try sql.query("SELECT id FROM ring_devices WHERE account_id = $1 ORDER BY registered_at", [.uuid(account)])
        return Reach(devices: try devices.map { .device(try $0.uuid("id")) }, hasGateway: hasGateway)
    }
}
