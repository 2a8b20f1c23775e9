import DriveModel
import Foundation

/// One notification on its way to one device, or to the RingService of another program: what a push task keeps.
public struct RingPush: Hashable, Sendable {
    /// Where it goes.
    public enum Target: Hashable, Sendable {
        /// A device of the account.
        case device(UUID)
        /// The RingService of another program, for the account's person.
        case gateway
    }

    public var target: Target
    public var account: UUID
    public var notification: PushNotification
    public var options: PushOptions

    public init(target: Target, account: UUID, notification: PushNotification, options: PushOptions) {
        self.target = target
        self.account = account
        self.notification = notification
        self.options = options
    }

    /// As a task's parameters.
    public var parameters: [String: JSONValue] {
        var parameters: [String: JSONValue] = [
            "account": .string(account.lowercaseString), "notification": .string(options.id.lowercaseString),
            "topic": .string(notification.topic), "title": .string(notification.title), "body": .string(notification.body),
            "urgency": .string(options.urgency.rawValue), "timeToLive": .integer(options.lifetimeSeconds),
        ]
        switch target {
        case .device(let id): parameters["device"] = .string(id.lowercaseString)
        case .gateway: parameters["gateway"] = .bool(true)
        }
        if !notification.subtitle.isEmpty { parameters["subtitle"] = .string(notification.subtitle) }
        if let meta = notification.meta { parameters["meta"] = meta }
        if let address = notification.actionURI { parameters["actionUri"] = .string(address) }
        if notification.isSilent { parameters["isSilent"] = .bool(true) }
        if !notification.isSavable { parameters["isSavable"] = .bool(false) }
        if let key = options.collapseKey { parameters["collapseKey"] = .string(key) }
        return parameters
    }

    /// Reads parameters again; nil where they are no push.
    public init?(parameters: [String: JSONValue]) {
        func identifier(_ name: String) -> UUID? { parameters[name]?.string.flatMap { UUID(uuidString: $0) } }
        switch (parameters["device"], parameters["gateway"]) {
        case (.some, nil):
            guard let device = identifier("device") else { return nil }
            target = .device(device)
        case (nil, .bool(true)): target = .gateway
        default: return nil
        }
        guard let account = identifier("account"), let id = identifier("notification"), let topic = parameters["topic"]?.string,
            let title = parameters["title"]?.string
        else { return nil }
        self.account = account
        notification = PushNotification(
            topic: topic, title: title, subtitle: parameters["subtitle"]?.string ?? "", body: parameters["body"]?.string ?? "",
            meta: parameters["meta"], actionURI: parameters["actionUri"]?.string, isSilent: parameters["isSilent"] == .bool(true),
            isSavable: parameters["isSavable"] != .bool(false))
        options = PushOptions(
            id: id, timeToLive: .seconds(parameters["timeToLive"]?.integer ?? 86_400),
            urgency: parameters["urgency"]?.string.flatMap { PushOptions.Urgency(rawValue: $0) } ?? .normal,
            collapseKey: parameters["collapseKey"]?.string)
    }
}
