/// A rule over several settings.
struct ConfigurationRule: Sendable {
    /// The settings it is about; a breach is reported for the first of them that was set.
    let keys: [String]
    /// Why the rule is broken, and what is allowed; nil: it holds.
    let breach: @Sendable (DriveConfiguration) -> (reason: String, allowed: String)?

    static let all: [ConfigurationRule] = [
        ConfigurationRule(keys: ["uploads.defaultChunkSize", "uploads.maxChunkSize"]) { configuration in
            let (standard, most) = (configuration.uploads.defaultChunkSize, configuration.uploads.maxChunkSize)
            guard standard > most else { return nil }
            let sizes = "\(Quantity.text(bytes: standard)) > \(Quantity.text(bytes: most))"
            return ("makes the default chunk larger than the largest one: \(sizes)", "uploads.defaultChunkSize ≤ uploads.maxChunkSize")
        },
        ConfigurationRule(keys: ["access.masterKey", "access.masterKeyFile"]) { configuration in
            guard configuration.access.masterKey != nil, configuration.access.masterKeyFile != nil else { return nil }
            return ("is set together with access.masterKeyFile", "only one of the two")
        },
        ConfigurationRule(keys: ["ring.apnsKeyFile", "ring.apnsKeyId", "ring.apnsTeamId", "ring.apnsTopic"]) { configuration in
            let ring = configuration.ring
            let given = [ring.apnsKeyFile, ring.apnsKeyId, ring.apnsTeamId, ring.apnsTopic].compactMap { $0 }.count
            guard given != 0, given != 4 else { return nil }
            return ("is set without the others", "ring.apnsKeyFile, ring.apnsKeyId, ring.apnsTeamId and ring.apnsTopic, all or none")
        },
        ConfigurationRule(keys: ["ring.token", "ring.url"]) { configuration in
            guard configuration.ring.token != nil, configuration.ring.url == nil else { return nil }
            return ("is set without ring.url", "ring.token with ring.url")
        },
        ConfigurationRule(keys: ["ring.listen", "ring.serviceToken"]) { configuration in
            guard (configuration.ring.listen == nil) != (configuration.ring.serviceToken == nil) else { return nil }
            return ("is set alone", "ring.listen and ring.serviceToken, both or neither")
        },
        ConfigurationRule(keys: ["ring.sendmail", "ring.mailFrom"]) { configuration in
            guard (configuration.ring.sendmail == nil) != (configuration.ring.mailFrom == nil) else { return nil }
            return ("is set alone", "ring.sendmail and ring.mailFrom, both or neither")
        },
        ConfigurationRule(keys: ["tls.certificateFile", "tls.keyFile"]) { configuration in
            guard (configuration.tls.certificateFile == nil) != (configuration.tls.keyFile == nil) else { return nil }
            return ("is set alone", "tls.certificateFile and tls.keyFile, both or neither")
        },
        ConfigurationRule(keys: ["tls.redirectPort", "tls.certificateFile", "tls.keyFile"]) { configuration in
            guard configuration.tls.redirectPort != nil else { return nil }
            guard configuration.tls.certificateFile != nil || configuration.tls.keyFile != nil else {
                return ("is set without TLS", "tls.redirectPort with tls.certificateFile and tls.keyFile")
            }
            return nil
        },
        ConfigurationRule(keys: ["tls.redirectPort", "server.port"]) { configuration in
            guard let port = configuration.tls.redirectPort, port == configuration.server.port else { return nil }
            return ("is the port of the server itself", "a port other than \(port)")
        },
        ConfigurationRule(keys: ["cors.credentials", "cors.allowedOrigins"]) { configuration in
            guard configuration.cors.credentials, configuration.cors.allowedOrigins.contains("*") else { return nil }
            return ("is on while every origin (`*`) is allowed", "credentials with origins that are named")
        },
    ]
}
