import Foundation
import TestSupport
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A small HTTP server of 127.0.0.1 inside the test, for what Drive fetches: each path answers what it was told.
///
/// It has its port from the start and refuses connections until ``open()``.
final class KeySetServer: Sendable {
    enum Answer: Sendable {
        case reply(Int, [UInt8], headers: [(String, String)] = [])
        /// Announces a body, sends half of it, and breaks off.
        case half([UInt8])
        /// Takes the request and says nothing.
        case silence

        static func text(_ text: String) -> Answer { .reply(200, Array(text.utf8)) }
    }

    private struct State {
        var answers: [String: Answer] = [:]
        var requests: [String] = []
        var channel: (any Channel)?
    }

    let port: Int
    private let descriptor: Int32
    private let state = Mutex(State())

    init() throws {
        let reserved = try LoopbackPort.reserve()
        port = reserved.number
        descriptor = reserved.descriptor
    }

    deinit {
        // The channel, where there is one, owns the descriptor.
        guard let channel = state.withLock({ $0.channel }) else {
            _ = close(descriptor)
            return
        }
        channel.close(promise: nil)
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    /// What a path answers from now on; nothing was said of a path: `404`.
    func answer(_ path: String, _ answer: Answer) {
        state.withLock { $0.answers[path] = answer }
    }

    /// The paths that were asked for so far.
    var requests: [String] { state.withLock { $0.requests } }

    /// Begins to listen; once.
    func open() async throws {
        guard listen(descriptor, 64) == 0 else { throw CommandFailed(description: "cannot listen") }
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { [self] channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing { [self] in
                    try channel.pipeline.syncOperations.addHandler(Handler { self.taken($0) })
                }
            }
            .withBoundSocket(descriptor).get()
        state.withLock { $0.channel = channel }
    }

    private func taken(_ path: String) -> Answer {
        state.withLock { state in
            state.requests.append(path)
            return state.answers[path] ?? .reply(404, [])
        }
    }

    /// One connection; it ends with its first reply.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let taken: @Sendable (String) -> Answer

        init(taken: @escaping @Sendable (String) -> Answer) { self.taken = taken }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .head(let request) = Self.unwrapInboundIn(data) else { return }
            switch taken(request.uri) {
            case .silence: return
            case .reply(let status, let body, let headers): write(status, body[...], of: body.count, headers, context)
            case .half(let body): write(200, body.prefix(body.count / 2), of: body.count, [], context)
            }
        }

        private func write(
            _ status: Int, _ body: ArraySlice<UInt8>, of length: Int, _ more: [(String, String)], _ context: ChannelHandlerContext
        ) {
            let headers = HTTPHeaders([("Content-Length", "\(length)"), ("Connection", "close")] + more)
            context.write(
                Self.wrapOutboundOut(.head(.init(version: .http1_1, status: .init(statusCode: status), headers: headers))), promise: nil)
            context.write(Self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
            let channel = context.channel
            if body.count == length { context.write(Self.wrapOutboundOut(.end(nil)), promise: nil) }
            // A broken reply never gets its end.
            context.flush()
            channel.close(promise: nil)
        }
    }
}
