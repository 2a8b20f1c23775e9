import DriveEvents
import DriveModel
import Foundation
internal import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
internal import SwiftProtobuf

/// Calls the RingService of another program.
public final class RingGatewayClient: RingGateway {
    /// No answer within this time is none.
    static let patience = Duration.seconds(15)

    /// Where the distributions keep the certificates that they trust.
    private static let systemAuthorities = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]

    let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let metadata: Metadata

    /// - Parameters:
    ///   - token: sent with each call, as `authorization: Bearer …`.
    ///   - authorities: certificates in PEM that are trusted beside the system's.
    /// - Throws: an error of gRPC where the certificates cannot be used.
    public init(address: RingAddress, token: String?, authorities: [UInt8]?, eventLoopGroup: any EventLoopGroup) throws {
        let security: HTTP2ClientTransport.Posix.TransportSecurity =
            address.isSecure
            ? .tls { tls in
                guard let authorities else { return }
                // The library takes the system's or a list; so the system's stand in the list.
                let system = Self.systemAuthorities.first { FileManager.default.isReadableFile(atPath: $0) }
                tls.trustRoots = .certificates(
                    [.bytes(authorities, format: .pem)] + (system.map { [.file(path: $0, format: .pem)] } ?? []))
            }
            : .plaintext
        let transport = try HTTP2ClientTransport.Posix(
            target: address.target, transportSecurity: security,
            config: .defaults { config in
                config.backoff.max = .seconds(10)
                // A peer that died without a word is noticed while there is something to say.
                config.connection.keepalive = .init(time: .seconds(60), timeout: .seconds(20), allowWithoutCalls: false)
            },
            eventLoopGroup: eventLoopGroup)
        client = GRPCClient(transport: transport)
        metadata = token.map { ["authorization": "Bearer \($0)"] } ?? [:]
    }

    /// Begins no more calls, and finishes those under way; then `run` returns.
    public func stop() { client.beginGracefulShutdown() }

    /// Keeps the connection until it is stopped; calls wait for it.
    public func run() async throws { try await client.runConnections() }

    public func push(_ packet: RingPacket, to user: String) async -> PushOutcome {
        let message = Proto_PushWebSocketPacketRequest.with { message in
            message.userID = user
            message.packet = Proto_WebSocketPacket(packet)
        }
        return await call("PushWebSocketPacket", message)
    }

    public func notify(_ notification: PushNotification, user: String) async -> PushOutcome {
        let message: Proto_SendPushNotificationToUserRequest
        do {
            let content = try Proto_PushNotification(notification)
            message = .with { message in
                message.userID = user
                message.notification = content
            }
        } catch {
            return .refused(reason: "unencodable")
        }
        return await call("SendPushNotificationToUser", message)
    }

    private func call(_ method: String, _ message: some SwiftProtobuf.Message) async -> PushOutcome {
        var options = CallOptions.defaults
        options.timeout = Self.patience
        do {
            try await client.call(ServiceDescriptor.ring.unary(method), message, metadata: metadata, options: options)
            return .delivered
        } catch {
            return RingStatus.outcome(of: error)
        }
    }
}
