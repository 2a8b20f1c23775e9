import DriveEvents
import EngineTestSupport
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import DriveServer

/// The transport over real sockets: where a subscriber's address leads is checked on the connection, before a byte is sent (scenario 44).
@Suite(.timeLimit(.minutes(1))) struct PushTransportTests {
    /// A listener that answers everything the same, and counts what came.
    private final class Peer: Sendable {
        let channel: any Channel
        let received = Mutex<[UInt8]>([])
        let connections = Atomic<Int>(0)

        static func with(_ answer: String, _ body: (Peer) async throws -> Void) async throws {
            let box = Mutex<Peer?>(nil)
            let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(answer) { bytes in box.withLock { $0 }?.take(bytes) })
                }
            }
            let peer = Peer(channel: try await bootstrap.bind(host: "127.0.0.1", port: 0).get())
            box.withLock { $0 = peer }
            do {
                try await body(peer)
            } catch {
                try? await peer.channel.close().get()
                throw error
            }
            // A test may have closed it.
            try? await peer.channel.close().get()
        }

        private init(channel: any Channel) { self.channel = channel }

        var port: Int { channel.localAddress?.port ?? 0 }

        /// Nil: a connection.
        private func take(_ bytes: [UInt8]?) {
            guard let bytes else {
                connections.add(1, ordering: .relaxed)
                return
            }
            received.withLock { $0 += bytes }
        }
    }

    private final class Answering: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let answer: String
        private let taken: @Sendable ([UInt8]?) -> Void
        private var request: [UInt8] = []

        init(_ answer: String, taken: @escaping @Sendable ([UInt8]?) -> Void) {
            self.answer = answer
            self.taken = taken
        }

        func channelActive(context: ChannelHandlerContext) {
            taken(nil)
            context.fireChannelActive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            taken(bytes)
            request += bytes
            guard request.suffix(4) == Array("body".utf8)[...] else { return }
            request = []
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        }
    }

    private func with(_ policy: PushAddressPolicy, _ body: (HTTPPushTransport) async throws -> Void) async throws {
        let transport = HTTPPushTransport(policy: policy, authorities: [], eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        do {
            try await body(transport)
        } catch {
            await transport.shutdown()
            throw error
        }
        await transport.shutdown()
    }

    private func request(_ port: Int, host: String = "127.0.0.1", _ destination: PushRequest.Destination) -> PushRequest {
        PushRequest(
            url: "http://\(host):\(port)/p", headers: [PushHeader("x-secret", "secret")], body: Array("body".utf8),
            destination: destination)
    }

    private static let created = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-Word: a\r\n\r\nok"

    @Test func anAllowedPeerGetsTheRequestAndAnswers() async throws {
        try await Peer.with(Self.created) { peer in
            try await with(.any) { transport in
                for destination in [PushRequest.Destination.trusted, .untrusted(.any)] {
                    let response = try await transport.send(request(peer.port, destination))
                    #expect(response.status == 201 && response.body == Array("ok".utf8))
                    #expect(response.headers.contains(PushHeader("x-word", "a")))
                }
            }
        }
    }

    /// Also where a name leads there: what is looked at is the peer.
    @Test(arguments: ["127.0.0.1", "localhost"]) func aPeerThatIsNotAllowedGetsNoByte(_ host: String) async throws {
        try await Peer.with(Self.created) { peer in
            try await with(.publicInternet) { transport in
                for _ in 0..<3 {
                    await #expect(throws: PushTransportError.addressRefused) {
                        _ = try await transport.send(request(peer.port, host: host, .untrusted(.publicInternet)))
                    }
                }
                // The connection is there: it was refused for where it led, not for want of one.
                try await eventually { peer.connections.load(ordering: .relaxed) >= 1 }
                #expect(peer.received.withLock { $0.isEmpty })
            }
        }
    }

    @Test func anotherPolicyThanTheTransportsIsRefused() async throws {
        try await Peer.with(Self.created) { peer in
            try await with(.publicInternet) { transport in
                await #expect(throws: PushTransportError.addressRefused) {
                    _ = try await transport.send(request(peer.port, .untrusted(.any)))
                }
                #expect(peer.connections.load(ordering: .relaxed) == 0)
            }
        }
    }

    @Test func noRedirectIsFollowed() async throws {
        try await Peer.with("HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n") { peer in
            try await with(.any) { transport in
                let response = try await transport.send(request(peer.port, .untrusted(.any)))
                #expect(response.status == 307)
                #expect(peer.connections.load(ordering: .relaxed) == 1)
            }
        }
    }

    @Test func aLongAnswerIsCut() async throws {
        let long = String(repeating: "x", count: 100_000)
        try await Peer.with("HTTP/1.1 400 Bad Request\r\nContent-Length: 100000\r\n\r\n" + long) { peer in
            try await with(.any) { transport in
                let response = try await transport.send(request(peer.port, .trusted))
                #expect(response.status == 400 && response.body.count == PushResponse.maximumBody)
            }
        }
    }

    @Test func nobodyThereIsUnreachable() async throws {
        try await Peer.with("") { peer in
            let port = peer.port
            try await peer.channel.close().get()
            try await with(.any) { transport in
                await #expect(throws: PushTransportError.unreachable) { _ = try await transport.send(request(port, .trusted)) }
            }
        }
    }
}
