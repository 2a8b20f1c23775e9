extension SettingsTable {
    @SettingsBuilder static var ring: [any SettingDescription] {
        Setting(
            \.ring.webPush, "ring.webPush", "DRIVE_RING_WEB_PUSH", .boolean, "Whether browsers can register for notifications (Web Push).")
        Setting(
            \.ring.vapidKeyFile, "ring.vapidKeyFile", "DRIVE_RING_VAPID_KEY_FILE",
            .optional(.text("a path"), shown: "generated, and kept sealed in the database"),
            "A file with the private key for Web Push: P-256, 32 bytes in base64url or PEM.")
        Setting(
            \.ring.vapidSubject, "ring.vapidSubject", "DRIVE_RING_VAPID_SUBJECT",
            .optional(
                .matching("a `mailto:` or `https:` address", reason: "is neither a mailto: nor an https: address") {
                    $0.hasPrefix("mailto:") || $0.hasPrefix("https://")
                }, shown: "the public address where that is https, otherwise mailto:drive@localhost"),
            "Where push services reach the operator.")
        Setting(
            \.ring.networks, "ring.networks", "DRIVE_RING_NETWORKS", .word(),
            "Where a browser's push endpoint may lead: the public Internet alone, private networks too, or, for tests, loopback too.")
        Setting(
            \.ring.apnsKeyFile, "ring.apnsKeyFile", "DRIVE_RING_APNS_KEY_FILE", .optional(.text("a path")),
            "The `.p8` file with the key for Apple's push service; the next three belong to it.")
        Setting(
            \.ring.apnsKeyId, "ring.apnsKeyId", "DRIVE_RING_APNS_KEY_ID", .optional(.text("ten letters and digits")),
            "The key's id at Apple.")
        Setting(
            \.ring.apnsTeamId, "ring.apnsTeamId", "DRIVE_RING_APNS_TEAM_ID", .optional(.text("ten letters and digits")),
            "The developer team's id at Apple.")
        Setting(
            \.ring.apnsTopic, "ring.apnsTopic", "DRIVE_RING_APNS_TOPIC", .optional(.text("a bundle identifier")),
            "The bundle identifier of the application.")
        Setting(
            \.ring.apnsServer, "ring.apnsServer", "DRIVE_RING_APNS_SERVER", .webAddress,
            "Apple's push service; applications from Xcode are registered at `https://api.sandbox.push.apple.com`.")
        Setting(
            \.ring.fcmServiceAccountFile, "ring.fcmServiceAccountFile", "DRIVE_RING_FCM_SERVICE_ACCOUNT_FILE", .optional(.text("a path")),
            "The JSON key file of the service account for Firebase Cloud Messaging.")
        Setting(\.ring.fcmServer, "ring.fcmServer", "DRIVE_RING_FCM_SERVER", .webAddress, "Google's push service.")
        Setting(
            \.ring.caFile, "ring.caFile", "DRIVE_RING_CA_FILE", .optional(.text("a path")),
            "Certificates in PEM that push services and the RingService of another program may come from, beside those that the system trusts."
        )
        Setting(
            \.ring.retention, "ring.retention", "DRIVE_RING_RETENTION", .duration(.seconds(60)...days(3650)),
            "How long past notifications are kept.")
    }
}
