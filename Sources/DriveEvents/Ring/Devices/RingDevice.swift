import DriveDatabase
import DriveModel
import Foundation

/// A device that gets an account's notifications, as its owner sees it: without its token.
public struct RingDevice: Codable, Hashable, Sendable {
    public var id: UUID
    public var platform: PushPlatform
    /// What its owner calls it.
    public var name: String?
    public var createdAt: Timestamp
    /// When it was registered last.
    public var registeredAt: Timestamp
    /// When a provider last took a notification for it.
    public var lastSuccessAt: Timestamp?
    /// Why the last notification did not get through, since the last success: a short word.
    public var lastFailure: String?

    init(_ row: SQLRow) throws {
        id = try row.uuid("id")
        guard let platform = PushPlatform(rawValue: try row.text("platform")) else {
            throw DatabaseError(.unexpectedResult, "a device has an unknown platform")
        }
        self.platform = platform
        name = try row.optionalText("name")
        createdAt = try row.timestamp("created_at")
        registeredAt = try row.timestamp("registered_at")
        lastSuccessAt = try row.optionalTimestamp("last_success_at")
        lastFailure = try row.optionalText("last_failure")
    }
}

/// A device to send to.
public struct ReachableDevice: Hashable, Sendable {
    public var id: UUID
    public var account: UUID
    public var device: PushDevice
    /// When it was registered as it stands here.
    public var registeredAt: Timestamp
}
