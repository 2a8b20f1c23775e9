import DriveModel

/// The payload of a notification ("Generating a remote notification").
enum APNsPayload {
    static let limit = 4096

    static func payload(_ notification: PushNotification) -> [UInt8]? {
        PayloadFitting.payload(notification, limit: limit) { notification in
            var aps = JSONObjectWriter()
            if notification.isSilent {
                // With an alert or a sound it would be no background notification.
                aps.add("content-available", 1 as Int64)
            } else {
                var alert = JSONObjectWriter()
                alert.add("title", notification.title)
                if !notification.subtitle.isEmpty { alert.add("subtitle", notification.subtitle) }
                alert.add("body", notification.body)
                aps.add("alert", json: alert.text)
                aps.add("sound", "default")
            }
            // Beside `aps`, the application's own members; `meta` stays one of them, so that no name in it can be `aps`.
            var writer = JSONObjectWriter()
            writer.add("aps", json: aps.text)
            writer.add("topic", notification.topic)
            if let meta = notification.metaObject { writer.add("meta", meta) }
            if let address = notification.actionURI { writer.add("actionUri", address) }
            return Array(writer.text.utf8)
        }
    }
}
