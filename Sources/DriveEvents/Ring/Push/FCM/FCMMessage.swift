import DriveModel

/// The body of `messages:send` (FCM HTTP v1, "Resource: projects.messages").
enum FCMMessage {
    /// What `notification` and `data` may take together; the names in them are counted too, to be on the safe side.
    static let limit = 4096

    static func body(_ notification: PushNotification, to device: FCMRegistrationToken, options: PushOptions) -> [UInt8]? {
        guard let content = PayloadFitting.payload(notification, limit: limit, render: { Array(content($0, options: options).utf8) }) else {
            return nil
        }
        var android = JSONObjectWriter()
        // A silent message of high priority that shows nothing gets the application demoted.
        let isUrgent = !notification.isSilent && (options.urgency == .normal || options.urgency == .high)
        android.add("priority", isUrgent ? "HIGH" : "NORMAL")
        android.add("ttl", "\(options.lifetimeSeconds)s")
        if let key = options.collapseKey { android.add("collapse_key", CollapseKey.short(key)) }
        var token = JSONObjectWriter()
        token.add("token", device.rawValue)
        token.add("android", json: android.text)
        // The three are one object: its first members from the one writer, the others from the content.
        let message = token.text.dropLast() + "," + String(decoding: content, as: UTF8.self).dropFirst()
        return Array("{\"message\":\(message)}".utf8)
    }

    /// `{"notification":…,"data":…}`. A silent message is one without `notification`.
    private static func content(_ notification: PushNotification, options: PushOptions) -> String {
        var data = JSONObjectWriter()
        data.add("id", options.id.lowercaseString)
        data.add("topic", notification.topic)
        if !notification.subtitle.isEmpty { data.add("subtitle", notification.subtitle) }
        // Values are strings: an object is its JSON text.
        if let meta = notification.metaObject {
            var writer = JSONObjectWriter()
            for (name, value) in (meta.object ?? [:]).sorted(by: { $0.key < $1.key }) { writer.add(name, value) }
            data.add("meta", writer.text)
        }
        if let address = notification.actionURI { data.add("actionUri", address) }
        var content = JSONObjectWriter()
        if notification.isSilent {
            data.add("isSilent", "true")
        } else {
            var shown = JSONObjectWriter()
            shown.add("title", notification.title)
            shown.add("body", notification.body)
            content.add("notification", json: shown.text)
        }
        content.add("data", json: data.text)
        return content.text
    }
}
