import DriveModel
import Foundation
import Testing

/// Requests that no HTTP library would send.
@Suite struct BadWireTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var what: String
        /// The statuses allowed; empty: the server may close without a reply.
        var statuses: [Int]
        var headers: [String]
        var body: @Sendable ([UInt8]) -> [UInt8] = { $0 }
        var halfClose = false
        /// Whether the chunk may be there afterwards.
        var mayBeKept = false
        var testDescription: String { what }
    }

    private static let raw = "Content-Type: application/octet-stream"
    private static let form = Multipart(parts: [])

    static let cases: [Case] = [
        Case(what: "two lengths", statuses: [400], headers: [raw, "Content-Length: 65536", "Content-Length: 65535"]),
        Case(what: "one length twice", statuses: [400], headers: [raw, "Content-Length: 65536", "Content-Length: 65536"]),
        Case(what: "lengths in a list", statuses: [400], headers: [raw, "Content-Length: 65536, 65535"]),
        Case(what: "a length beside chunked", statuses: [400], headers: [raw, "Content-Length: 65536", "Transfer-Encoding: chunked"]),
        Case(what: "a negative length", statuses: [400], headers: [raw, "Content-Length: -1"]),
        Case(what: "a length that is a word", statuses: [400], headers: [raw, "Content-Length: many"]),
        Case(what: "a length above 2^64", statuses: [400, 413], headers: [raw, "Content-Length: 99999999999999999999999"]),
        Case(what: "an unknown coding", statuses: [400, 501], headers: [raw, "Transfer-Encoding: gzip, chunked"]),
        Case(what: "a coding after chunked", statuses: [400, 501], headers: [raw, "Transfer-Encoding: chunked, gzip"]),
        Case(
            what: "a chunk size that is none", statuses: [400], headers: [raw, "Transfer-Encoding: chunked"],
            body: { Array("xyz\r\n".utf8) + $0 }),
        Case(what: "a header without a colon", statuses: [400], headers: [raw, "Nonsense", "Content-Length: 65536"]),
        Case(what: "a space before the colon", statuses: [400], headers: [raw, "Content-Length : 65536"]),
        Case(what: "NUL in a header", statuses: [400], headers: [raw, "X-A: a\0b", "Content-Length: 65536"]),
        Case(
            what: "256 KiB of headers", statuses: [431],
            headers: [raw, "X-A: \(String(repeating: "a", count: 256 << 10))", "Content-Length: 0"]),
        Case(
            what: "a body cut short", statuses: [400], headers: [raw, "Content-Length: 65536"], body: { Array($0.prefix(1000)) },
            halfClose: true),
        Case(
            what: "no body at all", statuses: [400], headers: [raw, "Content-Length: 65536"], body: { _ in [] }, halfClose: true),
        Case(
            what: "a chunked body without its end", statuses: [400], headers: [raw, "Transfer-Encoding: chunked"],
            body: { Array("10000\r\n".utf8) + $0 + Array("\r\n".utf8) }, halfClose: true),
        Case(
            what: "a form cut short", statuses: [400],
            headers: ["Content-Type: \(form.contentType)", "Content-Length: 70000"],
            body: { Array(Multipart(parts: [.file("chunk", $0)]).bytes.prefix(60_000)) }, halfClose: true),
        Case(
            what: "a chunked body that is too long", statuses: [400], headers: [raw, "Transfer-Encoding: chunked"],
            body: { Array("10001\r\n".utf8) + $0 + Array("x\r\n0\r\n\r\n".utf8) }),
        Case(
            what: "a chunked body that is too short", statuses: [400], headers: [raw, "Transfer-Encoding: chunked"],
            body: { Array("ffff\r\n".utf8) + $0.dropLast() + Array("\r\n0\r\n\r\n".utf8) }),
        // The announced length is what counts; what follows is another request, and a bad one.
        Case(
            what: "more bytes than announced", statuses: [200], headers: [raw, "Content-Length: 65536"],
            body: { $0 + Array("GARBAGE".utf8) },
            mayBeKept: true),
    ]

    @Test(arguments: cases) func nothingIsLostOrLeftBehind(_ bad: Case) async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("bad-wire")
        let upload = try await client.begin(bytes(2 * 65_536, seed: UInt64(bad.what.utf8.count)))
        try await client.sendChunks([1], of: upload)
        let request = RawConnection.request(
            "POST /api/files/upload/chunk/\(upload.taskId)/0", token: try #require(client.token), headers: bad.headers,
            body: bad.body(upload.chunk(0)))
        let reply = try await RawConnection.exchange(port: server.port, request, halfClose: bad.halfClose)
        if let reply {
            #expect(bad.statuses.contains(reply.status), "\(reply)")
            if reply.status != 200 { #expect(reply.error != nil || reply.header("Transfer-Encoding") != nil, "\(reply)") }
        } else {
            // Whoever says that it will send nothing more may have closed altogether.
            #expect(bad.halfClose, "closed without a reply")
        }
        let kept = try await client.progress(upload.taskId).chunksUploaded
        #expect(kept == 1 || (bad.mayBeKept && kept == 2), "\(kept)")
        if kept == 1 { try await client.sendChunks([0], of: upload) }
        try await client.expectContent(upload.bytes, of: client.finish(upload.taskId))
    }

    @Test func aConnectionResetInTheMiddleKeepsNothing() async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("bad-wire-reset")
        let upload = try await client.begin(bytes(65_536))
        for length in [0, 1, 30_000, 65_535] {
            let connection = try RawConnection(port: server.port)
            await connection.send(
                RawConnection.request(
                    "POST /api/files/upload/chunk/\(upload.taskId)/0", token: try #require(client.token),
                    headers: [Self.raw, "Content-Length: 65536"], body: Array(upload.chunk(0).prefix(length))))
            await connection.reset()
        }
        #expect(try await client.progress(upload.taskId).chunksUploaded == 0)
        try await client.sendChunks([0], of: upload)
        try await client.expectContent(upload.bytes, of: client.finish(upload.taskId))
    }

    /// A client that asks first is answered before it sends.
    @Test func expect100ContinueIsAnswered() async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("continue")
        let upload = try await client.begin(bytes(65_536))
        let connection = try RawConnection(port: server.port)
        await connection.send(
            RawConnection.request(
                "POST /api/files/upload/chunk/\(upload.taskId)/0", token: try #require(client.token),
                headers: [Self.raw, "Content-Length: 65536", "Expect: 100-continue"]))
        #expect(String(decoding: await connection.readSome(), as: UTF8.self).hasPrefix("HTTP/1.1 100"))
        await connection.send(upload.chunk(0))
        #expect(RawConnection.reply(in: await connection.readToEnd())?.status == 200)
    }

    struct Line: Sendable, CustomTestStringConvertible {
        var bytes: String
        var statuses: [Int]
        var testDescription: String { bytes.debugDescription }
    }

    @Test(
        arguments: [
            Line(bytes: "NONSENSE\r\n\r\n", statuses: [400]),
            Line(bytes: "GET /health/live HTTP/3.7\r\nHost: a\r\n\r\n", statuses: [400, 505]),
            Line(bytes: "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}", statuses: [400]),
            Line(bytes: "GET /\(String(repeating: "a", count: 100_000)) HTTP/1.1\r\nHost: a\r\n\r\n", statuses: [400, 404, 414, 431]),
            Line(bytes: "GET /api/files/../../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", statuses: [400, 401, 404]),
            Line(
                bytes: "GET /api/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                statuses: [400, 401, 404]),
        ]) func aBadHeadIsRefused(_ line: Line) async throws
    {
        let server = try await SharedServer.get()
        let reply = try #require(try await RawConnection.exchange(port: server.port, Array(line.bytes.utf8)))
        #expect(line.statuses.contains(reply.status), "\(reply)")
        #expect(!reply.text.contains("root:"))
    }
}
