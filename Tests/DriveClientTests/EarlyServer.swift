import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What becomes of a request once so many bytes of its body came; nothing more of it is read.
struct Interruption: Sendable {
    var after = 0
    /// Bytes for the wire; nil hangs up without a word.
    var answer: [UInt8]?
    /// Hangs up after the answer; else the connection stays, unread.
    var closes = true

    /// An answer in the house's error format; `cut` sends its head alone.
    static func error(_ status: Int, _ code: String, after: Int = 0, closes: Bool = true, cut: Bool = false) -> Interruption {
        guard case .reply(_, _, let body) = errorAnswer(status, code) else { return Interruption(after: after) }
        let headers = closes ? [("Connection", "close")] : []
        return Interruption(after: after, answer: EarlyServer.wire(status, headers, cut ? nil : body, length: body.count), closes: closes)
    }
}

/// An HTTP/1.1 server on 127.0.0.1, over raw bytes, that may answer or hang up while a request's body is still on its way.
/// What it does not interrupt goes to a closure, whole.
final class EarlyServer: Sendable {
    /// A request's head: its line without the query, and how it is interrupted.
    typealias Decision = @Sendable (_ line: String) -> Interruption?
    typealias Answer = @Sendable (ServerRequest) async -> ServerAnswer

    let port: Int
    private let channel: any Channel

    init(interrupting decide: @escaping Decision, otherwise answer: @escaping Answer) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            // Small, so that the client's body cannot hide in it.
            .childChannelOption(.socketOption(.so_rcvbuf), value: 16_384)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(decide, answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    func stop() async { try? await channel.close() }

    static func wire(_ status: Int, _ headers: [(String, String)], _ body: [UInt8]?, length: Int) -> [UInt8] {
        let fields = (headers + [("Content-Length", "\(length)")]).map { "\($0.0): \($0.1)\r\n" }.joined()
        return Array("HTTP/1.1 \(status) X\r\n\(fields)\r\n".utf8) + (body ?? [])
    }

    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let decide: Decision
        private let answer: Answer
        private var received = ByteBuffer()
        /// The request whose body is coming.
        private var request: (head: ServerRequest, length: Int, interruption: Interruption?)?

        init(_ decide: @escaping Decision, _ answer: @escaping Answer) {
            self.decide = decide
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            received.writeBuffer(&part)
            if request == nil { readHead() }
            guard var (head, length, interruption) = request else { return }
            if let interruption, received.readableBytes >= min(interruption.after, length) {
                request = nil
                return interrupt(context.channel, interruption)
            }
            guard interruption == nil, received.readableBytes >= length, let body = received.readBytes(length: length) else { return }
            request = nil
            head.body = body
            Self.respond(to: head, with: answer, on: context.channel)
        }

        private func readHead() {
            guard let end = String(buffer: received).firstRange(of: "\r\n\r\n") else { return }
            let text = String(buffer: received)[..<end.lowerBound]
            received.moveReaderIndex(forwardBy: text.utf8.count + 4)
            let lines = text.split(separator: "\r\n")
            let words = lines[0].split(separator: " ")
            let parts = words[1].split(separator: "?", maxSplits: 1)
            var headers = HTTPHeaders()
            for line in lines.dropFirst() {
                let sides = line.split(separator: ":", maxSplits: 1)
                headers.add(name: String(sides[0]), value: sides.count > 1 ? String(sides[1].drop { $0 == " " }) : "")
            }
            let query = parts.dropFirst().first?.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1) } ?? []
            let head = ServerRequest(
                method: String(words[0]), path: String(parts[0]),
                query: Dictionary(query.map { (String($0[0]), $0.count > 1 ? String($0[1]) : "") }) { $1 }, headers: headers, body: [])
            let length = headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
            request = (head, length, decide("\(head.method) \(head.path)"))
        }

        private func interrupt(_ channel: any Channel, _ interruption: Interruption) {
            _ = channel.setOption(.autoRead, value: false)
            guard let answer = interruption.answer else { return channel.close(promise: nil) }
            let written = channel.writeAndFlush(ByteBuffer(bytes: answer))
            // What came and was not read makes this a reset, right behind the answer.
            if interruption.closes { written.whenComplete { _ in channel.close(promise: nil) } }
        }

        private static func respond(to request: ServerRequest, with answer: @escaping Answer, on channel: any Channel) {
            Task {
                guard case .reply(let status, let headers, let body) = await answer(request) else { return channel.close(promise: nil) }
                try? await channel.writeAndFlush(ByteBuffer(bytes: EarlyServer.wire(status, headers, body, length: body.count)))
            }
        }
    }
}
