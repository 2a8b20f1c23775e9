import NIOCore
import NIOWebSocket
import Testing

@testable import DriveServer

/// A client's frame, masked unless told otherwise.
func clientFrame(
    _ opcode: WebSocketOpcode, _ payload: [UInt8], fin: Bool = true, rsv1: Bool = false, rsv2: Bool = false, rsv3: Bool = false,
    masked: Bool = true
) -> WebSocketFrame {
    let key: WebSocketMaskingKey? = masked ? [0x37, 0xFA, 0x21, 0x3D] : nil
    var data = ByteBuffer(bytes: payload)
    if let key { data.webSocketMask(key) }
    return WebSocketFrame(fin: fin, rsv1: rsv1, rsv2: rsv2, rsv3: rsv3, opcode: opcode, maskKey: key, data: data)
}

func clientFrame(_ opcode: WebSocketOpcode, _ text: String = "", fin: Bool = true, rsv1: Bool = false) -> WebSocketFrame {
    clientFrame(opcode, Array(text.utf8), fin: fin, rsv1: rsv1)
}

/// A close frame with a code and a reason.
func closeFrame(_ code: UInt16, _ reason: [UInt8] = []) -> WebSocketFrame {
    clientFrame(.connectionClose, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
}

/// Frames in their order and what a reader must tell of them.
struct ReaderCase: Sendable, CustomTestStringConvertible {
    let name: String
    let frames: [WebSocketFrame]
    let events: [WebSocketMessageReader.Event]
    var limits = WebSocketMessageReader.Limits(acceptsBinary: true)
    var isCompressionAgreed = false
    var testDescription: String { name }

    init(_ name: String, _ frames: [WebSocketFrame], _ events: [WebSocketMessageReader.Event]) {
        self.name = name
        self.frames = frames
        self.events = events
    }

    func with(_ change: (inout ReaderCase) -> Void) -> ReaderCase {
        var copy = self
        change(&copy)
        return copy
    }

    func run() -> [WebSocketMessageReader.Event] {
        var reader = WebSocketMessageReader(limits: limits, isCompressionAgreed: isCompressionAgreed)
        let compression = WebSocketCompression()
        return frames.compactMap { reader.read($0, compression: compression) }
    }
}

extension WebSocketMessageReader.Event {
    static func text(_ text: String) -> Self { .text(ByteBuffer(string: text)) }
    static func binary(_ bytes: [UInt8]) -> Self { .binary(ByteBuffer(bytes: bytes)) }
    static func ping(_ text: String) -> Self { .ping(ByteBuffer(string: text)) }
    static func pong(_ text: String) -> Self { .pong(ByteBuffer(string: text)) }
    static func close(_ code: UInt16?, _ reason: String = "") -> Self {
        .close(code.map(WebSocketCloseCode.init(rawValue:)), reason: reason)
    }
}

/// The bytes that pairs of hexadecimal digits spell.
func bytes(_ hex: String) -> [UInt8] {
    HTTPSyntax.bytes(hex: hex.utf8.filter { $0 != UInt8(ascii: " ") }) ?? []
}
