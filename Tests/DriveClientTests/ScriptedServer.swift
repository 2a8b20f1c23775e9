import NIOCore
import NIOHTTP1
import NIOPosix

@testable import DriveClient

/// A request as it came, whole.
struct ServerRequest: Sendable {
    var method: String
    /// Without the query.
    var path: String
    var query: [String: String]
    var headers: HTTPHeaders
    var body: [UInt8]
}

/// What the server does with a request.
enum ServerAnswer: Sendable {
    case reply(status: Int, headers: [(String, String)], body: [UInt8])
    /// Closes the connection without a word.
    case drop
    /// Announces the whole body, sends its beginning, and closes.
    case cut(headers: [(String, String)], body: [UInt8], after: Int)
    /// Sends an event stream piece by piece.
    case stream(AsyncStream<String>, end: StreamEnd)

    /// What comes after the last piece.
    enum StreamEnd: Sendable {
        /// Nothing, until the client goes.
        case silence
        /// The end of the body.
        case end
        /// The connection is closed in the middle of the body.
        case cut
    }

    static func reply(_ status: Int, _ headers: [(String, String)] = [], _ body: String = "") -> ServerAnswer {
        .reply(status: status, headers: headers, body: Array(body.utf8))
    }
}

/// An HTTP/1.1 server on 127.0.0.1 whose every answer a closure decides.
final class ScriptedServer: Sendable {
    let port: Int
    private let channel: any Channel

    init(_ answer: @escaping @Sendable (ServerRequest) async -> ServerAnswer) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Exchange(answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    func stop() async {
        try? await channel.close()
    }

    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let answer: @Sendable (ServerRequest) async -> ServerAnswer
        private var head: HTTPRequestHead?
        private var body: [UInt8] = []

        init(_ answer: @escaping @Sendable (ServerRequest) async -> ServerAnswer) {
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): (self.head, body) = (head, [])
            case .body(let part): body.append(contentsOf: part.readableBytesView)
            case .end: finish(context.channel)
            }
        }

        private func finish(_ channel: any Channel) {
            guard let head else { return }
            let parts = head.uri.split(separator: "?", maxSplits: 1)
            var query: [String: String] = [:]
            for pair in parts.dropFirst().first?.split(separator: "&") ?? [] {
                let sides = pair.split(separator: "=", maxSplits: 1)
                query[String(sides[0])] = sides.count > 1 ? String(sides[1]) : ""
            }
            let request = ServerRequest(
                method: head.method.rawValue, path: String(parts[0]), query: query, headers: head.headers, body: body)
            Self.respond(to: request, with: answer, on: channel)
        }

        private static func respond(
            to request: ServerRequest, with answer: @escaping @Sendable (ServerRequest) async -> ServerAnswer, on channel: any Channel
        ) {
            Task { await send(await answer(request), on: channel) }
        }

        private static func send(_ answer: ServerAnswer, on channel: any Channel) async {
            switch answer {
            case .drop: try? await channel.close()
            case .reply(let status, let headers, let body):
                try? await write(status, headers, body[...], announced: body.count, on: channel)
            case .cut(let headers, let body, let count):
                try? await write(200, headers, body.prefix(count), announced: body.count, on: channel, ends: false)
                try? await channel.close()
            case .stream(let pieces, let end):
                try? await write(pieces, end, on: channel)
            }
        }

        private static func write(_ pieces: AsyncStream<String>, _ end: ServerAnswer.StreamEnd, on channel: any Channel) async throws {
            let headers = HTTPHeaders([("Content-Type", "text/event-stream; charset=utf-8")])
            try await channel.writeAndFlush(HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)))
            for await piece in pieces {
                try await channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: piece))))
            }
            switch end {
            case .silence: try await channel.closeFuture.get()
            case .end: try await channel.writeAndFlush(HTTPServerResponsePart.end(nil))
            case .cut: try await channel.close()
            }
        }

        private static func write(
            _ status: Int, _ headers: [(String, String)], _ body: ArraySlice<UInt8>, announced: Int, on channel: any Channel,
            ends: Bool = true
        ) async throws {
            var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: HTTPHeaders(headers))
            head.headers.replaceOrAdd(name: "Content-Length", value: String(announced))
            try await channel.writeAndFlush(HTTPServerResponsePart.head(head))
            try await channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: body))))
            if ends { try await channel.writeAndFlush(HTTPServerResponsePart.end(nil)) }
        }
    }
}

extension ScriptedServer {
    /// A client of such a server, while `body` runs.
    static func with(
        _ answer: @escaping @Sendable (ServerRequest) async -> ServerAnswer, _ surroundings: ClientSurroundings,
        _ body: (DriveClient) async throws -> Void
    ) async throws {
        let server = try await ScriptedServer(answer)
        let client = DriveClient(
            server: try ServerAddress("http://127.0.0.1:\(server.port)"), surroundings: surroundings, token: { "account-token" })
        let result: Result<Void, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.shutdown()
        await server.stop()
        try result.get()
    }
}
