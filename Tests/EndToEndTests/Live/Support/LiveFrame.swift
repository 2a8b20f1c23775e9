/// A frame of a WebSocket (RFC 6455 §5.2), made and read by hand: right ones, and wrong ones on purpose.
struct LiveFrame: Equatable, Sendable {
    static let continuation: UInt8 = 0x0
    static let text: UInt8 = 0x1
    static let binary: UInt8 = 0x2
    static let close: UInt8 = 0x8
    static let ping: UInt8 = 0x9
    static let pong: UInt8 = 0xA

    /// What a server may never send.
    struct Violation: Error, CustomStringConvertible {
        let description: String
    }

    var opcode: UInt8
    var payload: [UInt8] = []
    var isFinal = true

    /// The bytes of a client's frame.
    ///
    /// - Parameters:
    ///   - isMasked: false makes the frame one that only a server may send.
    ///   - length: what the head claims; nil: the truth.
    func encoded(isMasked: Bool = true, length claimed: Int? = nil) -> [UInt8] {
        let length = claimed ?? payload.count
        let masked: UInt8 = isMasked ? 0x80 : 0
        var bytes = [(isFinal ? 0x80 : 0) | opcode]
        switch length {
        case ..<126: bytes.append(masked | UInt8(length))
        case ..<65_536: bytes += [masked | 126, UInt8(length >> 8), UInt8(length & 0xFF)]
        default:
            bytes.append(masked | 127)
            bytes += stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: length >> $0) }
        }
        guard isMasked else { return bytes + payload }
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        bytes += mask
        bytes.reserveCapacity(bytes.count + payload.count)
        for (index, byte) in payload.enumerated() { bytes.append(byte ^ mask[index & 3]) }
        return bytes
    }

    /// The status and reason of a close frame.
    var closing: LiveClosed {
        guard payload.count >= 2 else { return LiveClosed(code: nil, reason: "") }
        return LiveClosed(code: Int(payload[0]) << 8 | Int(payload[1]), reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
    }
}

/// How a WebSocket ended.
struct LiveClosed: Error, Equatable, Sendable, CustomStringConvertible {
    /// The close frame's; nil: it had none, or none came.
    let code: Int?
    let reason: String
    /// False where the connection ended without a close frame.
    var hasFrame = true

    var description: String {
        hasFrame ? "closed by \(code.map(String.init) ?? "no code"): \(reason)" : "the connection ended without a close frame"
    }
}

/// Makes frames of a server's bytes.
struct LiveFrameBuffer: Sendable {
    private var bytes: [UInt8] = []
    private var start = 0

    mutating func append(_ more: some Sequence<UInt8>) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes += more
    }

    /// The next whole frame; nil where bytes of it are missing. Throws `LiveFrame.Violation`.
    mutating func next() throws -> LiveFrame? {
        let rest = bytes[start...]
        guard rest.count >= 2 else { return nil }
        let (first, second) = (rest[start], rest[start + 1])
        guard first & 0x70 == 0 else { throw LiveFrame.Violation(description: "reserved bits that nobody agreed on") }
        guard second & 0x80 == 0 else { throw LiveFrame.Violation(description: "a masked frame of the server") }
        let more = second == 126 ? 2 : second == 127 ? 8 : 0
        guard rest.count >= 2 + more else { return nil }
        let length = more == 0 ? Int(second) : rest[(start + 2)..<(start + 2 + more)].reduce(0) { $0 << 8 | Int($1) }
        guard rest.count >= 2 + more + length else { return nil }
        let end = start + 2 + more + length
        let frame = LiveFrame(opcode: first & 0x0F, payload: Array(bytes[(end - length)..<end]), isFinal: first & 0x80 != 0)
        start = end
        return frame
    }
}
