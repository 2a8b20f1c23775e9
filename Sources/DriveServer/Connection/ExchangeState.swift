import NIOHTTP1

/// What the framing of one request and its answer says about the connection (RFC 9112 §6 and §9, RFC 9110 §10.1.1).
struct ExchangeState: Hashable, Sendable {
    enum Body: Hashable, Sendable {
        case none
        case length(Int)
        case chunked
    }

    let isHead: Bool
    /// HTTP/1.0 knows neither interim responses nor chunked framing, and is answered with a close.
    let isHTTP10: Bool
    let body: Body
    /// The client waits for `100 Continue` before it sends the body.
    let expectsContinue: Bool
    /// The request offered another protocol. NIO's parser stops after such a message, so nothing can follow it.
    let offersUpgrade: Bool

    var continueSent = false
    var receivedBytes = 0
    var requestComplete = false
    var finalHeadWritten = false
    var responseComplete = false
    /// The connection closes after this answer, whatever the rest says.
    var mustClose: Bool

    init(head: HTTPRequestHead) {
        isHead = head.method == .HEAD
        isHTTP10 = head.version.major == 1 && head.version.minor == 0
        if head.headers.contains(name: "transfer-encoding") {
            body = .chunked
        } else if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > 0 {
            body = .length(length)
        } else {
            body = .none
        }
        let expects = head.headers[canonicalForm: "expect"].contains { $0.lowercased() == "100-continue" }
        expectsContinue = expects && !isHTTP10 && body != .none
        offersUpgrade = head.headers.contains(name: "upgrade") || head.method == .CONNECT
        mustClose = !head.isKeepAlive || isHTTP10 || offersUpgrade
    }

    /// Whether the answer whose head is about to be written is the last one: it says so with `Connection: close`.
    /// - Parameter drainLimit: bytes of an unread body that are read and thrown away rather than closing.
    func closesAfterResponse(drainLimit: Int) -> Bool {
        if mustClose { return true }
        if requestComplete { return false }
        // The client may send the body it was never asked for, or not: only a close is unambiguous.
        if expectsContinue, !continueSent { return true }
        return switch body {
        case .none: false
        case .chunked: true
        case .length(let length): length - receivedBytes > drainLimit
        }
    }
}
