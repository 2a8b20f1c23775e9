import DriveDatabase
import DriveModel
import Foundation

/// What happened, for its owner's devices.
public struct DriveEvent: Hashable, Sendable {
    /// `task.created`, `task.progress`, `task.completed`, `task.failed`, `upload.…`.
    public var type: String
    public var taskId: String?
    public var data: [String: JSONValue]

    public init(type: String, taskId: String?, data: [String: JSONValue]) {
        self.type = type
        self.taskId = taskId
        self.data = data
    }
}

/// What a packet that another program sent brings beside its type and data. An event that has it is that program's: it becomes no
/// notification, and no other gateway gets it.
public struct EventRelay: Codable, Hashable, Sendable {
    /// The one device that it is for; nil: all of them.
    public var deviceId: String?
    public var errorMessage: String?

    public init(deviceId: String? = nil, errorMessage: String? = nil) {
        self.deviceId = deviceId
        self.errorMessage = errorMessage
    }
}

/// An event as it is written: encoded before the transaction.
public struct OutboxEvent: Hashable, Sendable {
    public var account: UUID
    public var type: String
    public var taskId: String?
    /// JSON text of an object.
    public var data: String
    /// JSON text of an ``EventRelay``; nil: an event of our own.
    public var relay: String?

    public init(account: UUID, type: String, taskId: String?, data: String, relay: String? = nil) {
        self.account = account
        self.type = type
        self.taskId = taskId
        self.data = data
        self.relay = relay
    }
}

/// Events are written in the transaction of the change they tell of, numbered per account without gaps: a database
/// sequence would show numbers in another order than their commits.
public enum EventOutbox {
    /// The channel that tells an account's id when it has new events.
    public static let channel = "drive_events"

    /// Appends events of one account, in order.
    public static func append(
        _ events: [DriveEvent], account: UUID, now: Timestamp, in sql: any SQLSession
    ) throws {
        try append(
            try events.map { OutboxEvent(account: account, type: $0.type, taskId: $0.taskId, data: try DriveJSON.text($0.data)) }, now: now,
            in: sql)
    }

    /// Appends events of any accounts, those of one in order: one statement for the numbers of each account, one for all rows.
    public static func append(_ events: [OutboxEvent], now: Timestamp, in sql: any SQLSession) throws {
        guard !events.isEmpty else { return }
        // In one order everywhere, so that no two transactions wait for each other.
        let byAccount = Dictionary(grouping: events, by: \.account).sorted { $0.key.uuidString < $1.key.uuidString }
        var rows = SQLRows()
        for (account, events) in byAccount {
            let row = try sql.first(
                """
                INSERT INTO event_sequences (account_id, last_sequence) VALUES ($1, $2)
                ON CONFLICT (account_id) DO UPDATE SET last_sequence = event_sequences.last_sequence + excluded.last_sequence
                RETURNING last_sequence
                """, [.uuid(account), .int(events.count)])
            let first = try (row?.int64("last_sequence") ?? 0) - Int64(events.count - 1)
            let id = account.lowercaseString
            // Wakes readers on every instance; the rows are the truth.
            sql.notify(channel, id)
            if events.count == 1, byAccount.count == 1, let event = events.first {
                try sql.execute(
                    """
                    INSERT INTO events (account_id, sequence, type, task_id, data, created_at, relay) VALUES ($1, $2, $3, $4, $5, $6, $7)
                    """,
                    [
                        .uuid(account), .integer(first), .text(event.type), .text(event.taskId), .json(event.data), .timestamp(now),
                        event.relay.map { .json($0) } ?? .null,
                    ])
                return
            }
            for (index, event) in events.enumerated() {
                rows.append { row in
                    row.add("account_id", id)
                    row.add("sequence", first + Int64(index))
                    row.add("type", event.type)
                    if let taskId = event.taskId { row.add("task_id", taskId) }
                    row.add("data", json: event.data)
                    if let relay = event.relay { row.add("relay", json: relay) }
                }
            }
        }
        let table = sql.dialect.rows(
            "$1", ["account_id": .uuid, "sequence": .bigint, "type": .text, "task_id": .text, "data": .json, "relay": .json])
        try sql.execute(
            """
            INSERT INTO events (account_id, sequence, type, task_id, data, created_at, relay)
            SELECT x.account_id, x.sequence, x.type, x.task_id, x.data, $2, x.relay FROM \(table)
            """, [rows.value, .timestamp(now)])
    }

    /// The number of the account's last event, 0 of none; and whether the one after `since` is kept or yet to come. That one may
    /// be gone where older ones are kept: events are removed by their time, and clocks differ.
    public static func position(
        of account: UUID, after since: Int64?, in sql: any SQLSession
    ) throws -> (last: Int64, isKept: Bool) {
        let last = try sql.first("SELECT last_sequence FROM event_sequences WHERE account_id = $1", [.uuid(account)])?
            .int64("last_sequence")
        let end = max(last ?? 0, 0)
        guard let since, since < end else { return (end, since == nil || since == end) }
        let next = try sql.first(
            "SELECT sequence FROM events WHERE account_id = $1 AND sequence = $2", [.uuid(account), .integer(since + 1)])
        return (end, next != nil)
    }

    /// Removes events older than `cutoff`, at most `limit`; returns how many.
    public static func prune(before cutoff: Timestamp, limit: Int, in sql: any SQLSession) throws -> Int {
        try sql.execute(
            """
            DELETE FROM events WHERE (account_id, sequence) IN
            (SELECT account_id, sequence FROM events WHERE created_at < $1 ORDER BY created_at LIMIT $2)
            """, [.timestamp(cutoff), .int(limit)])
    }
}
