import NIOWebSocket

/// What a peer did that ends its WebSocket. The raw values are stable: they are the reason of the close frame and a label in logs.
enum WebSocketViolation: String, Error, Hashable, Sendable {
    case unmaskedFrame = "frame without mask"
    case reservedBits = "reserved bits"
    case unknownOpcode = "unknown opcode"
    case fragmentedControlFrame = "fragmented control frame"
    case oversizedControlFrame = "control frame over 125 bytes"
    case unexpectedContinuation = "nothing to continue"
    case interruptedMessage = "message not finished"
    case malformedClose = "malformed close frame"
    case invalidCloseCode = "invalid close code"
    case binaryMessage = "binary message"
    case invalidUTF8 = "not UTF-8"
    case corruptCompression = "corrupt compressed data"
    case messageTooBig = "message too big"
    case tooManyFragments = "too many fragments"
    /// Memory for inflating could not be had: the server's fault.
    case inflaterUnavailable = "out of memory"

    /// The status of the close frame that answers it (RFC 6455 §7.4.1).
    var closeCode: WebSocketCloseCode {
        switch self {
        case .unmaskedFrame, .reservedBits, .unknownOpcode, .fragmentedControlFrame, .oversizedControlFrame, .unexpectedContinuation,
            .interruptedMessage, .malformedClose, .invalidCloseCode:
            .protocolError
        case .binaryMessage: .unacceptableData
        case .invalidUTF8, .corruptCompression: .invalidPayload
        case .messageTooBig: .messageTooBig
        case .tooManyFragments: .policyViolation
        case .inflaterUnavailable: .internalError
        }
    }

    /// The reason of the close frame.
    var reason: String { rawValue }

    /// What NIO's frame decoder found by itself. The byte stream behind it cannot be read any further.
    init(_ error: NIOWebSocketError) {
        self =
            switch error {
            case .invalidFrameLength: .messageTooBig
            case .fragmentedControlFrame: .fragmentedControlFrame
            case .multiByteControlFrameLength: .oversizedControlFrame
            }
    }
}
