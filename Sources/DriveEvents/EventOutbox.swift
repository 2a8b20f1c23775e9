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

/// Events are written in the transaction of the change they tell of, numbered per account without gaps: a database
/// sequence would show numbers in another order than their commits.
public enum EventOutbox {
    /// Appends events of one account, in order.
    public static func append(
        _ events: [DriveEvent], account: UUID, now: Timestamp, in sql: any SQLSession
    ) throws {
        guard !events.isEmpty else { return }
        let row = try sql.first(
            """
            INSERT INTO event_sequences (account_id, last_sequence) VALUES ($1, $2)
            ON CONFLICT (account_id) DO UPDATE SET last_sequence = event_sequences.last_sequence + excluded.last_sequence
            RETURNING last_sequence
            """, [.uuid(account), .int(events.count)])
        let last = try row?.int64("last_sequence") ?? 0
        for (index, event) in events.enumerated() {
            try sql.execute(
                "INSERT INTO events (account_id, sequence, type, task_id, data, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    .uuid(account), .integer(last - Int64(events.count - 1 - index)), .text(event.type), .text(event.taskId),
                    .encoded(event.data), .timestamp(now),
                ])
        }
        // Wakes readers on every instance; the rows are the truth.
        if sql.dialect == .postgresql { try sql.query("SELECT pg_notify('drive_events', $1)", [.text(account.uuidString.lowercased())]) }
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
