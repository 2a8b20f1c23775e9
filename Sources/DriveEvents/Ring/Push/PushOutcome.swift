import DriveModel

/// What became of one notification to one device. Reasons are short words for logs and dead letters, such as
/// `429 TooManyRequests`; they hold no secret and nothing that would need escaping.
public enum PushOutcome: Hashable, Sendable {
    /// The provider took it.
    case delivered
    /// The provider knows the device no more; its registration goes, unless it is newer than `since` (nil: any goes).
    case unregistered(since: Timestamp?)
    /// Worth another try: not before `after` where the provider said so, else when the engine's backoff says.
    case retry(after: Duration?, reason: String)
    /// The same notification would be refused again.
    case refused(reason: String)
    /// The provider does not accept who Drive says it is, or how it is set up: nothing will arrive until an operator mends
    /// it. Web Push endpoints are chosen by subscribers, so from them it shows no more than that one endpoint said so.
    case credentials(reason: String)

    public static let unregistered = PushOutcome.unregistered(since: nil)

    /// For a request without an answer. A cancelled one is a retry too: the notification is as it was.
    init(transportFailure error: any Error) {
        switch error {
        case PushTransportError.timedOut: self = .retry(after: nil, reason: "timed-out")
        case PushTransportError.addressRefused: self = .refused(reason: "address-refused")
        case is CancellationError: self = .retry(after: nil, reason: "cancelled")
        default: self = .retry(after: nil, reason: "unreachable")
        }
    }

    /// What a status means where the provider's own words do not say more.
    init(status: Int, reason: String, response: PushResponse, now: Timestamp) {
        switch status {
        case 200..<300: self = .delivered
        case 401, 403: self = .credentials(reason: reason)
        case 408, 425, 429, 500..<600:
            self = .retry(after: RetryAfter.delay(response.header("retry-after"), now: now), reason: reason)
        // Redirects among them: a provider's address does not move, and following one could lead anywhere.
        default: self = .refused(reason: reason)
        }
    }

    /// The status and the provider's word for it, as far as that is a word: other bytes could forge a line of the log.
    static func reason(_ status: Int, _ word: String?) -> String {
        guard let word, !word.isEmpty, word.utf8.count <= 64,
            word.utf8.allSatisfy({ ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") })
        else { return String(status) }
        return "\(status) \(word)"
    }
}

/// Tests on single bytes of ASCII text.
enum ASCII {
    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// Visible characters, the space not among them.
    static func isVisible(_ byte: UInt8) -> Bool { (0x21...0x7E).contains(byte) }
}
