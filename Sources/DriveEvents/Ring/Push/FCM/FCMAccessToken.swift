import DriveModel

/// What a service account was given for an hour or so.
struct FCMAccessToken: Sendable {
    let value: PushSecret<String>
    let issued: Timestamp
    let expires: Timestamp

    /// A token this near its end is not used any more.
    static let margin = Duration.seconds(300)

    /// From the answer to a grant (RFC 6749 sections 5.1 and 5.2).
    static func parse(_ response: PushResponse, now: Timestamp) throws(PushOutcome.Failure) -> FCMAccessToken {
        let answer = ProviderAnswer(response.body)
        guard (200..<300).contains(response.status) else {
            let reason = "token " + PushOutcome.reason(response.status, answer["error"]?.string)
            let outcome = PushOutcome(status: response.status, reason: reason, response: response, now: now)
            // Whatever refuses the sign-in, no notification will arrive until somebody looks.
            if case .refused = outcome { throw PushOutcome.Failure(outcome: .credentials(reason: reason)) }
            throw PushOutcome.Failure(outcome: outcome)
        }
        // It becomes a part of a header.
        guard let token = answer["access_token"]?.string, (1...8192).contains(token.utf8.count), token.utf8.allSatisfy(ASCII.isVisible)
        else { throw PushOutcome.Failure(outcome: .retry(after: nil, reason: "token answer-invalid")) }
        let seconds = min(max(answer["expires_in"]?.integer ?? 3600, 0), 86_400)
        return FCMAccessToken(value: PushSecret(token), issued: now, expires: now + .seconds(seconds))
    }

    func isGood(now: Timestamp) -> Bool { issued <= now && expires - now > Self.margin }
}

/// Holds the access token; however many notifications wait for one, it is asked for once.
actor FCMAccessTokens {
    private let account: FCMServiceAccount
    private let transport: any PushTransport
    private let now: @Sendable () -> Timestamp
    private var token: FCMAccessToken?
    private var fetch: Task<Result<FCMAccessToken, PushOutcome.Failure>, Never>?

    init(account: FCMServiceAccount, transport: any PushTransport, now: @escaping @Sendable () -> Timestamp) {
        self.account = account
        self.transport = transport
        self.now = now
    }

    /// A token, and whether it was there already.
    func current() async throws(PushOutcome.Failure) -> (text: String, isKept: Bool) {
        if let token, token.isGood(now: now()) { return (token.value.value, true) }
        let fetch = self.fetch ?? start()
        return (try await fetch.value.get().value.value, false)
    }

    /// Google did not take this token: it is not used again.
    func forget(_ refused: String) {
        if token?.value.value == refused { token = nil }
    }

    /// A task of its own, so that one caller's cancellation is not the others'; the transport bounds its time.
    private func start() -> Task<Result<FCMAccessToken, PushOutcome.Failure>, Never> {
        let task = Task { () async -> Result<FCMAccessToken, PushOutcome.Failure> in
            let result = await request()
            fetch = nil
            // A token that is nearly over when it comes serves those who wait for it, and nobody after them.
            token = try? result.get()
            return result
        }
        fetch = task
        return task
    }

    private func request() async -> Result<FCMAccessToken, PushOutcome.Failure> {
        guard let request = try? account.grantRequest(now: now()) else { return .failure(.cryptography) }
        do {
            let response = try await transport.send(request)
            return .success(try FCMAccessToken.parse(response, now: now()))
        } catch let failure as PushOutcome.Failure {
            return .failure(failure)
        } catch {
            return .failure(PushOutcome.Failure(outcome: PushOutcome(transportFailure: error)))
        }
    }
}
