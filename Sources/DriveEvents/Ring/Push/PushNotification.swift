import DriveModel
import Foundation

/// A message to the person behind an account, as the RingService carries it.
public struct PushNotification: Hashable, Sendable {
    /// What it is about, for the program that receives it: `task.completed`.
    public var topic: String
    public var title: String
    public var subtitle: String
    public var body: String
    /// Fields for the program, a JSON object; any other value is not sent.
    public var meta: JSONValue?
    /// Where a tap leads.
    public var actionURI: String?
    /// Wakes the program without showing anything.
    public var isSilent: Bool
    /// Whether the list of past notifications keeps it.
    public var isSavable: Bool

    public init(
        topic: String, title: String, subtitle: String = "", body: String = "", meta: JSONValue? = nil, actionURI: String? = nil,
        isSilent: Bool = false, isSavable: Bool = true
    ) {
        self.topic = topic
        self.title = title
        self.subtitle = subtitle
        self.body = body
        self.meta = meta
        self.actionURI = actionURI
        self.isSilent = isSilent
        self.isSavable = isSavable
    }
}

/// How a notification is to travel.
public struct PushOptions: Hashable, Sendable {
    /// How soon it matters (RFC 8030 section 5.3). The other providers know two steps: up to `low`, and above.
    public enum Urgency: String, Hashable, Sendable, CaseIterable {
        case veryLow = "very-low"
        case low
        case normal
        case high
    }

    /// Names the notification; the same one in every attempt to deliver it.
    public var id: UUID
    /// How long a provider keeps it for a device it does not reach; zero: now or never. At most 28 days count.
    public var timeToLive: Duration
    public var urgency: Urgency
    /// A later notification with the same key takes the place of one that was not shown yet.
    public var collapseKey: String?

    public init(id: UUID, timeToLive: Duration = .seconds(86_400), urgency: Urgency = .normal, collapseKey: String? = nil) {
        self.id = id
        self.timeToLive = timeToLive
        self.urgency = urgency
        self.collapseKey = collapseKey
    }

    /// ``timeToLive`` in whole seconds, within 0…28 days, the most that FCM takes.
    var lifetimeSeconds: Int64 { min(max(timeToLive.components.seconds, 0), 28 * 86_400) }
}
