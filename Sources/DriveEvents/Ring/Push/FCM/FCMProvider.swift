import DriveModel

/// Sends by Firebase Cloud Messaging, HTTP v1.
public struct FCMProvider: PushProvider {
    public static let production = "https://fcm.googleapis.com"

    private let account: FCMServiceAccount
    private let tokens: FCMAccessTokens
    private let server: String
    private let transport: any PushTransport
    private let surroundings: Surroundings

    /// - Parameter server: scheme and host, without a path.
    /// - Throws: `PushCredentialsError` for `fcm server`.
    public init(
        account: FCMServiceAccount, server: String = FCMProvider.production, transport: any PushTransport, surroundings: Surroundings
    ) throws(PushCredentialsError) {
        guard let endpoint = PushEndpoint(server, policy: .any), endpoint.origin.utf8.count >= server.utf8.count else {
            throw PushCredentialsError("fcm server", expected: "an https URL without a path")
        }
        self.account = account
        tokens = FCMAccessTokens(account: account, transport: transport, now: surroundings.now)
        self.server = endpoint.origin
        self.transport = transport
        self.surroundings = surroundings
    }

    public func send(_ notification: PushNotification, to device: FCMRegistrationToken, options: PushOptions) async -> PushOutcome {
        let (outcome, isStale) = await sendOnce(notification, to: device, options: options)
        guard isStale else { return outcome }
        return await sendOnce(notification, to: device, options: options).outcome
    }

    /// What came of it, and whether that was because a token that was kept is no longer taken: it may have been revoked, and
    /// a fresh one help. A fresh one that is refused is the operator's affair.
    private func sendOnce(
        _ notification: PushNotification, to device: FCMRegistrationToken, options: PushOptions
    ) async -> (outcome: PushOutcome, isStale: Bool) {
        let token: (text: String, isKept: Bool)
        do { token = try await tokens.current() } catch { return (error.outcome, false) }
        let outcome = await exchange(over: transport) { () throws(PushOutcome.Failure) in
            try request(notification, to: device, options: options, accessToken: token.text)
        } outcome: {
            Self.outcome($0, now: surroundings.now())
        }
        guard outcome == Self.unauthenticated else { return (outcome, false) }
        await tokens.forget(token.text)
        return (outcome, token.isKept)
    }

    func request(
        _ notification: PushNotification, to device: FCMRegistrationToken, options: PushOptions, accessToken: String
    ) throws(PushOutcome.Failure) -> PushRequest {
        guard let body = FCMMessage.body(notification, to: device, options: options) else { throw .tooLarge }
        return PushRequest(
            url: "\(server)/v1/projects/\(account.projectID)/messages:send",
            headers: [PushHeader("authorization", "Bearer \(accessToken)"), PushHeader("content-type", "application/json")], body: body)
    }
}
