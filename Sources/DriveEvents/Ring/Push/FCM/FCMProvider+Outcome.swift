import DriveModel

extension FCMProvider {
    /// The access token is not taken.
    static let unauthenticated = PushOutcome.credentials(reason: "401 UNAUTHENTICATED")
    /// What Google asks to wait where it has refused for the number of messages and gives no time.
    static let quotaDelay = Duration.seconds(60)

    /// "ErrorCode" of FCM HTTP v1, inside an answer as all of Google's interfaces give it (AIP-193).
    static func outcome(_ response: PushResponse, now: Timestamp) -> PushOutcome {
        let error = ProviderAnswer(response.body)["error"]
        var code: String?
        var names: [String] = []
        if case .array(let details)? = error?["details"] {
            code = details.lazy.compactMap { $0["errorCode"]?.string }.first
            for detail in details {
                guard case .array(let violations)? = detail["fieldViolations"] else { continue }
                names += violations.compactMap { $0["field"]?.string }
            }
        }
        let status = error?["status"]?.string
        let reason = PushOutcome.reason(response.status, code ?? status)
        switch (response.status, code ?? status) {
        // A 404 in Google's own words only: from a proxy, or with a wrong address, it says nothing about the device.
        case (400..<500, "UNREGISTERED"), (404, "NOT_FOUND"): return .unregistered
        case (400, _) where names.contains("message.token"): return .unregistered
        // The token belongs to another project than the account: other devices are not concerned.
        case (403, "SENDER_ID_MISMATCH"): return .refused(reason: reason)
        case (429, _): return .retry(after: RetryAfter.delay(response.header("retry-after"), now: now) ?? quotaDelay, reason: reason)
        default: return PushOutcome(status: response.status, reason: reason, response: response, now: now)
        }
    }
}
