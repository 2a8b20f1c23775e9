import DriveModel
import Foundation
import Synchronization
import Testing

/// A WebSocket client without manners: it sends the frames that it is told to, and checks those of the server. It offers no
/// compression unless told to, and reads none.
final class LiveSocket: LiveSource {
    /// The server answered by plain HTTP.
    struct Refused: Error, CustomStringConvertible {
        let reply: Reply
        var description: String { "no WebSocket: \(reply)" }
    }

    /// RFC 6455 §1.3, with the key of its example.
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    static let handshake = [
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: \(key)",
    ]

    /// Offers compression (RFC 7692 §5). What the server sends stays readable while it is short: it compresses from 256 bytes on.
    static let compressingHandshake = handshake + ["Sec-WebSocket-Extensions: permessage-deflate"]

    private let socket: DeadlineSocket
    private let buffer: Mutex<LiveFrameBuffer>

    private init(socket: DeadlineSocket, rest: some Sequence<UInt8>) {
        self.socket = socket
        var buffer = LiveFrameBuffer()
        buffer.append(rest)
        self.buffer = Mutex(buffer)
    }

    // MARK: Opening

    /// Opens a WebSocket. Throws `Refused`.
    ///
    /// - Parameters:
    ///   - target: path and query.
    ///   - token: for the field `Authorization`.
    ///   - fields: the handshake's.
    static func open(
        _ port: Int, _ target: String = "/ws", token: String? = nil, fields: [String] = handshake, receiveBuffer: Int? = nil
    ) async throws -> LiveSocket {
        let socket = try DeadlineSocket(port: port, receiveBuffer: receiveBuffer)
        let authorization = token.map { ["Authorization: Bearer \($0)"] } ?? []
        let lines = ["GET \(target) HTTP/1.1", "Host: 127.0.0.1:\(port)"] + fields + authorization
        await socket.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
        let deadline = ContinuousClock.now + .seconds(20)
        var bytes: [UInt8] = []
        while true {
            let more = try await socket.read(until: deadline)
            guard !more.isEmpty else { throw LiveClosed(code: nil, reason: "", hasFrame: false) }
            bytes += more
            guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { continue }
            let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
            guard head.hasPrefix("HTTP/1.1 101 ") else {
                throw Refused(reply: try await reply(socket, bytes, until: deadline))
            }
            let answer = head.lowercased().components(separatedBy: "\r\n")
            #expect(head.contains(accept) && answer.contains("upgrade: websocket") && answer.contains("connection: upgrade"), "\(head)")
            let extensions = answer.filter { $0.hasPrefix("sec-websocket-extensions") }
            let expected = fields == compressingHandshake ? ["sec-websocket-extensions: permessage-deflate"] : []
            #expect(extensions.map { String($0.prefix { $0 != ";" }) } == expected, "what was asked for: \(head)")
            return LiveSocket(socket: socket, rest: bytes[end.upperBound...])
        }
    }

    /// Opens one that is signed in by its first message, and reads how its stream begins.
    static func signedIn(_ client: TestClient, receiveBuffer: Int? = nil) async throws -> LiveSocket {
        let live = try await open(client.port, receiveBuffer: receiveBuffer)
        await live.signIn(client)
        try await live.begin()
        return live
    }

    /// Reads the rest of a plain reply, which says its length.
    private static func reply(_ socket: DeadlineSocket, _ begun: [UInt8], until deadline: ContinuousClock.Instant) async throws -> Reply {
        var bytes = begun
        while true {
            if let reply = RawConnection.reply(in: bytes), reply.body.count >= Int(reply.header("Content-Length") ?? "0") ?? 0 {
                return reply
            }
            let more = try await socket.read(until: deadline)
            guard !more.isEmpty else { throw LiveClosed(code: nil, reason: "", hasFrame: false) }
            bytes += more
        }
    }

    // MARK: Sending

    func send(_ bytes: [UInt8]) async { await socket.send(bytes) }

    func send(_ frame: LiveFrame) async { await send(frame.encoded()) }

    func send(_ text: String) async { await send(LiveFrame(opcode: LiveFrame.text, payload: Array(text.utf8))) }

    func send(_ packet: JSONValue) async throws { await send(try DriveJSON.text(packet)) }

    func signIn(_ client: TestClient) async { await send(#"{"type":"auth","token":"\#(client.token ?? "")"}"#) }

    // MARK: Reading

    /// The next frame. Throws `LiveClosed` where the connection ended, `TimedOut`, `LiveFrame.Violation`.
    func frame(within limit: Duration = .seconds(20)) async throws -> LiveFrame {
        let deadline = ContinuousClock.now + limit
        while true {
            if let frame = try buffer.withLock({ try $0.next() }) { return frame }
            let bytes = try await socket.read(until: deadline)
            guard !bytes.isEmpty else { throw LiveClosed(code: nil, reason: "", hasFrame: false) }
            buffer.withLock { $0.append(bytes) }
        }
    }

    func packet(within limit: Duration) async throws -> LivePacket {
        let deadline = ContinuousClock.now + limit
        while true {
            let frame = try await frame(within: deadline - .now)
            switch frame.opcode {
            case LiveFrame.text where frame.isFinal: return try LivePacket(json: frame.payload)
            case LiveFrame.ping: await send(LiveFrame(opcode: LiveFrame.pong, payload: frame.payload))
            case LiveFrame.pong: break
            case LiveFrame.close: throw frame.closing
            default: throw LiveFrame.Violation(description: "unexpected frame \(frame)")
            }
        }
    }

    /// Reads on until the server closes.
    ///
    /// - Returns: the close frame, when it came, and the packets before it.
    func closing(
        within limit: Duration = .seconds(20)
    ) async throws -> (close: LiveClosed, at: ContinuousClock.Instant, packets: [LivePacket]) {
        let deadline = ContinuousClock.now + limit
        var packets: [LivePacket] = []
        do {
            while true { packets.append(try await packet(within: deadline - .now)) }
        } catch let close as LiveClosed {
            return (close, .now, packets)
        }
    }

    /// Reads on until the server closes, answers it, and waits for the connection's end.
    ///
    /// - Returns: the close frame, and the packets before it.
    func closed(within limit: Duration = .seconds(20)) async throws -> (close: LiveClosed, packets: [LivePacket]) {
        let deadline = ContinuousClock.now + limit
        let (close, _, packets) = try await closing(within: limit)
        guard close.hasFrame else { return (close, packets) }
        await send(LiveFrame(opcode: LiveFrame.close, payload: close.code.map { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } ?? []))
        // What a server still has under way when it closes may come as a reset: an end as well.
        while try await !socket.read(until: deadline + .seconds(6)).isEmpty {}
        return (close, packets)
    }

    /// Expects the server to close with this code.
    func expectClosed(
        _ code: Int, _ comment: String = "", within limit: Duration = .seconds(20), sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let (close, packets) = try await closed(within: limit)
        #expect(close.code == code, "\(comment) \(close) after \(packets.suffix(3))", sourceLocation: sourceLocation)
    }
}

extension TestClient {
    var port: Int { URLComponents(string: base)?.port ?? 0 }
}
