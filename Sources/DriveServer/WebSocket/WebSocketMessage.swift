import NIOCore

/// A text message that goes to one connection or to many: encoded once, shared between event loops.
final class WebSocketMessage: Sendable {
    /// The frame as it goes to a connection without compression.
    let frame: ByteBuffer
    /// Bytes of the text.
    let payloadBytes: Int

    /// - Parameter text: UTF-8.
    init(_ text: ByteBuffer) {
        payloadBytes = text.readableBytes
        frame = WebSocketFrameWriter.text(text)
    }

    convenience init(_ text: String) {
        self.init(ByteBuffer(string: text))
    }

    /// The text without its header.
    var payload: ByteBuffer {
        frame.getSlice(at: frame.writerIndex - payloadBytes, length: payloadBytes) ?? ByteBuffer()
    }
}
