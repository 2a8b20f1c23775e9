/// Why a WebSocket ends: the status code of a close frame (RFC 6455 §7.4).
struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt16

    static let normal = WebSocketCloseCode(rawValue: 1000)
    /// The server stops.
    static let goingAway = WebSocketCloseCode(rawValue: 1001)
    static let protocolError = WebSocketCloseCode(rawValue: 1002)
    /// A binary message, where packets are text.
    static let unacceptableData = WebSocketCloseCode(rawValue: 1003)
    /// Text that is not UTF-8, or compressed data that cannot be inflated.
    static let invalidPayload = WebSocketCloseCode(rawValue: 1007)
    static let policyViolation = WebSocketCloseCode(rawValue: 1008)
    static let messageTooBig = WebSocketCloseCode(rawValue: 1009)
    static let internalError = WebSocketCloseCode(rawValue: 1011)
    static let tryAgainLater = WebSocketCloseCode(rawValue: 1013)

    /// Drive's own: the token is wrong, has run out or was revoked. A client needs another token before it comes back.
    static let unauthorized = WebSocketCloseCode(rawValue: 4401)
    /// Drive's own: the token is good, but not for this.
    static let forbidden = WebSocketCloseCode(rawValue: 4403)
    /// Drive's own: no sign-in within the time allowed.
    static let signInTimeout = WebSocketCloseCode(rawValue: 4408)
    /// Drive's own: more frames than the rate limit allows. A client waits before it comes back.
    static let tooManyFrames = WebSocketCloseCode(rawValue: 4429)

    /// Whether a peer may send it: what RFC 6455 §7.4.1 and the IANA registry name for the wire, and what §7.4.2 leaves to
    /// libraries and applications.
    var isAllowedOnWire: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
