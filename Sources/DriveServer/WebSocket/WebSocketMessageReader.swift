import NIOCore
import NIOWebSocket

/// Makes messages of a client's frames and refuses what RFC 6455 and RFC 7692 forbid: a value without I/O.
///
/// NIO's decoder has checked only lengths (a frame's largest size, control frames of at most 125 bytes and unfragmented); all
/// the rest is checked here.
struct WebSocketMessageReader {
    struct Limits: Hashable, Sendable {
        /// Bytes of one message, after inflating.
        var messageBytes = 64 << 10
        /// Frames of one message; bounds what empty fragments cost.
        var fragments = 1_024
        /// Drive's packets are text.
        var acceptsBinary = false

        /// Bytes of one message as it arrives: compressed data may be a little longer than what they stand for. NIO's decoder,
        /// which holds a frame until it is whole, gets this as its largest frame.
        var compressedBytes: Int { messageBytes + messageBytes / 8 + 64 }
    }

    enum Event: Equatable {
        /// A whole message, valid UTF-8.
        case text(ByteBuffer)
        case binary(ByteBuffer)
        /// To be answered by a pong with the same payload (RFC 6455 §5.5.2).
        case ping(ByteBuffer)
        case pong(ByteBuffer)
        /// The peer closes, or answers our close. Nothing comes after it.
        case close(WebSocketCloseCode?, reason: String)
        /// To be answered by a close frame. Of what follows only the peer's close frame is told.
        case failed(WebSocketViolation)
    }

    /// A message of which frames are still to come.
    private struct Partial {
        let isText: Bool
        let isCompressed: Bool
        var payload: ByteBuffer
        var fragments = 1
        var utf8 = UTF8Validator()
    }

    private enum Phase {
        case open
        /// After a failure, or a close of ours: only the peer's close frame is still of interest.
        case awaitingClose
        case closed
    }

    let limits: Limits
    private let isCompressionAgreed: Bool
    private var phase = Phase.open
    private var partial: Partial?

    /// - Parameter isCompressionAgreed: whether permessage-deflate was negotiated.
    init(limits: Limits = Limits(), isCompressionAgreed: Bool) {
        self.limits = limits
        self.isCompressionAgreed = isCompressionAgreed
    }

    /// Reads the next frame.
    /// - Parameter compression: inflates compressed messages; the one of the event loop.
    /// - Returns: nil where the frame completes nothing.
    mutating func read(_ frame: WebSocketFrame, compression: WebSocketCompression) -> Event? {
        switch phase {
        case .closed: return nil
        case .awaitingClose where frame.opcode != .connectionClose || frame.maskKey == nil: return nil
        case .open, .awaitingClose: break
        }
        do {
            return try accept(frame, compression: compression)
        } catch {
            guard phase == .open else {
                // A close frame ends the closing handshake, whatever it holds.
                phase = .closed
                return .close(nil, reason: "")
            }
            ignoreMessages()
            return .failed(error)
        }
    }

    /// After a close frame of ours: from here on only the peer's close frame is told.
    mutating func ignoreMessages() {
        partial = nil
        if phase == .open { phase = .awaitingClose }
    }

    private mutating func accept(_ frame: WebSocketFrame, compression: WebSocketCompression) throws(WebSocketViolation) -> Event? {
        guard frame.maskKey != nil else { throw .unmaskedFrame }
        guard frame.reservedBits.isEmpty || (frame.reservedBits == .rsv1 && isCompressionAgreed) else { throw .reservedBits }
        if frame.opcode.isControlOpcode { return try acceptControl(frame) }
        switch frame.opcode {
        case .continuation: try continueMessage(frame)
        case .text, .binary: try beginMessage(frame)
        default: throw .unknownOpcode
        }
        return frame.fin ? try finishMessage(compression) : nil
    }

    private mutating func beginMessage(_ frame: WebSocketFrame) throws(WebSocketViolation) {
        guard partial == nil else { throw .interruptedMessage }
        let isText = frame.opcode == .text
        guard isText || limits.acceptsBinary else { throw .binaryMessage }
        guard frame.length <= byteLimit(isCompressed: frame.rsv1) else { throw .messageTooBig }
        let payload = frame.unmaskedData
        partial = Partial(isText: isText, isCompressed: frame.rsv1, payload: payload)
        try check(payload)
    }

    private mutating func continueMessage(_ frame: WebSocketFrame) throws(WebSocketViolation) {
        guard let begun = partial?.payload.readableBytes, let isCompressed = partial?.isCompressed else { throw .unexpectedContinuation }
        // Only a message's first frame may carry the bit of compression (RFC 7692 §6.1).
        guard !frame.rsv1 else { throw .reservedBits }
        guard frame.length <= byteLimit(isCompressed: isCompressed) - begun else { throw .messageTooBig }
        guard let fragments = partial?.fragments, fragments < limits.fragments else { throw .tooManyFragments }
        var payload = frame.unmaskedData
        try check(payload)
        partial?.fragments += 1
        partial?.payload.writeBuffer(&payload)
    }

    private mutating func finishMessage(_ compression: WebSocketCompression) throws(WebSocketViolation) -> Event? {
        guard let message = partial else { return nil }
        partial = nil
        guard message.isCompressed else {
            guard message.utf8.isComplete else { throw .invalidUTF8 }
            return message.isText ? .text(message.payload) : .binary(message.payload)
        }
        let payload = try compression.inflate(message.payload, limit: limits.messageBytes)
        guard message.isText else { return .binary(payload) }
        var utf8 = UTF8Validator()
        guard payload.withUnsafeReadableBytes({ utf8.accept($0) }), utf8.isComplete else { throw .invalidUTF8 }
        return .text(payload)
    }

    /// Text is checked as it arrives, so that a wrong byte ends the message at once; compressed text when it is whole.
    private mutating func check(_ payload: ByteBuffer) throws(WebSocketViolation) {
        guard var utf8 = partial?.utf8, partial?.isText == true, partial?.isCompressed == false else { return }
        guard payload.withUnsafeReadableBytes({ utf8.accept($0) }) else { throw .invalidUTF8 }
        partial?.utf8 = utf8
    }

    private func byteLimit(isCompressed: Bool) -> Int { isCompressed ? limits.compressedBytes : limits.messageBytes }

    private mutating func acceptControl(_ frame: WebSocketFrame) throws(WebSocketViolation) -> Event? {
        guard frame.reservedBits.isEmpty else { throw .reservedBits }
        guard frame.fin else { throw .fragmentedControlFrame }
        guard frame.length <= 125 else { throw .oversizedControlFrame }
        switch frame.opcode {
        case .ping: return .ping(frame.unmaskedData)
        case .pong: return .pong(frame.unmaskedData)
        case .connectionClose: return try acceptClose(frame.unmaskedData)
        default: throw .unknownOpcode
        }
    }

    /// The body is empty, or a code and a reason in UTF-8 (RFC 6455 §5.5.1).
    private mutating func acceptClose(_ body: ByteBuffer) throws(WebSocketViolation) -> Event {
        var body = body
        var code: WebSocketCloseCode?
        if body.readableBytes > 0 {
            guard let number = body.readInteger(as: UInt16.self) else { throw .malformedClose }
            let given = WebSocketCloseCode(rawValue: number)
            guard given.isAllowedOnWire else { throw .invalidCloseCode }
            code = given
        }
        guard let reason = String(validating: body.readableBytesView, as: UTF8.self) else { throw .invalidUTF8 }
        partial = nil
        phase = .closed
        return .close(code, reason: reason)
    }
}
