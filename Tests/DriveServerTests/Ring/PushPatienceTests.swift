import DriveEvents
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import Testing

@testable import DriveServer

/// A push service that takes the connection and never answers, or never ends its answer, costs the transport's patience and no more.
/// For real: the ways to be silent are waited for side by side.
@Suite(.timeLimit(.minutes(1))) struct PushPatienceTests {
    private static let patience = Duration.seconds(4)

    private enum Silence: String, CaseIterable {
        /// Over HTTP/1.1: nothing; half a head; a head; a body that goes on and on.
        case nothing, halfHead, head, endless
        /// As a subscriber's address.
        case untrusted
        /// No word of TLS.
        case noHandshake
        /// Over HTTP/2 (RFC 9113 section 6): nothing; SETTINGS; the answer's head too.
        case http2Nothing, http2, http2Head

        var isHTTP2: Bool { [.http2Nothing, .http2, .http2Head].contains(self) }
        var isTLS: Bool { isHTTP2 || self == .noHandshake }
        /// Whether it gets as far as that the request is sent.
        var isAsked: Bool { ![.noHandshake, .http2Nothing].contains(self) }

        /// Said before the request.
        var greeting: [UInt8] { self == .http2 || self == .http2Head ? [0, 0, 0, 4, 0, 0, 0, 0, 0] : [] }

        /// Said to it.
        var answer: [UInt8] {
            switch self {
            case .halfHead: Array("HTTP/1.1 201 Created\r\nX-Wo".utf8)
            case .head: Array("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nsome of it".utf8)
            case .endless: Array("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
            // HEADERS that do not end stream 1: `:status: 200` (RFC 7541 appendix A, number 8).
            case .http2Head: [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88]
            case .nothing, .untrusted, .noHandshake, .http2Nothing, .http2: []
            }
        }
    }

    /// How long it took, how it ended, whether the request had come, and over how many connections two of them came.
    private struct Outcome {
        var time: Duration
        var error: (any Error)?
        var isAsked: Bool
        var connections: Int
    }

    private final class Peer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let silence: Silence
        private let asked: @Sendable () -> Void
        private var request: [UInt8] = []
        private var isAnswered = false

        init(_ silence: Silence, asked: @escaping @Sendable () -> Void) {
            self.silence = silence
            self.asked = asked
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted? = event as? TLSUserEvent { write(silence.greeting, context) }
            context.fireUserInboundEventTriggered(event)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            request += Array(unwrapInboundIn(data).readableBytesView)
            guard !isAnswered, String(decoding: request, as: UTF8.self).contains("body") else { return }
            isAnswered = true
            asked()
            write(silence.answer, context)
            guard silence == .endless else { return }
            let channel = context.channel
            // One byte at a time, often enough for any limit between two of them.
            let drip = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(500)) { _ in
                channel.writeAndFlush(ByteBuffer(string: "1\r\nx\r\n"), promise: nil)
            }
            channel.closeFuture.whenComplete { _ in drip.cancel() }
        }

        private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
            if !bytes.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }
        }
    }

    private static func outcome(_ silence: Silence, certificate: NIOSSLCertificate, key: NIOSSLPrivateKey) async throws -> Outcome {
        var tls = TLSConfiguration.makeServerConfiguration(certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
        tls.applicationProtocols = ["h2"]
        let context = try NIOSSLContext(configuration: tls)
        let asked = Mutex(false)
        let connections = Mutex(0)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                connections.withLock { $0 += 1 }
                if silence.isHTTP2 { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) }
                try channel.pipeline.syncOperations.addHandler(Peer(silence) { asked.withLock { $0 = true } })
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let transport = HTTPPushTransport(
            policy: .any, authorities: [certificate], patience: patience, eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        let request = PushRequest(
            url: "\(silence.isTLS ? "https" : "http")://localhost:\(server.localAddress?.port ?? 0)/p", headers: [],
            body: Array("body".utf8), needsHTTP2: silence.isHTTP2, destination: silence == .untrusted ? .untrusted(.any) : .trusted)
        let start = ContinuousClock.now
        var failure: (any Error)?
        do {
            let response = try await transport.send(request)
            Issue.record("\(silence) was an answer: \(response)")
        } catch {
            failure = error
        }
        let time = ContinuousClock.now - start
        // The next one may still meet the connection that is being closed.
        for _ in 0..<(silence == .http2 ? 2 : silence == .http2Head ? 1 : 0) { _ = try? await transport.send(request) }
        await transport.shutdown()
        try await server.close().get()
        return Outcome(time: time, error: failure, isAsked: asked.withLock { $0 }, connections: connections.withLock { $0 })
    }

    @Test func noAnswerIsNotWaitedForWithoutEnd() async throws {
        let folder = try CertificateFolder()
        let certificate = try #require(try NIOSSLCertificate.fromPEMFile(folder.certificate).first)
        let key = try NIOSSLPrivateKey(file: folder.key, format: .pem)
        try await withThrowingTaskGroup(of: (Silence, Outcome).self) { group in
            for silence in Silence.allCases {
                group.addTask { (silence, try await Self.outcome(silence, certificate: certificate, key: key)) }
            }
            for try await (silence, outcome) in group {
                #expect(outcome.isAsked == silence.isAsked, "\(silence): \(outcome)")
                #expect(outcome.error as? PushTransportError == .timedOut, "\(silence): \(outcome)")
                #expect((Self.patience - .seconds(1)..<Self.patience + .seconds(5)).contains(outcome.time), "\(silence): \(outcome)")
                // A connection that was silent all the while is not used again; one that lives is.
                #expect(silence == .http2 ? outcome.connections > 1 : outcome.connections == 1, "\(silence): \(outcome)")
            }
        }
    }
}
