import NIOCore
import NIOWebSocket
import TestSupport
import Testing

@testable import DriveServer

@Suite struct WebSocketFrameWriterTests {
    private func agreement(_ extensions: String) throws -> PerMessageDeflate {
        let offers = try #require(WebSocketExtension.parse([extensions]))
        return try #require(PerMessageDeflate.negotiate(offers))
    }

    /// The examples of RFC 6455 §5.7, and the bounds between the three kinds of length.
    @Test(arguments: [
        (5, "8105"), (0, "8100"), (125, "817d"), (126, "817e007e"), (256, "817e0100"), (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ])
    func writesHeaders(length: Int, header: String) {
        let payload = [UInt8](repeating: 0x61, count: length)
        #expect(Array(WebSocketFrameWriter.text(ByteBuffer(bytes: payload)).readableBytesView) == bytes(header) + payload)
    }

    @Test func writesControlFrames() {
        let hello = ByteBuffer(string: "Hello")
        #expect(WebSocketFrameWriter.ping(hello) == ByteBuffer(bytes: bytes("8905 48656c6c6f")))
        #expect(WebSocketFrameWriter.pong(hello) == ByteBuffer(bytes: bytes("8a05 48656c6c6f")))
        #expect(WebSocketFrameWriter.emptyPing == ByteBuffer(bytes: bytes("8900")))
        #expect(WebSocketFrameWriter.close(nil) == ByteBuffer(bytes: bytes("8800")))
        #expect(WebSocketFrameWriter.close(.unauthorized, reason: "bye") == ByteBuffer(bytes: bytes("8805 1131 627965")))
        #expect(WebSocketFrameWriter.ping(ByteBuffer(repeating: 1, count: 200)).readableBytes == 127)
    }

    @Test func cutsReasonsAtCharacters() {
        let frame = WebSocketFrameWriter.close(.normal, reason: String(repeating: "é", count: 90))
        #expect(Array(frame.readableBytesView.prefix(4)) == bytes("887c03e8"))
        #expect(String(validating: frame.readableBytesView.dropFirst(4), as: UTF8.self) == String(repeating: "é", count: 61))
    }

    @Test func compressesAMessageOnceForMany() throws {
        let text = String(repeating: #"{"type":"task.progress","data":{"progress":50}},"#, count: 20)
        let message = WebSocketMessage(text)
        let compression = WebSocketCompression()
        let plain = compression.frame(for: message, agreed: nil)
        #expect(plain == message.frame && message.payload == ByteBuffer(string: text))

        let usual = try agreement("permessage-deflate; client_max_window_bits")
        let frame = compression.frame(for: message, agreed: usual)
        #expect(frame.readableBytes < plain.readableBytes / 4)
        let again = compression.frame(for: message, agreed: usual)
        #expect(frame.withUnsafeReadableBytes(\.baseAddress) == again.withUnsafeReadableBytes(\.baseAddress))

        let small = compression.frame(for: message, agreed: try agreement("permessage-deflate; server_max_window_bits=9"))
        for sent in [frame, small] {
            #expect(sent.readableBytes < 126 + 2)
            #expect(Array(sent.readableBytesView.prefix(2)) == [0xC1, UInt8(sent.readableBytes - 2)])
            let payload = try #require(sent.getSlice(at: sent.readerIndex + 2, length: sent.readableBytes - 2))
            #expect(try compression.inflate(payload, limit: 10_000) == ByteBuffer(string: text))
        }
    }

    @Test func sendsPlainWhatCompressionWouldNotShorten() throws {
        var random = SeededGenerator(seed: 1)
        let agreed = try agreement("permessage-deflate")
        let compression = WebSocketCompression()
        let noise = WebSocketMessage(
            String((0..<400).map { _ in Character(Unicode.Scalar(UInt8.random(in: 0x30...0x7A, using: &random))) }))
        let scalars = WebSocketMessage(
            String((0..<400).compactMap { _ in Unicode.Scalar(UInt32.random(in: 0x4E00...0x9FFF, using: &random)).map(Character.init) }))
        let short = WebSocketMessage(String(repeating: "a", count: WebSocketCompression.leastBytes - 1))
        #expect(compression.frame(for: short, agreed: agreed) == short.frame)
        for message in [noise, scalars] {
            #expect(compression.frame(for: message, agreed: agreed).readableBytes <= message.frame.readableBytes)
        }
        let bytes = WebSocketMessage(ByteBuffer(bytes: (0..<1_000).map { _ in UInt8.random(in: 0...255, using: &random) }))
        #expect(compression.frame(for: bytes, agreed: agreed) == bytes.frame)
    }
}
