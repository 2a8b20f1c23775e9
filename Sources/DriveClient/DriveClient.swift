import AsyncHTTPClient
import DriveModel
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// Talks to one Drive server on behalf of one account.
///
/// Each method is one request of the Drive API. `UploadManager` and `Downloader` stand on it for whole files.
/// Call `shutdown()` when it is no longer needed, or use `withClient`.
public final class DriveClient: Sendable {
    /// Gives the account's token, asked before every request; nil where there is none.
    public typealias TokenProvider = @Sendable () async throws -> String?

    public let server: ServerAddress
    let surroundings: ClientSurroundings
    private let token: TokenProvider
    private let http: HTTPClient
    private let ownsHTTP: Bool
    /// Where the own HTTP client does all its work, which bodies are paced by; nil for a shared one.
    let loop: (any EventLoop)?

    /// - Parameters:
    ///   - httpClient: one to share; nil makes an own one that `shutdown()` ends.
    ///   - authorities: trusted beside the system's for an `https` server, by the own HTTP client; a shared one has its own.
    public init(
        server: ServerAddress, httpClient: HTTPClient? = nil, authorities: CertificateAuthorities? = nil,
        surroundings: ClientSurroundings = .system, token: @escaping TokenProvider
    ) {
        self.server = server
        self.surroundings = surroundings
        self.token = token
        self.ownsHTTP = httpClient == nil
        let loop = HTTPClient.defaultEventLoopGroup.any()
        self.loop = httpClient == nil ? loop : nil
        self.http = httpClient ?? HTTPClient(eventLoopGroup: loop, configuration: Self.configuration(authorities))
    }

    private static func configuration(_ authorities: CertificateAuthorities?) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            // Of silence, not of the whole request: a slow network may take its time.
            timeout: .init(connect: .seconds(10), read: .seconds(90), write: .seconds(60)))
        // Parallel chunks over a lossy network want connections of their own, and retries are our own.
        configuration.httpVersion = .http1Only
        if let authorities {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.additionalTrustRoots = [.certificates(authorities.certificates)]
            configuration.tlsConfiguration = tls
        }
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        // Shorter than any server's, so that a request seldom meets a connection that is just being closed.
        configuration.connectionPool.idleTimeout = .seconds(15)
        return configuration
    }

    /// Ends the connections.
    public func shutdown() async {
        guard ownsHTTP else { return }
        // The only errors are requests still under way, and those end with it.
        try? await http.shutdown()
    }

    /// Runs `body` with a client and ends it afterwards.
    public static func withClient<Result: Sendable>(
        server: ServerAddress, authorities: CertificateAuthorities? = nil, surroundings: ClientSurroundings = .system,
        token: @escaping TokenProvider, _ body: (DriveClient) async throws -> Result
    ) async throws -> Result {
        let client = DriveClient(server: server, authorities: authorities, surroundings: surroundings, token: token)
        do {
            let result = try await body(client)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }

    // MARK: Requests

    /// The longest reply that is not a file, in bytes.
    private static let maximumReply = 32 << 20

    /// Sends a request and waits for the whole reply.
    /// - Throws: `.server` for a status of 300 and above, `.network`, `.untrusted`, `.cancelled`.
    func send(_ call: HTTPCall) async throws(DriveClientError) -> HTTPReply {
        let response = try await open(call)
        do {
            let body = try await response.body.collect(upTo: Self.maximumReply)
            return HTTPReply(status: Int(response.status.code), headers: response.headers, body: body)
        } catch {
            throw Task.isCancelled ? .cancelled : failure(of: error)
        }
    }

    /// The same, again after failures that may pass. For requests that may be repeated without harm.
    func send(_ call: HTTPCall, retrying policy: RetryPolicy) async throws(DriveClientError) -> HTTPReply {
        try await retrying(policy) { () async throws(DriveClientError) in try await self.send(call) }
    }

    /// Runs `attempt` until it succeeds, fails for good, or patience ends.
    func retrying<Value: Sendable>(
        _ policy: RetryPolicy, onRetry: (DriveClientError, Duration) -> Void = { _, _ in },
        _ attempt: () async throws(DriveClientError) -> Value
    ) async throws(DriveClientError) -> Value {
        var backoff = Backoff(policy)
        while true {
            let failure: DriveClientError
            do {
                return try await attempt()
            } catch {
                failure = error
            }
            guard let repetition = ReplyMeaning(of: failure).repetition else { throw failure }
            let now = surroundings.monotonic()
            guard let delay = backoff.delay(afterFailureAt: now, retryAfter: repetition.after, jitter: surroundings.jitter()) else {
                throw backoff.end(after: failure, at: now)
            }
            onRetry(failure, delay)
            do { try await surroundings.sleep(delay) } catch { throw .cancelled }
        }
    }

    /// Sends a request and returns when the head of the reply is there; the body is still to be read.
    func open(_ call: HTTPCall) async throws(DriveClientError) -> HTTPClientResponse {
        var request = HTTPClientRequest(url: server.url(call.path, query: call.query))
        request.method = call.method
        request.body = call.body
        for (name, value) in call.headers { request.headers.add(name: name, value: value) }
        request.headers.replaceOrAdd(name: "User-Agent", value: "drive-client-swift")
        if let token = try await token(for: call.authorization) {
            request.headers.replaceOrAdd(name: "Authorization", value: "Bearer \(token)")
        }
        do {
            let response = try await http.execute(request, deadline: .distantFuture)
            guard response.status.code >= 300 else { return response }
            // Of a longer error page, and of an answer given before the request's body was sent whole, after which the server
            // closed, the body may be lost; its status and its fields still count.
            var body = ByteBuffer()
            do { body = try await response.body.collect(upTo: 1 << 20) } catch { if Task.isCancelled { throw error } }
            throw HTTPReply.error(status: response.status, headers: response.headers, body: body)
        } catch let error as DriveClientError {
            throw error
        } catch {
            throw Task.isCancelled ? .cancelled : failure(of: error)
        }
    }

    private func token(for authorization: HTTPCall.Authorization) async throws(DriveClientError) -> String? {
        switch authorization {
        case .session(let token): return token
        case .account:
            do { return try await token() } catch { throw DriveClientError(error) }
        }
    }

    /// A transport error in words; the types behind it are many and not ours.
    func failure(of error: any Error) -> DriveClientError {
        let text = String(describing: error)
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return .untrusted(
                "its authority is not known here, or it has expired; a private authority is named by --ca-file (DRIVE_CA_FILE)")
        }
        if let error = error as? NIOSSLExtraError, [.failedToValidateHostname, .serverHostnameImpossibleToMatch].contains(error) {
            return .untrusted("it is for another host name")
        }
        if text.contains("WRONG_VERSION_NUMBER") {
            return .invalidReply("\(server) does not speak TLS; is it an http:// address?")
        }
        for known in ["Connection refused", "Connection reset by peer", "Network is unreachable", "No route to host", "Broken pipe"]
        where text.contains(known) {
            return .network("\(known.lowercased()) (\(server))")
        }
        if text.contains("remoteConnectionClosed") { return .network("the connection was closed without an answer (\(server))") }
        return .network("\(text.prefix(200)) (\(server))")
    }
}
