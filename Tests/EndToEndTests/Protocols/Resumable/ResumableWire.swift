import DriveModel
import Foundation
import Synchronization

/// One HTTP/1 connection, a byte at a time where a test wants that. Reading and writing do not wait for each other, and every
/// response is seen by itself, interim ones too.
final class ResumableWire: Sendable {
    /// What a socket gave within the time for it.
    private enum Piece {
        case bytes([UInt8])
        case end
        case nothing
    }

    private let descriptor: Int32
    private let reading = DispatchQueue(label: "drive-e2e.resumable.reading")
    private let writing = DispatchQueue(label: "drive-e2e.resumable.writing")
    private let pending = Mutex<[UInt8]>([])
    /// Whether the responses have no body, whatever their fields say: those to HEAD.
    private let isBodiless: Bool

    init(port: Int, isBodiless: Bool = false) throws {
        guard let descriptor = LoopbackSocket.connect(port: port) else { throw LoopbackSocket.Failure(description: "cannot connect") }
        self.descriptor = descriptor
        self.isBodiless = isBodiless
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends everything, unless the server is gone: then its response or its end is what a test looks at.
    func send(_ bytes: [UInt8]) async {
        await on(writing) { _ = LoopbackSocket.send(bytes[...], to: $0) }
    }

    func send(_ text: String) async { await send(Array(text.utf8)) }

    /// Sends the end of the stream; responses can still be read.
    func finishSending() async {
        await on(writing) { _ = shutdown($0, Int32(SHUT_WR)) }
    }

    /// Ends both directions: what the server sends from now on is answered by a reset, as after close(2).
    func cut() async {
        await on(writing) { _ = shutdown($0, Int32(SHUT_RDWR)) }
    }

    /// Breaks the connection off with a reset; what the server has not read is lost.
    func reset() async {
        await on(writing) { descriptor in
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            // The descriptor itself stays ours until deinit.
            var unspecified = sockaddr()
            unspecified.sa_family = sa_family_t(AF_UNSPEC)
            _ = connect(descriptor, &unspecified, socklen_t(MemoryLayout<sockaddr>.size))
        }
    }

    /// The next response, interim or final; nil where the connection ended without one. Throws `TimedOut`.
    func next(within limit: Duration = .seconds(20)) async throws -> Reply? {
        let deadline = ContinuousClock.now + limit
        while true {
            if let reply = pending.withLock({ takeReply(from: &$0, hasEnded: false) }) { return reply }
            switch await read(within: deadline - ContinuousClock.now) {
            case .bytes(let bytes): pending.withLock { $0 += bytes }
            case .end: return pending.withLock { takeReply(from: &$0, hasEnded: true) }
            case .nothing: throw TimedOut(what: "a response")
            }
        }
    }

    /// All responses up to the final one, or up to the end. Throws `TimedOut`.
    func exchange(within limit: Duration = .seconds(20)) async throws -> ResumableExchange {
        var exchange = ResumableExchange()
        while let reply = try await next(within: limit) {
            guard (100..<200).contains(reply.status) else {
                exchange.final = reply
                break
            }
            exchange.interim.append(reply)
        }
        return exchange
    }

    /// Waits until the server has ended the connection, however it did. Throws `TimedOut`.
    func waitForEnd(within limit: Duration) async throws {
        let deadline = ContinuousClock.now + limit
        while true {
            switch await read(within: deadline - ContinuousClock.now) {
            case .bytes(let bytes): pending.withLock { $0 += bytes }
            case .end: return
            case .nothing: throw TimedOut(what: "the end of the connection")
            }
        }
    }

    private func read(within limit: Duration) async -> Piece {
        let (seconds, attoseconds) = max(limit, .zero).components
        let milliseconds = Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
        return await on(reading) { descriptor in
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let ready = poll(&entry, 1, milliseconds)
                if ready < 0 && errno == EINTR { continue }
                guard ready > 0 else { return .nothing }
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count < 0 && errno == EINTR { continue }
                return count > 0 ? .bytes(Array(buffer[..<count])) : .end
            }
        }
    }

    /// Takes the first response off the buffer, once it is whole or nothing more comes.
    private func takeReply(from buffer: inout [UInt8], hasEnded: Bool) -> Reply? {
        guard let end = buffer.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
        let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
        }
        var reply = Reply(status: status, headers: headers, body: [])
        let rest = Array(buffer[end.upperBound...])
        if isBodiless || status < 200 || status == 204 || status == 304 {
            buffer = rest
            return reply
        }
        if let length = reply.header("Content-Length").flatMap({ Int($0) }) {
            guard rest.count >= length || hasEnded else { return nil }
            reply.body = Array(rest.prefix(length))
            buffer = Array(rest.dropFirst(length))
            return reply
        }
        if reply.header("Transfer-Encoding") != nil {
            guard let body = Self.unchunked(rest) else { return nil }
            reply.body = body
            buffer = []
            return reply
        }
        guard hasEnded else { return nil }
        reply.body = rest
        buffer = []
        return reply
    }

    /// The content of a chunked body (RFC 9112 §7.1); nil where it is not whole.
    private static func unchunked(_ bytes: [UInt8]) -> [UInt8]? {
        var rest = bytes[...]
        var content: [UInt8] = []
        while let end = rest.firstRange(of: [13, 10]) {
            guard let size = Int(String(decoding: rest[..<end.lowerBound], as: UTF8.self), radix: 16) else { return nil }
            if size == 0 { return content }
            guard rest.endIndex - end.upperBound >= size + 2 else { return nil }
            content += rest[end.upperBound..<end.upperBound + size]
            rest = rest[(end.upperBound + size + 2)...]
        }
        return nil
    }

    private func on<Result: Sendable>(_ queue: DispatchQueue, _ body: @escaping @Sendable (Int32) -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: body(descriptor)) }
        }
    }
}

/// What came in answer to one request.
struct ResumableExchange: Sendable, CustomStringConvertible {
    var interim: [Reply] = []
    var final: Reply?

    /// The 104s (draft -11 §5).
    var resumptions: [Reply] { interim.filter { $0.status == 104 } }
    var status: Int? { final?.status }

    func header(_ name: String) -> String? { final?.header(name) }

    var description: String {
        let replies = interim + (final.map { [$0] } ?? [])
        return replies.isEmpty ? "closed without a response" : replies.map { "\($0) \($0.headers)" }.joined(separator: " | ")
    }
}

/// A body in the chunked coding (RFC 9112 §7.1).
/// - Parameter isWhole: whether the last chunk, of no bytes, is there.
func chunked(_ bytes: [UInt8], pieces: Int = 4096, isWhole: Bool = true) -> [UInt8] {
    var coded: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: pieces) {
        let piece = bytes[start..<min(start + pieces, bytes.count)]
        coded += Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10]
    }
    return isWhole ? coded + Array("0\r\n\r\n".utf8) : coded
}
