import DriveModel

/// Sends to Apple's devices ("Sending notification requests to APNs").
public struct APNsProvider: PushProvider {
    /// Where applications from the store, and those from Xcode, are registered.
    public static let production = "https://api.push.apple.com"
    public static let sandbox = "https://api.sandbox.push.apple.com"

    private let credentials: APNsCredentials
    private let tokens: APNsTokens
    private let server: String
    private let transport: any PushTransport
    private let surroundings: Surroundings

    /// - Parameter server: scheme and host, without a path.
    /// - Throws: `PushCredentialsError` for `apns server`.
    public init(
        credentials: APNsCredentials, server: String = APNsProvider.production, transport: any PushTransport, surroundings: Surroundings
    ) throws(PushCredentialsError) {
        guard let endpoint = PushEndpoint(server, policy: .any), endpoint.origin.utf8.count >= server.utf8.count else {
            throw PushCredentialsError("apns server", expected: "an https URL without a path")
        }
        self.credentials = credentials
        tokens = APNsTokens(credentials: credentials)
        self.server = endpoint.origin
        self.transport = transport
        self.surroundings = surroundings
    }

    public func send(_ notification: PushNotification, to device: APNsDeviceToken, options: PushOptions) async -> PushOutcome {
        let outcome = await sendOnce(notification, to: device, options: options)
        // Only where a new token can be had: else it is the operator's affair.
        guard outcome == Self.expiredToken, tokens.expire(now: surroundings.now()) else { return outcome }
        return await sendOnce(notification, to: device, options: options)
    }

    private func sendOnce(_ notification: PushNotification, to device: APNsDeviceToken, options: PushOptions) async -> PushOutcome {
        await exchange(over: transport) { () throws(PushOutcome.Failure) in
            try request(notification, to: device, options: options)
        } outcome: {
            Self.outcome($0, now: surroundings.now())
        }
    }

    func request(
        _ notification: PushNotification, to device: APNsDeviceToken, options: PushOptions
    ) throws(PushOutcome.Failure) -> PushRequest {
        guard let payload = APNsPayload.payload(notification) else { throw .tooLarge }
        let now = surroundings.now()
        let token: String
        do { token = try tokens.token(now: now) } catch { throw .cryptography }
        // A background notification with priority 10 is an error.
        let isUrgent = !notification.isSilent && (options.urgency == .normal || options.urgency == .high)
        // 0: deliver once, keep nothing.
        let expiration = options.lifetimeSeconds == 0 ? 0 : now.seconds + options.lifetimeSeconds
        var headers = [
            PushHeader("authorization", "bearer \(token)"),
            PushHeader("apns-id", options.id.lowercaseString),
            PushHeader("apns-topic", credentials.topic),
            PushHeader("apns-push-type", notification.isSilent ? "background" : "alert"),
            PushHeader("apns-priority", isUrgent ? "10" : "5"),
            PushHeader("apns-expiration", String(expiration)),
            PushHeader("content-type", "application/json"),
        ]
        if let key = options.collapseKey { headers.append(PushHeader("apns-collapse-id", CollapseKey.short(key))) }
        return PushRequest(url: "\(server)/3/device/\(device.rawValue)", headers: headers, body: payload, needsHTTP2: true)
    }
}
