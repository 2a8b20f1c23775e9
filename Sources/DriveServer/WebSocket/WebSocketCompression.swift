import DriveCompression
import NIOCore
import NIOWebSocket

/// What all WebSockets of one event loop compress with: a connection borrows it for one message, so that an idle one holds
/// no state of zlib at all.
///
/// One for each event loop, and not Sendable. It can be shared because no context is ever taken over (see
/// ``PerMessageDeflate``).
final class WebSocketCompression {
    /// Shorter messages are not worth it: what is saved does not fill a TCP segment less.
    static let leastBytes = 256

    private var inflater: MessageInflater?
    /// By bits of the window: those of ``PerMessageDeflate/preferredWindowBits`` for nearly every client.
    private var deflaters: [Int: RawDeflater] = [:]
    /// The last compressed frame: an event for many connections is compressed once on each event loop.
    private var latest: (message: WebSocketMessage, windowBits: Int, frame: ByteBuffer)?

    init() {}

    /// The bytes of a message for one connection.
    /// - Parameter agreed: nil where the connection has no compression.
    func frame(for message: WebSocketMessage, agreed: PerMessageDeflate?) -> ByteBuffer {
        guard let agreed, message.payloadBytes >= Self.leastBytes else { return message.frame }
        if let latest, latest.message === message, latest.windowBits == agreed.serverWindowBits { return latest.frame }
        let frame = compressedFrame(message, windowBits: agreed.serverWindowBits) ?? message.frame
        latest = (message, agreed.serverWindowBits, frame)
        return frame
    }

    /// Inflates a client's message.
    /// - Throws: `messageTooBig`, `corruptCompression` or `inflaterUnavailable`.
    func inflate(_ payload: ByteBuffer, limit: Int) throws(WebSocketViolation) -> ByteBuffer {
        guard let inflater = inflater ?? MessageInflater() else { throw .inflaterUnavailable }
        self.inflater = inflater
        return try inflater.inflate(payload, limit: limit)
    }

    /// Nil where it would not be shorter, or there is no memory.
    private func compressedFrame(_ message: WebSocketMessage, windowBits: Int) -> ByteBuffer? {
        guard let deflater = deflaters[windowBits] ?? RawDeflater(windowBits: windowBits) else { return nil }
        deflaters[windowBits] = deflater
        let payload = message.payload
        let start = WebSocketFrameWriter.longestHeader
        // The header goes in front when the length is known; what does not fit into the plain message's room is not worth sending.
        var buffer = ByteBufferAllocator().buffer(capacity: start + payload.readableBytes)
        buffer.moveWriterIndex(to: start)
        var length: Int?
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { space in
            let room = UnsafeMutableRawBufferPointer(rebasing: space.prefix(payload.readableBytes))
            length = payload.withUnsafeReadableBytes { deflater.deflate($0, into: room) }
            return length ?? 0
        }
        guard let length else { return nil }
        let header = WebSocketFrameWriter.headerBytes(payloadBytes: length)
        buffer.moveReaderIndex(to: start - header)
        WebSocketFrameWriter.setHeader(.text, payloadBytes: length, isCompressed: true, in: &buffer, at: start - header)
        return buffer
    }
}
