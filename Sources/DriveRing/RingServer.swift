import DriveModel
internal import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOPosix

/// Serves the RingService, and takes what a gateway's clients send, on a port of its own: gRPC needs HTTP/2.
public final class RingServer: Sendable {
    /// The longest message that is read.
    static let longestMessage = 8 << 20

    private let server: GRPCServer<HTTP2ServerTransport.Posix>

    /// - Parameters:
    ///   - host: a literal address to listen at.
    ///   - token: what callers must show.
    ///   - certificates: nil: without encryption.
    /// - Throws: where the certificates are not there yet.
    public init(
        host: String, port: Int, token: String, certificates: RingCertificates?, office: any RingOffice,
        eventLoopGroup: MultiThreadedEventLoopGroup
    ) throws {
        let security: HTTP2ServerTransport.Posix.TransportSecurity =
            if let certificates { try .tls(certificateReloader: certificates.reloader) } else { .plaintext }
        let transport = HTTP2ServerTransport.Posix(
            address: host.contains(":") ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port), transportSecurity: security,
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = Self.longestMessage
                config.http2.maxConcurrentStreams = 100
                config.connection.maxIdleTime = .seconds(600)
                // Pings of its own find callers that died.
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(30)
                config.connection.keepalive.clientBehavior.allowWithoutCalls = true
            },
            eventLoopGroup: eventLoopGroup)
        server = GRPCServer(
            transport: transport, services: [RingServiceProvider(office: office), RingHandlerProvider(office: office)],
            interceptors: [BearerGuard(token: token)])
    }

    /// Takes no more calls, and finishes those under way; then `run` returns.
    public func stop() { server.beginGracefulShutdown() }

    /// Serves until it is stopped.
    ///
    /// - Parameter listening: told the address once it is bound, `127.0.0.1:50051`.
    /// - Throws: where the address cannot be bound.
    public func run(listening: @escaping @Sendable (String) -> Void) async throws {
        // Apart: it waits for an address that never comes where the server is stopped before it began.
        let telling = Task { [server] in
            // Fails where the server cannot begin, which says why itself.
            guard let address = try? await server.transport.listeningAddress else { return }
            if let bound = address.ipv4 { listening("\(bound.host):\(bound.port)") }
            if let bound = address.ipv6 { listening("[\(bound.host)]:\(bound.port)") }
        }
        defer { telling.cancel() }
        do {
            try await server.serve()
        } catch let error as RuntimeError {
            // The reason is what it wraps.
            throw error.cause ?? error
        }
    }
}
