import Foundation
extension SettingsTable {
    private static let timeout: ClosedRange<Duration> = .milliseconds(100)...(.seconds(86_400))

    @SettingsBuilder static var access: [any SettingDescription] {
        Setting(
            \.access.issuers, "access.issuers", "DRIVE_ISSUERS", .issuers,
            "External issuers whose tokens are accepted; in the environment as JSON.")
        Setting(
            \.access.tokenTTL, "access.tokenTTL", "DRIVE_TOKEN_TTL", .duration(.seconds(60)...days(3650)),
            "The life of our own tokens where `--ttl` is not given.")
        Setting(
            \.access.tokenAudience, "access.tokenAudience", "DRIVE_TOKEN_AUDIENCE", .text("a text"),
            "The audience of our own tokens.")
        Setting(
            \.access.masterKey, "access.masterKey", "DRIVE_MASTER_KEY",
            .optional(
                .secret(.matching("32 bytes as base64", reason: "is no base64 of 32 bytes") { Data(base64Encoded: $0)?.count == 32 }),
                shown: "generated in the data folder"),
            secret: true, "The key that seals stored secrets; the same for all instances.")
        Setting(
            \.access.masterKeyFile, "access.masterKeyFile", "DRIVE_MASTER_KEY_FILE", .optional(.text("a path")),
            "A file that holds the master key.")
        Setting(
            \.access.clockLeeway, "access.clockLeeway", "DRIVE_CLOCK_LEEWAY", .duration(.zero ... .seconds(600), bare: .seconds),
            "The tolerance for the clocks of token issuers.")
        Setting(
            \.access.keyRefetchInterval, "access.keyRefetchInterval", "DRIVE_KEY_REFETCH_INTERVAL",
            .duration(.seconds(1) ... .seconds(300), bare: .seconds),
            "The least time between two fetches of an issuer's keys, whatever tokens come and whether the last one worked.")
    }

    @SettingsBuilder static var cors: [any SettingDescription] {
        Setting(
            \.cors.allowedOrigins, "cors.allowedOrigins", "DRIVE_CORS_ORIGINS",
            .list(of: .origin, plural: "origins such as `https://app.example.org`, or `*`"),
            "Origins whose pages may call the server; none by default.")
        Setting(
            \.cors.allowedHeaders, "cors.allowedHeaders", "DRIVE_CORS_HEADERS",
            .list(of: .httpToken("a header name"), plural: "header names"), "Request headers that such pages may send.")
        Setting(
            \.cors.allowedMethods, "cors.allowedMethods", "DRIVE_CORS_METHODS",
            .list(of: .httpToken("a method"), plural: "methods"), "Methods that such pages may use.")
        Setting(
            \.cors.exposedHeaders, "cors.exposedHeaders", "DRIVE_CORS_EXPOSED_HEADERS",
            .list(of: .httpToken("a header name"), plural: "header names"), "Reply headers that such pages may read.")
        Setting(
            \.cors.credentials, "cors.credentials", "DRIVE_CORS_CREDENTIALS", .boolean,
            "Whether such pages may send cookies and other credentials.")
        Setting(
            \.cors.maxAge, "cors.maxAge", "DRIVE_CORS_MAX_AGE", .duration(.zero...days(30), bare: .seconds),
            "How long browsers may keep a preflight's answer.")
    }

    @SettingsBuilder static var tls: [any SettingDescription] {
        Setting(
            \.tls.certificateFile, "tls.certificateFile", "DRIVE_TLS_CERTIFICATE_FILE", .optional(.text("a path")),
            "The certificate chain in PEM; read again when it changes.")
        Setting(
            \.tls.keyFile, "tls.keyFile", "DRIVE_TLS_KEY_FILE", .optional(.text("a path")),
            "The certificate's private key in PEM; read again when it changes.")
        Setting(
            \.tls.redirectPort, "tls.redirectPort", "DRIVE_TLS_REDIRECT_PORT", .optional(.integer(1...65_535), shown: "none"),
            "A port for plain HTTP that redirects to HTTPS.")
        Setting(
            \.tls.hstsMaxAge, "tls.hstsMaxAge", "DRIVE_TLS_HSTS_MAX_AGE", .duration(.zero...days(3650), bare: .seconds),
            "How long browsers are to insist on HTTPS; 0: the header is not sent.")
    }

    @SettingsBuilder static var connections: [any SettingDescription] {
        Setting(
            \.connections.headTimeout, "connections.headTimeout", "DRIVE_HEAD_TIMEOUT", .duration(timeout),
            "The time for the head of a request, from the connection's first moment.")
        Setting(
            \.connections.idleTimeout, "connections.idleTimeout", "DRIVE_IDLE_TIMEOUT", .duration(timeout),
            "The time between two requests of a connection.")
        Setting(
            \.connections.bodyStallTimeout, "connections.bodyStallTimeout", "DRIVE_BODY_STALL_TIMEOUT", .duration(timeout),
            "The time in which a body may stand still.")
        Setting(
            \.connections.minimumBodyRate, "connections.minimumBodyRate", "DRIVE_MINIMUM_BODY_RATE",
            .size(0...(1 << 30), zero: "no minimum"), "The bytes per second that a body must bring on average.")
        Setting(
            \.connections.writeStallTimeout, "connections.writeStallTimeout", "DRIVE_WRITE_STALL_TIMEOUT", .duration(timeout),
            "The time in which a client may take nothing of a reply.")
        Setting(
            \.connections.stopDeadline, "connections.stopDeadline", "DRIVE_STOP_DEADLINE", .duration(.zero ... .seconds(3600)),
            "The time that running requests get at a graceful stop.")
        Setting(
            \.connections.maximum, "connections.maximum", "DRIVE_MAX_CONNECTIONS", .integer(1...1_000_000),
            "The most connections at once.")
        Setting(
            \.connections.maximumPerAddress, "connections.maximumPerAddress", "DRIVE_MAX_CONNECTIONS_PER_ADDRESS",
            .integer(0...1_000_000, zero: "no limit"), "The most connections at once from one address.")
        Setting(
            \.connections.receiveBuffer, "connections.receiveBuffer", "DRIVE_RECEIVE_BUFFER", .size((4 << 10)...(16 << 20)),
            "The receive buffer of a connection.")
    }
}
