import DriveModel

extension APNsProvider {
    /// The provider token is older than the service takes, or its clock is not ours.
    static let expiredToken = PushOutcome.credentials(reason: "403 ExpiredProviderToken")

    /// "Handling notification responses from APNs".
    static func outcome(_ response: PushResponse, now: Timestamp) -> PushOutcome {
        let answer = ProviderAnswer(response.body)
        let word = answer["reason"]?.string
        let reason = PushOutcome.reason(response.status, word)
        switch (response.status, word) {
        case (410, _):
            // When the token stopped being valid, in milliseconds: a device that registered since is a new one.
            let milliseconds = answer["timestamp"]?.integer.flatMap { (0...253_402_300_799_000).contains($0) ? $0 : nil }
            return .unregistered(since: milliseconds.map { Timestamp(microseconds: $0 * 1000) })
        // Also said of a good token where the other of Apple's two servers is asked: a wrong setting must not remove every device.
        case (400, "BadDeviceToken"): return .refused(reason: reason)
        // The connection was closed for want of use.
        case (400, "IdleTimeout"): return .retry(after: nil, reason: reason)
        // The key may not send for this application: no notification will arrive.
        case (400, "BadTopic"), (400, "MissingTopic"), (400, "TopicDisallowed"): return .credentials(reason: reason)
        default: return PushOutcome(status: response.status, reason: reason, response: response, now: now)
        }
    }
}
