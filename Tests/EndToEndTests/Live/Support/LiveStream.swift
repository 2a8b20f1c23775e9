import DriveModel
import Foundation
import Synchronization

/// A client of Server-Sent Events (WHATWG HTML §9.2), which reads the chunks of the body (RFC 9112 §7.1) by hand.
final class LiveStream: LiveSource {
    /// Blocks of text, of which each but comments is an event.
    private struct State {
        var raw: [UInt8] = []
        var text: [UInt8] = []
        var hasEnded = false
    }

    let fields: Reply
    private let socket: DeadlineSocket
    private let state: Mutex<State>

    private init(socket: DeadlineSocket, head: Reply) {
        self.socket = socket
        fields = head
        state = Mutex(State(raw: head.body))
    }

    /// Opens a stream. Throws `LiveSocket.Refused` where the answer is not 200.
    static func open(
        _ port: Int, _ target: String = "/api/events", token: String? = nil, fields: [String] = [], receiveBuffer: Int? = nil
    ) async throws -> LiveStream {
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
            guard let reply = RawConnection.reply(in: bytes) else { continue }
            if reply.status == 200 { return LiveStream(socket: socket, head: reply) }
            if reply.body.count >= Int(reply.header("Content-Length") ?? "0") ?? 0 { throw LiveSocket.Refused(reply: reply) }
        }
    }

    /// The next block as it stands, without the blank line behind it; nil at the end of the stream. Throws `TimedOut`,
    /// `LiveClosed` where the connection broke off.
    func block(within limit: Duration = .seconds(20)) async throws -> String? {
        let deadline = ContinuousClock.now + limit
        while true {
            if let block = state.withLock({ Self.nextBlock(&$0) }) { return block }
            if state.withLock({ $0.hasEnded }) { return nil }
            let bytes = try await socket.read(until: deadline)
            guard !bytes.isEmpty else { throw LiveClosed(code: nil, reason: "", hasFrame: false) }
            state.withLock { $0.raw += bytes }
        }
    }

    func packet(within limit: Duration) async throws -> LivePacket {
        let deadline = ContinuousClock.now + limit
        while true {
            guard let block = try await block(within: deadline - .now) else { throw LiveClosed(code: nil, reason: "end of the stream") }
            if block.hasPrefix(":") { continue }
            var (id, type, data): (Int64?, String?, String?) = (nil, nil, nil)
            for line in block.split(separator: "\n") {
                if line.hasPrefix("id: ") { id = Int64(line.dropFirst(4)) }
                if line.hasPrefix("event: ") { type = String(line.dropFirst(7)) }
                if line.hasPrefix("data: ") { data = String(line.dropFirst(6)) }
            }
            guard let type, let data, block.split(separator: "\n").count == (id == nil ? 2 : 3) else {
                throw LiveFrame.Violation(description: "no event: \(block)")
            }
            return LivePacket(type: type, sequence: id, data: try JSONDecoder().decode(JSONValue.self, from: Data(data.utf8)))
        }
    }

    private static func nextBlock(_ state: inout State) -> String? {
        while !state.hasEnded, let end = state.raw.firstRange(of: [13, 10]) {
            let size = Int(String(decoding: state.raw[..<end.lowerBound], as: UTF8.self), radix: 16) ?? 0
            guard state.raw.count >= end.upperBound + size + 2 else { break }
            if size == 0 { state.hasEnded = true }
            state.text += state.raw[end.upperBound..<(end.upperBound + size)]
            state.raw.removeFirst(end.upperBound + size + 2)
        }
        guard let end = state.text.firstRange(of: [10, 10]) else { return nil }
        let block = String(decoding: state.text[..<end.lowerBound], as: UTF8.self)
        state.text.removeFirst(end.upperBound)
        return block
    }
}
