import NIOHTTP1
import Testing

@testable import DriveServer

/// A request head, what was read of its body, and whether its answer is the connection's last.
struct FramingCase: Sendable {
    var method = HTTPMethod.POST
    var version = HTTPVersion.http1_1
    var headers: HTTPHeaders
    var received = 0
    var isComplete = false
    var continueSent = false
    let closes: Bool
}

@Suite struct ConnectionRulesTests {
    @Test(arguments: [
        FramingCase(method: .GET, headers: [:], isComplete: true, closes: false),
        FramingCase(method: .GET, version: .http1_0, headers: [:], isComplete: true, closes: true),
        FramingCase(method: .GET, version: .http1_0, headers: ["connection": "keep-alive"], isComplete: true, closes: true),
        FramingCase(method: .GET, headers: ["connection": "close"], isComplete: true, closes: true),
        FramingCase(method: .GET, headers: ["connection": "Upgrade", "upgrade": "h2c"], isComplete: true, closes: true),
        FramingCase(headers: ["content-length": "262144"], closes: false),
        FramingCase(headers: ["content-length": "262145"], closes: true),
        FramingCase(headers: ["content-length": "262145"], received: 1, closes: false),
        FramingCase(headers: ["content-length": "99999999"], received: 99_999_999, isComplete: true, closes: false),
        FramingCase(headers: ["transfer-encoding": "chunked"], closes: true),
        FramingCase(headers: ["transfer-encoding": "chunked"], isComplete: true, closes: false),
        FramingCase(headers: ["content-length": "5", "expect": "100-continue"], closes: true),
        FramingCase(headers: ["content-length": "5", "expect": "100-Continue"], continueSent: true, closes: false),
    ])
    func decidesWhetherTheAnswerIsTheLast(_ example: FramingCase) {
        let head = HTTPRequestHead(version: example.version, method: example.method, uri: "/", headers: example.headers)
        var state = ExchangeState(head: head)
        state.receivedBytes = example.received
        state.requestComplete = example.isComplete
        state.continueSent = example.continueSent
        #expect(state.closesAfterResponse(drainLimit: 256 << 10) == example.closes)
    }

    @Test(arguments: [
        (0, 0, 256 << 10), (1, 1, 256 << 10), (32, 32, 128 << 10), (100, 100, 32 << 10), (10_000, 10_000, 16 << 10), (1, 1_000, 16 << 10),
    ])
    func receiveBuffersShareTheMemory(bodies: Int, open: Int, expected: Int) {
        #expect(ConnectionRegistry.receiveBufferSize(bodies: bodies, open: open, policy: ConnectionPolicy()) == expected)
    }

    @Test(
        arguments: [
            ("files.example", "/a?b=c", 443, "https://files.example/a?b=c"),
            ("files.example:8080", "/", 8443, "https://files.example:8443/"),
            ("[::1]:80", "/", 443, "https://[::1]/"), ("a b", "/", 443, nil), ("evil.example/x@", "/", 443, nil), ("h", "*", 443, nil),
        ] as [(String, String, Int, String?)])
    func redirectsToTheSameAddress(authority: String, path: String, port: Int, expected: String?) {
        #expect(HTTPSRedirect(port: port).location(authority: authority, path: path) == expected)
    }
}
