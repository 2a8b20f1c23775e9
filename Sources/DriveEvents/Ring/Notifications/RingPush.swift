import DriveModel
import Foundation

/// One notification on its way to one device: what a push task keeps.
public struct RingPush: Hashable, Sendable {
    public var device: UUID
    public var account: UUID
    public var notification: PushNotification
    public var options: PushOptions

    public init(device: UUID, account: UUID, notification: PushNotification, options: PushOptions) {
        self.device = device
        self.account = account
        self.notification = notification
        self.options = options
    }

    /// As a task's parameters.
    public var parameters: [String: JSONValue] {
        var parameters: [String: JSONValue] = [
            "device": .string(device.lowercaseString), "account": .string(account.lowercaseString),
            "notification": .string(options.id.lowercaseString), "topic": .string(notification.topic),
            "title": .string(notification.title), "body": .string(notification.body), "urgency": .string(options.urgency.rawValue),
            "timeToLive": .integer(options.lifetimeSeconds),
        ]
        if !notification.subtitle.isEmpty { parameters["subtitle"] = .string(notification.subtitle) }
        if let meta = notification.meta { parameters["meta"] = meta }
        if let address = notification.actionURI { parameters["actionUri"] = .string(address) }
        if notification.isSilent { parameters["isSilent"] = .bool(true) }
        if let key = options.collapseKey { parameters["collapseKey"] = .string(key) }
        return parameters
    }

    /// Reads parameters again; nil where they are no push.
    public init?(parameters: [String: JSONValue]) {
        func identifier(_ name: String) -> UUID? { parameters[name]?.string.flatMap { UUID(uuidString: $0) } }
        guard let device = identifier("device"), let account = identifier("account"), let id = identifier("notification"),
            let topic = parameters["topic"]?.string, let title = parameters["title"]?.string
        else { return nil }
        self.device = device
        self.account = account
        notification = PushNotification(
            topic: topic, title: title, subtitle: parameters["subtitle"]?.string ?? "", body: parameters["body"]?.string ?? "",
            meta: parameters["meta"], actionURI: parameters["actionUri"]?.string, isSilent: parameters["isSilent"] == .bool(true))
        options = PushOptions(
            id: id, timeToLive: .seconds(parameters["timeToLive"]?.integer ?? 86_400),
            urgency: parameters["urgency"]?.string.flatMap { PushOptions.Urgency(rawValue: $0) } ?? .normal,
            collapseKey: parameters["collapseKey"]?.string)
    }
}
