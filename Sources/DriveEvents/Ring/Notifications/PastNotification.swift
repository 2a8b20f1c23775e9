import DriveDatabase
import DriveModel
import Foundation

/// A notification as the list of past ones shows it.
public struct PastNotification: Codable, Hashable, Sendable {
    public var id: UUID
    /// The number of the event that it tells of.
    public var sequence: Int64
    public var kind: String
    public var title: String
    public var subtitle: String
    public var body: String
    /// Fields for programs.
    public var meta: [String: JSONValue]
    public var actionUri: String?
    public var taskId: String?
    public var createdAt: Timestamp
    /// Nil: unread.
    public var readAt: Timestamp?

    init(_ row: SQLRow) throws {
        id = try row.uuid("id")
        sequence = try row.int64("sequence")
        kind = try row.text("kind")
        title = try row.text("title")
        subtitle = try row.text("subtitle")
        body = try row.text("body")
        meta = try row.decoded("meta")
        actionUri = try row.optionalText("action_uri")
        taskId = try row.optionalText("task_id")
        createdAt = try row.timestamp("created_at")
        readAt = try row.optionalTimestamp("read_at")
    }
}

/// Which notifications a read mark is for.
public enum NotificationSelection: Hashable, Sendable {
    case ids([UUID])
    /// All up to this number, that one included: what the client has shown, and nothing that came meanwhile.
    case upTo(Int64)
}
