import AsyncHTTPClient
import DriveEvents
import DriveModel
import NIOCore
import NIOHTTP1
import NIOSSL

/// Sends the push providers' requests. It follows no redirect, takes no proxy, and checks the peer it has connected to where a
/// subscriber chose the address: on each new connection, before the first byte of a request.
final class HTTPPushTransport: PushTransport {
    static let patience = Duration.seconds(15)

    private let policy: PushAddressPolicy
    private let patience: Duration
    /// For addresses that subscribers chose.
    private let guarded: HTTPClient
    private let trusted: HTTPClient
    /// For a provider that speaks HTTP/2 alone: any other connection is given up.
    private let http2: HTTPClient

    /// - Parameters:
    ///   - policy: where subscribers' addresses may lead; a request with another one is refused.
    ///   - authorities: certificates that are trusted beside the system's.
    ///   - patience: for a whole exchange, the answer's body included.
    init(
        policy: PushAddressPolicy, authorities: [NIOSSLCertificate], patience: Duration = HTTPPushTransport.patience,
        eventLoopGroup: any EventLoopGroup
    ) {
        self.policy = policy
        self.patience = patience
        var base = HTTPClient.Configuration(redirectConfiguration: .disallow)
        if !authorities.isEmpty {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.additionalTrustRoots = [.certificates(authorities)]
            base.tlsConfiguration = tls
        }
        base.timeout.connect = .seconds(10)
        // Else a refused connection is tried again until the time is over, and the reason is lost.
        base.connectionPool.retryConnectionEstablishment = false
        func client(_ change: (inout HTTPClient.Configuration) -> Void) -> HTTPClient {
            var configuration = base
            change(&configuration)
            return HTTPClient(eventLoopGroupProvider: .shared(eventLoopGroup), configuration: configuration)
        }
        func watchesForSilence(_ configuration: inout HTTPClient.Configuration) {
            configuration.http2ConnectionDebugInitializer = SilentConnectionWatch.onConnection
            configuration.http2StreamChannelDebugInitializer = SilentConnectionWatch.onStream
        }
        trusted = client(watchesForSilence)
        http2 = client { configuration in
            watchesForSilence(&configuration)
            configuration.http1_1ConnectionDebugInitializer = { Self.giveUp($0, PushTransportError.unreachable) }
        }
        guarded = client { configuration in
            let check: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
                guard let address = channel.remoteAddress?.ipAddress, policy.allows(address) else {
                    return Self.giveUp(channel, PushTransportError.addressRefused)
                }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            configuration.http1_1ConnectionDebugInitializer = check
            // The client's pool trusts those it speaks HTTP/2 with: frames of a connection that is not taken yet end the process,
            // and GOAWAYs make it connect without end.
            configuration.httpVersion = .http1Only
        }
    }

    /// The client does not close a connection that it was told not to use. It is told after the end: the other way round it
    /// would hear of the end of a connection that it knows no more.
    private static func giveUp(_ channel: any Channel, _ error: PushTransportError) -> EventLoopFuture<Void> {
        channel.close(promise: nil)
        return channel.closeFuture.flatMapThrowing { throw error }
    }

    func send(_ request: PushRequest) async throws -> PushResponse {
        let client: HTTPClient
        switch request.destination {
        case .trusted: client = request.needsHTTP2 ? http2 : trusted
        case .untrusted(let policy):
            guard policy == self.policy else { throw PushTransportError.addressRefused }
            client = guarded
        }
        return try await withThrowingTaskGroup(of: PushResponse.self) { [patience] group in
            group.addTask { try await Self.exchange(request, over: client, patience: patience) }
            // The client's own deadline ends with the head of the reply; this one covers the body too.
            group.addTask {
                try await Task.sleep(for: patience)
                throw PushTransportError.timedOut
            }
            defer { group.cancelAll() }
            guard let response = try await group.next() else { throw PushTransportError.timedOut }
            return response
        }
    }

    private static func exchange(_ request: PushRequest, over client: HTTPClient, patience: Duration) async throws -> PushResponse {
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = HTTPMethod(rawValue: request.method)
        for header in request.headers { outgoing.headers.add(name: header.name, value: header.value) }
        outgoing.body = .bytes(request.body)
        do {
            let response = try await client.execute(outgoing, timeout: .nanoseconds(patience.wholeMicroseconds * 1000))
            return PushResponse(
                status: Int(response.status.code), headers: response.headers.map { PushHeader($0.name.lowercased(), $0.value) },
                body: try await body(of: response))
        } catch {
            throw failure(error)
        }
    }

    /// What is behind the bound is dropped, and the connection with it.
    private static func body(of response: HTTPClientResponse) async throws -> [UInt8] {
        var body: [UInt8] = []
        for try await part in response.body {
            body.append(contentsOf: part.readableBytesView.prefix(PushResponse.maximumBody - body.count))
            if body.count >= PushResponse.maximumBody { break }
        }
        return body
    }

    private static func failure(_ error: any Error) -> any Error {
        switch error {
        case let error as PushTransportError: error
        case let error as HTTPClientError where error == .deadlineExceeded || error == .connectTimeout: PushTransportError.timedOut
        case let error as HTTPClientError where error == .cancelled: CancellationError()
        case is CancellationError: error
        default: PushTransportError.unreachable
        }
    }

    /// How long the end of the connections is waited for.
    static let farewell = Duration.seconds(5)

    /// Closes the connections; to be called once, at the end. A peer that will not let go of its one holds nothing up.
    func shutdown() async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let clients = [guarded, trusted, http2]
        // On their own: the wait for a client that does not end cannot be given up otherwise.
        for client in clients {
            Task {
                try? await client.shutdown()
                end.yield()
            }
        }
        let deadline = Task {
            try? await Task.sleep(for: Self.farewell)
            end.finish()
        }
        var ended = 0
        for await _ in ends {
            ended += 1
            if ended == clients.count { break }
        }
        deadline.cancel()
    }
}
