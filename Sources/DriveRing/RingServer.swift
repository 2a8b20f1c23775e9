import DriveModel
internal import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOPosix

/// Serves the RingService, and takes what a gateway's clients send, on a port of its own: gRPC needs HTTP/2.
public final class RingServer: Sendable {
    /// The longest message that is read.
    static let longestMessage = 8 << 20

    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let connections: RingConnections
    private let health: HealthBoard
    private let lookInterval: Duration

    /// - Parameters:
    ///   - host: a literal address to listen at.
    ///   - token: what callers must show.
    ///   - certificates: nil: without encryption.
    ///   - refusedConnection: told the address of a connection that was not let in as there are too many, on an event loop.
    /// - Throws: where the certificates are not there yet.
    public init(
        host: String, port: Int, token: String, certificates: RingCertificates?, office: any RingOffice,
        eventLoopGroup: MultiThreadedEventLoopGroup, limits: RingLimits = RingLimits(),
        refusedConnection: @escaping @Sendable (String?) -> Void = { _ in }
    ) throws {
        let connections = RingConnections(limits: limits, refused: refusedConnection)
        let health = HealthBoard(services: [ServiceDescriptor.ring, .ringHandler])
        let security: HTTP2ServerTransport.Posix.TransportSecurity =
            if let certificates { try .tls(certificateReloader: certificates.reloader) } else { .plaintext }
        let transport = HTTP2ServerTransport.Posix(
            address: host.contains(":") ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port), transportSecurity: security,
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = Self.longestMessage
                config.http2.maxConcurrentStreams = limits.callsPerConnection
                config.connection.maxIdleTime = limits.idleTime
                // The library has no limit of connections, and lets who answers nothing be for ever: it is told of each one here.
                config.channelDebuggingCallbacks.onBindTCPListener = { connections.guardDoor(of: $0) }
                // Our pings find callers that died; theirs are welcome too.
                config.connection.keepalive.time = .seconds(60)
                config.connection.keepalive.timeout = .seconds(20)
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(30)
                config.connection.keepalive.clientBehavior.allowWithoutCalls = true
            },
            eventLoopGroup: eventLoopGroup)
        server = GRPCServer(
            transport: transport,
            services: [
                RingServiceProvider(office: office, patience: limits.messagePatience),
                RingHandlerProvider(office: office, patience: limits.messagePatience),
                HealthProvider(board: health, limits: limits, connections: connections),
            ],
            interceptorPipeline: [
                // Those who ask for a process's health cannot be made to show a token as a rule.
                .apply(
                    BearerGuard(token: token, connections: connections, office: office),
                    to: .allExcluding(services: [], methods: [HealthProvider.check]))
            ])
        self.connections = connections
        self.health = health
        lookInterval = limits.lookInterval
    }

    /// Takes no more calls, and finishes those under way; then `run` returns.
    public func stop() {
        health.stop()
        server.beginGracefulShutdown()
    }

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
        let looking = Task { [connections, lookInterval] in
            while (try? await Task.sleep(for: lookInterval)) != nil { connections.closeOverdue() }
        }
        defer {
            telling.cancel()
            looking.cancel()
        }
        do {
            try await server.serve()
        } catch let error as RuntimeError {
            // The reason is what it wraps.
            throw error.cause ?? error
        }
    }
}
