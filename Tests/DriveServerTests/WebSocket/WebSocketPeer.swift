import NIOCore
import NIOPosix
import Synchronization

/// A client of a WebSocket that sees the bytes the server sends behind the handshake, and can leave them where they are: the
/// system keeps few for it.
final class WebSocketPeer: Sendable {
    private let channel: any Channel
    private let received: AsyncStream<ByteBuffer>
    /// What came and was not asked for yet.
    private let rest = Mutex<[UInt8]>([])

    private init(channel: any Channel, received: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.received = received
    }

    /// Connects, and reads the handshake's answer.
    static func open(port: Int) async throws -> WebSocketPeer {
        let (stream, continuation) = AsyncStream<ByteBuffer>.makeStream()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.socketOption(.so_rcvbuf), value: 4096)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Collector(continuation)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let peer = WebSocketPeer(channel: channel, received: stream)
        try await peer.send(
            Array(
                """
                GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
                """.utf8))
        var head = ""
        while !head.hasSuffix("\r\n\r\n") {
            let next = try await peer.read(1)
            guard !next.isEmpty else { throw TimedOut() }
            head += String(decoding: next, as: UTF8.self)
        }
        guard head.hasPrefix("HTTP/1.1 101 ") else { throw TimedOut() }
        return peer
    }

    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// False leaves everything the server sends in the socket.
    func reads(_ isReading: Bool) async throws { try await channel.setOption(.autoRead, value: isReading).get() }

    /// The next bytes; fewer where the connection ends before, none behind its end. One caller at a time.
    func read(_ count: Int) async throws -> [UInt8] {
        try await within { [self] in
            while rest.withLock({ $0.count < count }) {
                var iterator = received.makeAsyncIterator()
                guard let bytes = await iterator.next() else { break }
                rest.withLock { $0 += bytes.readableBytesView }
            }
            return rest.withLock { rest in
                defer { rest.removeFirst(min(count, rest.count)) }
                return Array(rest.prefix(count))
            }
        }
    }

    func close() async { try? await channel.close() }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<ByteBuffer>.Continuation

        init(_ continuation: AsyncStream<ByteBuffer>.Continuation) {
            self.continuation = continuation
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { continuation.yield(Self.unwrapInboundIn(data)) }

        /// A reset is an end like any other.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
    }
}
