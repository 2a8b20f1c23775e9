import DriveModel

extension NotificationRule {
    /// The bounds of what another program says, in bytes of UTF-8; longer texts are cut at a character, the rest is left out.
    enum ProgramLimits {
        static let topic = 64
        static let title = 256
        static let subtitle = 256
        static let body = 4096
        static let actionURI = 2048
        static let meta = 4096
    }

    /// What the event of another program's notification says, within bounds.
    static func program(_ data: [String: JSONValue]) -> PushNotification {
        func text(_ name: String, _ limit: Int) -> String { bounded(data[name]?.string ?? "", bytes: limit) }
        let topic = text("topic", ProgramLimits.topic)
        // Half an address leads elsewhere.
        let address = data["actionUri"]?.string.flatMap { $0.isEmpty || $0.utf8.count > ProgramLimits.actionURI ? nil : $0 }
        return PushNotification(
            topic: topic.isEmpty ? NotificationKind.program.rawValue : topic, title: text("title", ProgramLimits.title),
            subtitle: text("subtitle", ProgramLimits.subtitle), body: text("body", ProgramLimits.body), meta: meta(data["meta"]),
            actionURI: address, isSilent: data["isSilent"] == .bool(true), isSavable: data["isSavable"] != .bool(false))
    }

    /// As given where it is an object within the bound.
    private static func meta(_ value: JSONValue?) -> JSONValue? {
        guard let value, value.object != nil, let text = try? DriveJSON.text(value), text.utf8.count <= ProgramLimits.meta else {
            return nil
        }
        return value
    }
}
