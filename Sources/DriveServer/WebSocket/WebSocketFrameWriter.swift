import NIOCore
import NIOWebSocket

/// Encodes the server's frames, which carry no mask (RFC 6455 §5.2), as the bytes that go out.
enum WebSocketFrameWriter {
    /// Bytes of the longest header.
    static let longestHeader = 10
    /// Bytes a control frame may carry.
    static let longestControlPayload = 125
    /// A ping without payload; the same bytes for every connection.
    static let emptyPing = ping(ByteBuffer())

    /// A whole text message in one frame.
    static func text(_ payload: ByteBuffer) -> ByteBuffer { frame(.text, payload) }

    /// A whole binary message in one frame.
    static func binary(_ payload: ByteBuffer) -> ByteBuffer { frame(.binary, payload) }

    /// - Parameter payload: cut off after 125 bytes.
    static func ping(_ payload: ByteBuffer) -> ByteBuffer { control(.ping, payload) }

    /// - Parameter payload: that of the ping it answers.
    static func pong(_ payload: ByteBuffer) -> ByteBuffer { control(.pong, payload) }

    /// - Parameters:
    ///   - code: nil for an empty body. The reason is left out then.
    ///   - reason: cut off at a character's end where it is longer than 123 bytes.
    static func close(_ code: WebSocketCloseCode?, reason: String = "") -> ByteBuffer {
        var body = ByteBuffer()
        if let code {
            body.writeInteger(code.rawValue)
            var kept = reason[...]
            while kept.utf8.count > longestControlPayload - 2 { kept.removeLast() }
            body.writeSubstring(kept)
        }
        return control(.connectionClose, body)
    }

    /// Bytes of the header in front of so many bytes.
    static func headerBytes(payloadBytes: Int) -> Int {
        switch payloadBytes {
        case ...125: 2
        case ...0xFFFF: 4
        default: longestHeader
        }
    }

    /// Writes the header of an unfragmented frame over the bytes at an index, moving no index of the buffer.
    /// - Parameter isCompressed: sets RSV1 (RFC 7692 §6).
    static func setHeader(_ opcode: WebSocketOpcode, payloadBytes: Int, isCompressed: Bool, in buffer: inout ByteBuffer, at index: Int) {
        buffer.setInteger(UInt8(webSocketOpcode: opcode) | 0x80 | (isCompressed ? 0x40 : 0), at: index)
        switch headerBytes(payloadBytes: payloadBytes) {
        case 2:
            buffer.setInteger(UInt8(payloadBytes), at: index + 1)
        case 4:
            buffer.setInteger(UInt8(126), at: index + 1)
            buffer.setInteger(UInt16(payloadBytes), at: index + 2)
        default:
            buffer.setInteger(UInt8(127), at: index + 1)
            buffer.setInteger(UInt64(payloadBytes), at: index + 2)
        }
    }

    private static func control(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) -> ByteBuffer {
        frame(opcode, payload.getSlice(at: payload.readerIndex, length: min(payload.readableBytes, longestControlPayload)) ?? ByteBuffer())
    }

    private static func frame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) -> ByteBuffer {
        let header = headerBytes(payloadBytes: payload.readableBytes)
        var buffer = ByteBufferAllocator().buffer(capacity: header + payload.readableBytes)
        setHeader(opcode, payloadBytes: payload.readableBytes, isCompressed: false, in: &buffer, at: 0)
        buffer.moveWriterIndex(forwardBy: header)
        buffer.writeImmutableBuffer(payload)
        return buffer
    }
}
