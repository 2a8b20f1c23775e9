import NIOCore
import NIOWebSocket
import Testing

@testable import DriveServer

private let long = String(repeating: "*", count: 65_536)

/// The cases of the Autobahn test suite whose outcome follows from frames alone, by their numbers there.
private let framing: [ReaderCase] = [
    .init("1.1.1 empty text", [clientFrame(.text)], [.text("")]),
    .init("1.1.2 text", [clientFrame(.text, String(repeating: "*", count: 125))], [.text(String(repeating: "*", count: 125))]),
    .init("1.1.6 largest text", [clientFrame(.text, long)], [.text(long)]),
    .init("1.2.1 empty binary", [clientFrame(.binary)], [.binary([])]),
    .init("1.2.2 binary", [clientFrame(.binary, [0xFE, 0x00, 0xFF])], [.binary([0xFE, 0x00, 0xFF])]),
    .init("2.1 empty ping", [clientFrame(.ping)], [.ping("")]),
    .init("2.3 binary ping", [clientFrame(.ping, [0x00, 0xFF])], [.ping(ByteBuffer(bytes: [0x00, 0xFF]))]),
    .init("2.4 ping of 125", [clientFrame(.ping, String(repeating: "*", count: 125))], [.ping(String(repeating: "*", count: 125))]),
    .init("2.5 ping of 126", [clientFrame(.ping, String(repeating: "*", count: 126))], [.failed(.oversizedControlFrame)]),
    .init("2.7 unsolicited pong", [clientFrame(.pong), clientFrame(.ping)], [.pong(""), .ping("")]),
    .init("2.10 ten pings", (0..<10).map { clientFrame(.ping, "\($0)") }, (0..<10).map { .ping("\($0)") }),
    .init("3.1 RSV3", [clientFrame(.text, [0x61], rsv3: true)], [.failed(.reservedBits)]),
    .init(
        "3.2 RSV2", [clientFrame(.text, "a"), clientFrame(.text, [0x61], rsv2: true), clientFrame(.ping)],
        [.text("a"), .failed(.reservedBits)]),
    .init("3.4 RSV1 without compression", [clientFrame(.text, "a", rsv1: true)], [.failed(.reservedBits)]),
    .init("3.6 RSV1 and RSV3 on ping", [clientFrame(.ping, [], rsv1: true, rsv3: true)], [.failed(.reservedBits)]),
    .init("3.7 RSV on close", [clientFrame(.connectionClose, [], rsv1: true, rsv2: true, rsv3: true)], [.failed(.reservedBits)]),
    .init("unmasked", [clientFrame(.text, [0x61], masked: false)], [.failed(.unmaskedFrame)]),
    .init("unmasked close", [clientFrame(.connectionClose, [], masked: false)], [.failed(.unmaskedFrame)]),
]

private let fragments: [ReaderCase] = [
    .init(
        "5.1 ping in two fragments", [clientFrame(.ping, "a", fin: false), clientFrame(.continuation, "b")],
        [.failed(.fragmentedControlFrame)]),
    .init("5.2 pong in two fragments", [clientFrame(.pong, "a", fin: false)], [.failed(.fragmentedControlFrame)]),
    .init("5.3 two fragments", [clientFrame(.text, "a", fin: false), clientFrame(.continuation, "b")], [.text("ab")]),
    .init(
        "5.6 ping between", [clientFrame(.text, "a", fin: false), clientFrame(.ping, "p"), clientFrame(.continuation, "b")],
        [.ping("p"), .text("ab")]),
    .init("5.9 nothing to continue", [clientFrame(.continuation, "a"), clientFrame(.text, "b")], [.failed(.unexpectedContinuation)]),
    .init("5.12 nothing to continue, unfinished", [clientFrame(.continuation, "a", fin: false)], [.failed(.unexpectedContinuation)]),
    .init(
        "5.15 continued after its end",
        [clientFrame(.text, "a", fin: false), clientFrame(.continuation, "b"), clientFrame(.continuation, "c")],
        [.text("ab"), .failed(.unexpectedContinuation)]),
    .init("5.18 text within text", [clientFrame(.text, "a", fin: false), clientFrame(.text, "b")], [.failed(.interruptedMessage)]),
    .init("5.18 binary within text", [clientFrame(.text, "a", fin: false), clientFrame(.binary, "b")], [.failed(.interruptedMessage)]),
    .init(
        "5.19 pings between five fragments",
        [
            clientFrame(.text, "1", fin: false), clientFrame(.continuation, "2", fin: false), clientFrame(.ping, "x"),
            clientFrame(.continuation, "3", fin: false), clientFrame(.continuation, "4", fin: false), clientFrame(.ping, "y"),
            clientFrame(.continuation, "5"),
        ], [.ping("x"), .ping("y"), .text("12345")]),
    .init(
        "6.1.2 empty fragments", [clientFrame(.text, fin: false), clientFrame(.continuation, fin: false), clientFrame(.continuation)],
        [.text("")]),
    .init(
        "6.1.3 middle alone holds text",
        [clientFrame(.text, fin: false), clientFrame(.continuation, "middle", fin: false), clientFrame(.continuation)], [.text("middle")]),
    .init(
        "6.2.3 each byte its own fragment",
        [clientFrame(.text, fin: false)] + "Hello-µ@ß".utf8.map { clientFrame(.continuation, [$0], fin: false) } + [
            clientFrame(.continuation)
        ],
        [.text("Hello-µ@ß")]),
    .init(
        "6.4.1 fails in the second fragment",
        [
            clientFrame(.text, bytes("ceba e1bdb9 cf83"), fin: false), clientFrame(.continuation, bytes("f4908080"), fin: false),
            clientFrame(.ping),
        ],
        [.failed(.invalidUTF8)]),
    .init(
        "6.4.2 fails at the first wrong byte",
        [clientFrame(.text, bytes("ceba f4"), fin: false), clientFrame(.continuation, [0x90], fin: false), clientFrame(.ping)],
        [.failed(.invalidUTF8)]),
    .init("half a character at the end", [clientFrame(.text, [0xCE])], [.failed(.invalidUTF8)]),
    .init(
        "half a character at the end of fragments", [clientFrame(.text, "a", fin: false), clientFrame(.continuation, [0xE2, 0x82])],
        [.failed(.invalidUTF8)]),
    .init(
        "binary need not be UTF-8", [clientFrame(.binary, [0xFF], fin: false), clientFrame(.continuation, [0xC0])], [.binary([0xFF, 0xC0])]),
]

private let closing: [ReaderCase] = [
    .init("7.1.2 two closes", [closeFrame(1000), closeFrame(1000)], [.close(1000)]),
    .init("7.1.3 ping after close", [closeFrame(1000), clientFrame(.ping)], [.close(1000)]),
    .init("7.1.4 text after close", [closeFrame(1000), clientFrame(.text, "a")], [.close(1000)]),
    .init(
        "7.1.5 close within a message", [clientFrame(.text, "a", fin: false), closeFrame(1000), clientFrame(.continuation, "b")],
        [.close(1000)]),
    .init("7.3.1 empty close", [clientFrame(.connectionClose)], [.close(nil)]),
    .init("7.3.2 close of one byte", [clientFrame(.connectionClose, "a")], [.failed(.malformedClose)]),
    .init("7.3.4 close with reason", [closeFrame(1000, Array("Hello World!".utf8))], [.close(1000, "Hello World!")]),
    .init(
        "7.3.5 longest reason", [closeFrame(1000, [UInt8](repeating: 0x2A, count: 123))], [.close(1000, String(repeating: "*", count: 123))]
    ),
    .init("7.3.6 reason too long", [closeFrame(1000, [UInt8](repeating: 0x2A, count: 124))], [.failed(.oversizedControlFrame)]),
    .init("7.5.1 reason is not UTF-8", [closeFrame(1000, bytes("ceba eda080"))], [.failed(.invalidUTF8)]),
    .init("fragmented close", [clientFrame(.connectionClose, fin: false)], [.failed(.fragmentedControlFrame)]),
    .init(
        "the answer to our close after a failure", [clientFrame(.continuation), closeFrame(1002)],
        [.failed(.unexpectedContinuation), .close(1002)]),
    .init("any close ends a failure", [clientFrame(.continuation), closeFrame(5)], [.failed(.unexpectedContinuation), .close(nil)]),
    .init(
        "a failure is told once", [clientFrame(.continuation), clientFrame(.continuation), clientFrame(.ping)],
        [.failed(.unexpectedContinuation)]),
]

private let limits: [ReaderCase] = [
    .init("as many bytes as allowed", [clientFrame(.text, "12345678")], [.text("12345678")]).with { $0.limits.messageBytes = 8 },
    .init("a byte more", [clientFrame(.text, "123456789")], [.failed(.messageTooBig)]).with { $0.limits.messageBytes = 8 },
    .init(
        "a byte more in fragments", [clientFrame(.text, "12345678", fin: false), clientFrame(.continuation, "9")], [.failed(.messageTooBig)]
    )
    .with { $0.limits.messageBytes = 8 },
    .init("each message anew", [clientFrame(.text, "12345678"), clientFrame(.text, "9")], [.text("12345678"), .text("9")])
        .with { $0.limits.messageBytes = 8 },
    .init("as many fragments as allowed", fragmented(into: 5), [.text(".....")]).with { $0.limits.fragments = 5 },
    .init("a fragment more", fragmented(into: 6), [.failed(.tooManyFragments)]).with { $0.limits.fragments = 5 },
    .init(
        "endless empty fragments", [clientFrame(.text, fin: false)] + (0..<5).map { _ in clientFrame(.continuation, fin: false) },
        [.failed(.tooManyFragments)]
    )
    .with { $0.limits.fragments = 5 },
    .init("binary is not wanted", [clientFrame(.binary, "a", fin: false)], [.failed(.binaryMessage)]).with {
        $0.limits.acceptsBinary = false
    },
]

private func fragmented(into count: Int) -> [WebSocketFrame] {
    [clientFrame(.text, ".", fin: false)] + (2...count).map { clientFrame(.continuation, ".", fin: $0 == count) }
}

@Suite struct WebSocketReaderTests {
    @Test(arguments: framing + fragments + closing + limits)
    func reads(scenario: ReaderCase) {
        #expect(scenario.run() == scenario.events)
    }

    /// 4.1 and 4.2: alone, and after a message.
    @Test(arguments: [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8])
    func refusesReservedOpcodes(number: UInt8) throws {
        let opcode = try #require(WebSocketOpcode(encodedWebSocketOpcode: number))
        let scenario = ReaderCase(
            "4", [clientFrame(.text, "a"), clientFrame(opcode, "b"), clientFrame(.ping)], [.text("a"), .failed(.unknownOpcode)])
        #expect(scenario.run() == scenario.events)
    }

    /// 7.7.
    @Test(arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] as [UInt16])
    func acceptsCloseCodes(code: UInt16) {
        #expect(ReaderCase("7.7", [closeFrame(code)], []).run() == [.close(code)])
    }

    /// 7.9 and 7.13.
    @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] as [UInt16])
    func refusesCloseCodes(code: UInt16) {
        #expect(ReaderCase("7.9", [closeFrame(code)], []).run() == [.failed(.invalidCloseCode)])
    }

    @Test func violationsHaveTheCodesOfTheStandard() {
        let codes: [(WebSocketViolation, UInt16)] = [
            (.unmaskedFrame, 1002), (.reservedBits, 1002), (.invalidCloseCode, 1002), (.binaryMessage, 1003), (.invalidUTF8, 1007),
            (.corruptCompression, 1007), (.tooManyFragments, 1008), (.messageTooBig, 1009), (.inflaterUnavailable, 1011),
            (WebSocketViolation(.invalidFrameLength), 1009), (WebSocketViolation(.fragmentedControlFrame), 1002),
            (WebSocketViolation(.multiByteControlFrameLength), 1002),
        ]
        for (violation, code) in codes { #expect(violation.closeCode.rawValue == code, "\(violation)") }
    }

    @Test func ignoresMessagesAfterOurClose() {
        var reader = WebSocketMessageReader(isCompressionAgreed: false)
        let compression = WebSocketCompression()
        #expect(reader.read(clientFrame(.text, "a", fin: false), compression: compression) == nil)
        reader.ignoreMessages()
        #expect(reader.read(clientFrame(.continuation, "b"), compression: compression) == nil)
        #expect(reader.read(clientFrame(.binary, "b"), compression: compression) == nil)
        #expect(reader.read(closeFrame(1001), compression: compression) == .close(1001))
        #expect(reader.read(closeFrame(1001), compression: compression) == nil)
    }
}
