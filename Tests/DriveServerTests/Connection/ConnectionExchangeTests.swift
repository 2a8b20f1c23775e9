import HTTPTypes
import Hummingbird
import NIOCore
import Testing

@testable import DriveServer

private func addRoutes(_ router: Router<BasicRequestContext>) {
    router.get("hello") { _, _ in "hello" }
    router.post("read") { request, _ in
        var count = 0
        for try await bytes in request.body { count += bytes.readableBytes }
        return "read \(count) \(HTTPExchange.current?.requestTrailers?[.eTag] ?? "-")"
    }
    router.post("refuse") { _, _ in Response(status: .contentTooLarge, body: .init(byteBuffer: ByteBuffer(string: "refused"))) }
    router.post("resumable") { request, _ in
        try await HTTPExchange.current?.writeInformational(.init(code: 104), [.location: "/uploads/1"])
        for try await _ in request.body {}
        return "done"
    }
    router.get("trailers") { _, _ in
        Response(
            status: .ok,
            body: .init { writer in
                try await writer.write(ByteBuffer(string: "body"))
                try await writer.finish([.eTag: "42"])
            })
    }
    router.get("stream") { _, _ in
        Response(
            status: .ok,
            body: .init { writer in
                try await writer.write(ByteBuffer(string: "streamed"))
                try await writer.finish(nil)
            })
    }
}

/// Bytes a client sends at once, and the start of what it gets before the server closes.
struct RefusedRequest: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: String
    let status: Int
    let code: String
    var testDescription: String { name }
}

@Suite struct ConnectionExchangeTests {
    @Test(arguments: [
        RefusedRequest(
            name: "two content lengths", bytes: "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            status: 400,
            code: "INVALID_REQUEST"),
        RefusedRequest(
            name: "length and chunked",
            bytes: "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            status: 400, code: "INVALID_REQUEST"),
        RefusedRequest(
            name: "chunked and length",
            bytes: "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            status: 400, code: "INVALID_REQUEST"),
        RefusedRequest(
            name: "negative length", bytes: "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", status: 400,
            code: "INVALID_REQUEST"),
        RefusedRequest(
            name: "overflowing length", bytes: "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            status: 400,
            code: "INVALID_REQUEST"),
        RefusedRequest(
            name: "unknown transfer encoding", bytes: "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc", status: 501,
            code: "NOT_IMPLEMENTED"),
        RefusedRequest(
            name: "encoding before chunked", bytes: "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            status: 501, code: "NOT_IMPLEMENTED"),
        RefusedRequest(name: "no HTTP", bytes: "hello there\r\n\r\n", status: 400, code: "INVALID_REQUEST"),
        RefusedRequest(name: "no host", bytes: "GET /hello HTTP/1.1\r\n\r\n", status: 400, code: "INVALID_REQUEST"),
        RefusedRequest(name: "two hosts", bytes: "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", status: 400, code: "INVALID_REQUEST"),
        RefusedRequest(
            name: "bad chunk size", bytes: "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", status: 400,
            code: "INVALID_REQUEST"),
        RefusedRequest(
            name: "other version", bytes: "GET /hello HTTP/3.0\r\nHost: a\r\n\r\n", status: 505, code: "HTTP_VERSION_NOT_SUPPORTED"),
        RefusedRequest(
            name: "huge header", bytes: "GET /hello HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 70_000))\r\n\r\n",
            status: 431,
            code: "HEADERS_TOO_LARGE"),
        RefusedRequest(
            name: "many headers",
            bytes: "GET /hello HTTP/1.1\r\nHost: a\r\n\((0..<300).map { "X-\($0): y\r\n" }.joined())\r\n", status: 431,
            code: "HEADERS_TOO_LARGE"),
        RefusedRequest(
            name: "long request line", bytes: "GET /\(String(repeating: "x", count: 70_000)) HTTP/1.1\r\nHost: a\r\n\r\n", status: 431,
            code: "HEADERS_TOO_LARGE"),
    ])
    func refusesWithAnAnswer(_ request: RefusedRequest) async throws {
        // On the pipeline with and without the upgrade handler: before the first head the two differ.
        for upgrade in [nil, WebSocketUpgrade(shouldUpgrade: { _, _ in nil }, install: { _, _ in })] {
            try await withServer(upgrade: upgrade, routes: addRoutes) { server in
                let client = try await server.connect()
                try await client.send(request.bytes)
                let answer = try await client.read()
                #expect(answer.hasPrefix("HTTP/1.1 \(request.status) "), "\(answer)")
                #expect(answer.contains(#""code":"\#(request.code)""#), "\(answer)")
                #expect(answer.contains(#""status":\#(request.status)"#))
                #expect(answer.lowercased().contains("connection: close"))
            }
        }
    }

    @Test func keepsTheConnectionAndAnswersPipelinedRequestsInOrder() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send(
                "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                    + "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabcd")
            let answer = try await client.read()
            let bodies = answer.components(separated: "\r\n\r\n").dropFirst().map { $0.prefix { $0 != "H" } }
            #expect(bodies == ["read 3 -", "hello", "read 4 -"])
        }
    }

    @Test func aClientThatClosedItsSideGetsItsAnswers() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            try await client.channel.close(mode: .output)
            let answer = try await client.read()
            #expect(answer.contains("hello") && answer.contains("streamed"))
        }
    }

    @Test func aCutOffBodyIsNotAWholeOne() async throws {
        let failed = Signal()
        try await withServer { router in
            router.post("read") { request, _ in
                do {
                    for try await _ in request.body {}
                } catch ConnectionError.bodyTruncated {
                    failed.fire()
                }
                return "over"
            }
        } test: { server in
            for mode in [CloseMode.output, .all] {
                let client = try await server.connect()
                try await client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
                try await client.channel.close(mode: mode)
                try await failed.seen()
                await client.close()
            }
        }
    }

    @Test func continueIsSentWhenTheBodyIsAskedFor() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await client.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send("abc")
            #expect(try await client.read(until: "read 3").hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test func anUnwantedBodyIsRefusedBeforeItIsSent() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            let answer = try await client.read()
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
            #expect(answer.hasSuffix("refused"))
            #expect(answer.lowercased().contains("connection: close"))
        }
    }

    @Test func anEarlyAnswerIsReadableWhileTheClientSends() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n")
            let sending = Task {
                let block = ByteBuffer(repeating: 0, count: 64 << 10)
                var sent = 0
                do {
                    while sent < 900_000_000 {
                        try await client.channel.writeAndFlush(block)
                        sent += block.readableBytes
                    }
                } catch {}
                return sent
            }
            let answer = try await client.read(until: "refused")
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
            #expect(answer.lowercased().contains("connection: close"))
            // The rest was not taken: the server closed long before the end of the body.
            #expect(try await within { await sending.value } < 100_000_000)
        }
    }

    /// The client has not looked at the answer yet when the server closes: a reset would throw the answer away.
    @Test func anAnswerSurvivesWhatTheClientStillSends() async throws {
        let answering = Signal()
        try await withServer { router in
            router.post("refuse") { _, _ in
                answering.fire()
                return Response(status: .contentTooLarge, body: .init(byteBuffer: ByteBuffer(string: "refused")))
            }
        } test: { server in
            let client = try await RawClient.connect(port: server.port, isReading: false)
            try await client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n")
            try await answering.seen()
            let block = ByteBuffer(repeating: 0, count: 8 << 10)
            for _ in 0..<100 { try await client.channel.writeAndFlush(block) }
            try await client.channel.setOption(.autoRead, value: true).get()
            #expect(try await client.read().hasSuffix("refused"))
        }
    }

    @Test func aSmallRestIsDrainedAndTheConnectionKept() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
            let answer = try await client.read(until: "refused")
            #expect(!answer.lowercased().contains("connection: close"))
            try await client.send(String(repeating: "x", count: 1000) + "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.read(until: "hello").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func interimResponseThenFinal() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("POST /resumable HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
            let interim = try await client.read(until: "\r\n\r\n")
            #expect(interim.hasPrefix("HTTP/1.1 104 "))
            #expect(interim.contains("Location: /uploads/1"))
            try await client.send("abc")
            #expect(try await client.read(until: "done").hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test func noInterimResponseForHTTP10() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("POST /resumable HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
            let answer = try await client.read()
            #expect(answer.hasPrefix("HTTP/1.0 200 OK"))
            #expect(answer.hasSuffix("done"))
        }
    }

    @Test func aStreamToHTTP10IsNotChunked() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("GET /stream HTTP/1.0\r\n\r\n")
            #expect(try await client.read().hasSuffix("\r\n\r\nstreamed"))
        }
    }

    @Test func trailersBothWays() async throws {
        try await withServer(routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("GET /trailers HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.read(until: "42\r\n\r\n").hasSuffix("4\r\nbody\r\n0\r\nETag: 42\r\n\r\n"))
            try await client.send("POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nETag: 7\r\n\r\n")
            #expect(try await client.read(until: "read 3 7").contains("200 OK"))
        }
    }

    @Test(arguments: [false, true])
    func aRequestThatOffersAnUnknownUpgradeIsAnsweredAndClosed(offersWebSocket: Bool) async throws {
        let upgrade = WebSocketUpgrade(shouldUpgrade: { _, _ in [:] }, install: { _, _ in })
        try await withServer(upgrade: offersWebSocket ? upgrade : nil, routes: addRoutes) { server in
            let client = try await server.connect()
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            let answer = try await client.read()
            #expect(answer.hasSuffix("hello"))
            #expect(answer.lowercased().contains("connection: close"))
        }
    }
}

extension String {
    fileprivate func components(separated mark: String) -> [Substring] {
        split(separator: mark, omittingEmptySubsequences: false)
    }
}
