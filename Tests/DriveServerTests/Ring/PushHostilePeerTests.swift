import DriveEvents
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization
import Testing

@testable import DriveServer

/// A subscriber may run the service that his address leads to. Whatever it says behind its handshake, nothing falls.
@Suite(.timeLimit(.minutes(1))) struct PushHostilePeerTests {
    /// Frames of HTTP/2 (RFC 9113 section 6).
    enum Speech: String, CaseIterable {
        case goaway, twoSettings, noStreamsThenGoaway, onlyGoaway

        private static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
        private static let farewell: [UInt8] = [0, 0, 8, 7, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        /// SETTINGS_MAX_CONCURRENT_STREAMS.
        private static func streams(_ number: UInt8) -> [UInt8] { [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, number] }

        var bytes: [UInt8] {
            switch self {
            case .goaway: Self.settings + Self.farewell
            case .twoSettings: Self.settings + Self.streams(7)
            case .noStreamsThenGoaway: Self.streams(0) + Self.farewell
            case .onlyGoaway: Self.farewell
            }
        }
    }

    private final class Speaker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let speech: Speech
        private let shaken: @Sendable () -> Void

        init(_ speech: Speech, shaken: @escaping @Sendable () -> Void) {
            self.speech = speech
            self.shaken = shaken
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted? = event as? TLSUserEvent {
                shaken()
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: speech.bytes)), promise: nil)
            }
            context.fireUserInboundEventTriggered(event)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
    }

    private func handshakes(_ speech: Speech, _ policy: PushAddressPolicy, expecting error: PushTransportError) async throws -> Int {
        let folder = try CertificateFolder()
        let certificates = try NIOSSLCertificate.fromPEMFile(folder.certificate)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: folder.key, format: .pem)))
        tls.applicationProtocols = ["h2", "http/1.1"]
        let context = try NIOSSLContext(configuration: tls)
        let count = Mutex(0)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandlers([
                    NIOSSLServerHandler(context: context), Speaker(speech) { count.withLock { $0 += 1 } },
                ])
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let transport = HTTPPushTransport(policy: policy, authorities: certificates, eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        let request = PushRequest(
            url: "https://localhost:\(server.localAddress?.port ?? 0)/p", headers: [], body: Array("body".utf8),
            destination: .untrusted(policy))
        for _ in 0..<2 {
            await #expect(throws: error) { _ = try await transport.send(request) }
        }
        await transport.shutdown()
        try await server.close().get()
        return count.withLock { $0 }
    }

    @Test(arguments: Speech.allCases) func aRefusedPeerBringsNothingDown(_ speech: Speech) async throws {
        _ = try await handshakes(speech, .publicInternet, expecting: .addressRefused)
    }

    /// It is no HTTP/1.1; and it is not asked again and again.
    @Test(arguments: Speech.allCases) func anAllowedPeerIsAskedOnce(_ speech: Speech) async throws {
        #expect(try await handshakes(speech, .any, expecting: .unreachable) == 2)
    }
}
