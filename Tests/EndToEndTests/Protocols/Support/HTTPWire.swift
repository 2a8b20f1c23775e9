import DriveModel
import Foundation

/// The head of an answer, interim ones (1xx) too.
struct WireHead: Sendable {
    var status: Int
    /// The words behind the status.
    var reason: String
    var headers: [(name: String, value: String)]

    /// The first header of that name.
    func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// A final answer, and the interim ones that came before it.
struct WireAnswer: Sendable {
    var interim: [WireHead]
    var reason: String
    var reply: Reply
}

/// One HTTP/1.1 connection: its requests are sent as the test wants them, byte by byte where it must be; its answers are
/// read one after the other. Sending and reading take turns: whoever reads cannot send meanwhile.
actor HTTPWire {
    struct NoAnswer: Error, CustomStringConvertible {
        let description: String
    }

    private var connection: RawConnection?
    private let patience: Duration
    /// Bytes that came and belong to no answer yet.
    private var rest: [UInt8] = []

    /// - Parameter patience: seconds a read or write may block.
    init(port: Int, patience: Int = 20) throws {
        connection = try RawConnection(port: port, patience: patience)
        self.patience = .seconds(patience)
    }

    /// A request's head as its lines.
    static func head(_ line: String, port: Int, token: String?, _ fields: [String]) -> [UInt8] {
        let lines = ["\(line) HTTP/1.1", "Host: 127.0.0.1:\(port)"] + (token.map { ["Authorization: Bearer \($0)"] } ?? []) + fields
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    /// `body` in chunked coding (RFC 9112 §7.1), `size` bytes a chunk, and the trailer section.
    static func chunked(_ body: [UInt8], by size: Int = 65_536, trailers: [String] = []) -> [UInt8] {
        var coded: [UInt8] = []
        for start in stride(from: 0, to: body.count, by: size) {
            let piece = body[start..<min(start + size, body.count)]
            coded += Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + Array("\r\n".utf8)
        }
        return coded + Array((["0"] + trailers).map { $0 + "\r\n" }.joined().utf8) + Array("\r\n".utf8)
    }

    func send(_ bytes: [UInt8]) async { await connection?.send(bytes) }

    func send(_ text: String) async { await connection?.send(text) }

    /// Sends the end of the stream; answers can still be read.
    func finishSending() async { await connection?.finishSending() }

    /// Breaks the connection off with a reset.
    func reset() async { await connection?.reset() }

    /// Closes the connection, after what was sent.
    func close() { connection = nil }

    /// The next head, an interim one too. Throws ``NoAnswer`` where the connection ends or stays silent.
    func nextHead() async throws -> WireHead {
        while true {
            if let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) {
                let text = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
                rest.removeSubrange(..<end.upperBound)
                return try Self.parse(text)
            }
            try await readMore()
        }
    }

    /// The next final answer with its body, and the interim ones before it.
    /// - Parameter method: that of the request: a `HEAD` is answered without a body.
    func answer(to method: String) async throws -> WireAnswer {
        var interim: [WireHead] = []
        while true {
            let head = try await nextHead()
            if (100..<200).contains(head.status), head.status != 101 {
                interim.append(head)
                continue
            }
            let body = try await body(of: head, to: method)
            return WireAnswer(
                interim: interim, reason: head.reason, reply: Reply(status: head.status, headers: head.headers, body: body))
        }
    }

    /// Everything until the server ends the connection. Throws ``NoAnswer`` where it does not within the patience.
    func readToEnd() async throws -> [UInt8] {
        while try await readSome() {}
        defer { rest = [] }
        return rest
    }

    /// Reads what comes next; false at the end of the connection. Throws ``NoAnswer`` where nothing comes.
    @discardableResult
    func readSome() async throws -> Bool {
        guard let connection else { return false }
        let start = ContinuousClock.now
        let bytes = await connection.readSome()
        rest += bytes
        // A read that gave nothing saw the end, unless it took all the time it had.
        guard bytes.isEmpty, ContinuousClock.now - start >= patience * 0.95 else { return !bytes.isEmpty }
        throw NoAnswer(description: "the server stays silent and keeps the connection")
    }

    private func readMore() async throws {
        guard try await readSome() else {
            throw NoAnswer(description: "the connection ended after \(String(decoding: rest, as: UTF8.self).debugDescription)")
        }
    }

    private func body(of head: WireHead, to method: String) async throws -> [UInt8] {
        if method == "HEAD" || head.status == 204 || head.status == 304 { return [] }
        if head.header("Transfer-Encoding")?.lowercased() == "chunked" { return try await chunkedBody() }
        guard let length = head.header("Content-Length").flatMap({ Int($0) }) else { return try await readToEnd() }
        return try await take(length)
    }

    private func chunkedBody() async throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try await takeLine()
            guard let size = Int(line.prefix { $0 != ";" }, radix: 16) else { throw NoAnswer(description: "no chunk size: \(line)") }
            if size == 0 { break }
            body += try await take(size)
            _ = try await takeLine()
        }
        while try await !takeLine().isEmpty {}
        return body
    }

    private func takeLine() async throws -> String {
        while true {
            if let end = rest.firstRange(of: Array("\r\n".utf8)) {
                defer { rest.removeSubrange(..<end.upperBound) }
                return String(decoding: rest[..<end.lowerBound], as: UTF8.self)
            }
            try await readMore()
        }
    }

    private func take(_ count: Int) async throws -> [UInt8] {
        while rest.count < count { try await readMore() }
        defer { rest.removeFirst(count) }
        return Array(rest[..<count])
    }

    private static func parse(_ text: String) throws -> WireHead {
        let lines = text.components(separatedBy: "\r\n")
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else { throw NoAnswer(description: "no head: \(text)") }
        let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
        }
        return WireHead(status: status, reason: words.count > 2 ? String(words[2]) : "", headers: headers)
    }
}
