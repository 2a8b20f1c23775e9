import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ServiceLifecycle
import Testing

@testable import DriveServer

struct TimedOut: Error {}

/// Bounds a wait for an event. The bound is only reached where the test fails.
func within<Value: Sendable>(_ limit: Duration = .seconds(10), _ operation: @escaping @Sendable () async throws -> Value) async throws
    -> Value
{
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw TimedOut()
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw TimedOut() }
        return value
    }
}

/// One event that a test waits for.
struct Signal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    func fire() { continuation.yield() }

    /// Returns at once where the task is cancelled.
    func wait() async { for await _ in stream { return } }

    func seen() async throws {
        try await within {
            await self.wait()
            try Task.checkCancellation()
        }
    }
}

struct RunningServer: Sendable {
    let port: Int
    let registry: ConnectionRegistry
    let services: ServiceGroup
    /// The whole server has stopped.
    let stopped: Signal

    func connect(tls: NIOSSLContext? = nil) async throws -> RawClient {
        try await RawClient.connect(port: port, tls: tls)
    }
}

/// Runs a real server on a free port of 127.0.0.1 for the time of `test`.
func withServer(
    _ policy: ConnectionPolicy = ConnectionPolicy(),
    tls: TLSContextSource? = nil,
    upgrade: WebSocketUpgrade? = nil,
    routes: (Router<BasicRequestContext>) -> Void,
    test: @escaping @Sendable (RunningServer) async throws -> Void
) async throws {
    let router = Router()
    routes(router)
    let registry = ConnectionRegistry()
    let (ports, running) = AsyncStream<Int>.makeStream()
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let application = Application(
        router: router,
        server: .drive(policy: policy, tls: tls, registry: registry, upgrade: upgrade),
        configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        onServerRunning: { running.yield($0.localAddress?.port ?? 0) },
        logger: logger
    )
    let services = ServiceGroup(configuration: .init(services: [application], logger: logger))
    let stopped = Signal()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            try await services.run()
            stopped.fire()
        }
        var iterator = ports.makeAsyncIterator()
        guard let port = await iterator.next() else { throw TimedOut() }
        let failure: (any Error)?
        do {
            try await test(RunningServer(port: port, registry: registry, services: services, stopped: stopped))
            failure = nil
        } catch {
            failure = error
        }
        registry.closeAll()
        // A failed test must end, whatever its handlers are waiting for.
        if failure != nil { group.cancelAll() }
        await services.triggerGracefulShutdown()
        do {
            try await group.waitForAll()
        } catch  where failure != nil {}
        if let failure { throw failure }
    }
}

/// A client that sees bytes: what the server sends, and how the connection ends.
final class RawClient: Sendable {
    let channel: any Channel
    private let received: AsyncThrowingStream<ByteBuffer, any Error>

    private init(channel: any Channel, received: AsyncThrowingStream<ByteBuffer, any Error>) {
        self.channel = channel
        self.received = received
    }

    /// `isReading` false leaves everything the server sends in the socket.
    static func connect(port: Int, tls: NIOSSLContext? = nil, isReading: Bool = true) async throws -> RawClient {
        let (stream, continuation) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: isReading)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: tls, serverHostname: nil)) }
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation: continuation))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return RawClient(channel: channel, received: stream)
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    /// Everything up to the end of the connection, or until `enough` says so of what has come.
    func read(until enough: @escaping @Sendable (String) -> Bool = { _ in false }) async throws -> String {
        try await within {
            var text = ""
            for try await bytes in self.received {
                text += String(buffer: bytes)
                if enough(text) { break }
            }
            return text
        }
    }

    func read(until mark: String) async throws -> String {
        try await read { $0.contains(mark) }
    }

    func close() async { try? await channel.close() }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation

        init(continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation) {
            self.continuation = continuation
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(Self.unwrapInboundIn(data))
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { continuation.finish() }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            continuation.finish(throwing: error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
    }
}
