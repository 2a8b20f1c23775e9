import DriveCompression
import NIOCore
import NIOWebSocket
import TestSupport
import Testing

@testable import DriveServer

/// Autobahn 12 and 13 over the pure parts. The hexadecimal texts were made with Python's `zlib`.
@Suite struct MessageCompressionTests {
    private func inflate(_ bytes: [UInt8], limit: Int = 1 << 16) throws(WebSocketViolation) -> [UInt8] {
        Array(try WebSocketCompression().inflate(ByteBuffer(bytes: bytes), limit: limit).readableBytesView)
    }

    private func bestDeflater() throws -> RawDeflater {
        try #require(RawDeflater(windowBits: 15, memoryLevel: 8))
    }

    @Test(arguments: [
        ("00", ""), ("f248cdc9c90700", "Hello"),
        // Stored, two blocks, a block marked as the last (RFC 7692 §7.2.3), with and without the byte that should follow it.
        ("000500faff48656c6c6f00", "Hello"), ("f248cd01000000ffffcac90700", "Hello"), ("f348cdc9c9070000", "Hello"),
        ("f348cdc9c90700", "Hello"), ("f348cdc9c90700f248cdc9c90700", "HelloHello"),
        ("722f3abce7f0fc541d85273ba63d9fdaa3f061fe8c060000", "Grüße, 世界 😀"),
    ])
    func readsVectors(hex: String, text: String) throws {
        #expect(try inflate(bytes(hex)) == Array(text.utf8))
    }

    /// Cut off, wrong block type, wrong distance, wrong stored length.
    @Test(arguments: [
        "f248cdc9c9", "f248cd", "000500faff4865", "06", "ffff", "6c6f00", "000500faf048656c6c6f00", "f348cdc9c90700ff",
    ])
    func refusesCorruptData(hex: String) {
        #expect(throws: WebSocketViolation.corruptCompression) { try inflate(bytes(hex)) }
    }

    /// A million zeros in a thousand bytes.
    @Test func stopsABombWhileInflating() throws {
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        let bomb = try #require(deflated(zeros, with: bestDeflater()))
        #expect(bomb.count < 1_100)
        let inflater = try #require(MessageInflater())
        #expect(throws: WebSocketViolation.messageTooBig) { try inflater.inflate(ByteBuffer(bytes: bomb), limit: 65_536) }
        #expect(inflater.inflatedBytes == 65_537)
        #expect(throws: WebSocketViolation.messageTooBig) { try inflate(bomb, limit: zeros.count - 1) }
        #expect(try inflate(bomb, limit: zeros.count) == zeros)
        #expect(throws: WebSocketViolation.messageTooBig) { try inflate(bytes("f248cdc9c90700"), limit: 4) }
        #expect(try inflate(bytes("f248cdc9c90700"), limit: 5).count == 5)
    }

    /// One inflater serves one message after the other, whatever the one before was.
    @Test func keepsNothingOfTheMessageBefore() throws {
        let compression = WebSocketCompression()
        for hex in ["f248cdc9c90700", "f248cd", "f348cdc9c90700", "06", "ecc10101000000"] {
            _ = try? compression.inflate(ByteBuffer(bytes: bytes(hex)), limit: 100)
            #expect(try compression.inflate(ByteBuffer(bytes: bytes("f248cdc9c90700")), limit: 100) == ByteBuffer(string: "Hello"))
        }
        // A reference to the message before would be a context taken over.
        #expect(throws: WebSocketViolation.corruptCompression) {
            try compression.inflate(ByteBuffer(bytes: bytes("f200110000")), limit: 100)
        }
    }

    @Test(arguments: [9, 10, 12, 15], [0, 1, 15, 256, 1_024, 8_192, 65_536, 131_072])
    func roundTrips(windowBits: Int, size: Int) throws {
        var random = SeededGenerator(seed: UInt64(size))
        let deflater = try #require(RawDeflater(windowBits: windowBits))
        let noise = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
        let words = ["progress", "task", "\"status\":", "{}", "0.5"].map { Array($0.utf8) }
        var text: [UInt8] = []
        while text.count < size { text += words.randomElement(using: &random) ?? [0] }
        for payload in [noise, text] {
            let compressed = try #require(deflated(payload, with: deflater))
            #expect(try inflate(compressed, limit: payload.count) == payload)
        }
    }

    @Test func deflatesAsPythonDoes() throws {
        let deflater = try bestDeflater()
        #expect(deflated([], with: deflater) == [0x00])
        #expect(deflated(Array("Hello".utf8), with: deflater) == bytes("f248cdc9c90700"))
        #expect(RawDeflater(windowBits: 8) == nil)
        #expect(RawDeflater(windowBits: 16) == nil)
    }

    @Test func saysWhatDoesNotFit() throws {
        let deflater = try #require(RawDeflater(windowBits: 12))
        var small = [UInt8](repeating: 0, count: 11)
        let hello = Array("Hello".utf8)
        #expect(hello.withUnsafeBytes { source in small.withUnsafeMutableBytes { deflater.deflate(source, into: $0) } } == nil)
        small.append(0)
        #expect(hello.withUnsafeBytes { source in small.withUnsafeMutableBytes { deflater.deflate(source, into: $0) } } == 7)
    }

    @Test(arguments: [
        ReaderCase("compressed", [clientFrame(.text, bytes("f248cdc9c90700"), rsv1: true)], [.text("Hello")]),
        ReaderCase(
            "in fragments", [clientFrame(.text, bytes("f248cd"), fin: false, rsv1: true), clientFrame(.continuation, bytes("c9c90700"))],
            [.text("Hello")]),
        ReaderCase("not compressed", [clientFrame(.text, "a")], [.text("a")]),
        ReaderCase(
            "bit on a continuation",
            [clientFrame(.text, bytes("f248cd"), fin: false, rsv1: true), clientFrame(.continuation, bytes("c9c90700"), rsv1: true)],
            [.failed(.reservedBits)]),
        ReaderCase("bit on a ping", [clientFrame(.ping, "", rsv1: true)], [.failed(.reservedBits)]),
        ReaderCase("second bit", [clientFrame(.text, bytes("00"), rsv1: true, rsv2: true)], [.failed(.reservedBits)]),
        ReaderCase("not UTF-8 after inflating", [clientFrame(.text, bytes("4a4c4a7ebba00100"), rsv1: true)], [.failed(.invalidUTF8)]),
        ReaderCase("corrupt", [clientFrame(.text, bytes("06"), rsv1: true)], [.failed(.corruptCompression)]),
        // 70,000 times the same letter.
        ReaderCase(
            "too big after inflating",
            [
                clientFrame(
                    .text, bytes("ecc13101000000c2a0aceb5fc2129e4001") + [UInt8](repeating: 0, count: 67) + bytes("6f03"), rsv1: true)
            ], [.failed(.messageTooBig)]),
        ReaderCase("too big before", [clientFrame(.binary, [UInt8](repeating: 0, count: 74_000), rsv1: true)], [.failed(.messageTooBig)]),
    ])
    func readsCompressedMessages(scenario: ReaderCase) {
        #expect(scenario.with { $0.isCompressionAgreed = true }.run() == scenario.events)
    }
}
