import AsyncHTTPClient
import DriveModel
import Foundation
import NIOCore
import NIOHTTP1
import Testing

/// A reply with its whole body.
struct Reply: Sendable, CustomStringConvertible {
    var status: Int
    var headers: [(name: String, value: String)]
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var description: String { "\(status) \(text.prefix(500))" }

    /// The first header of that name.
    func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    func decode<Value: Decodable>(_ type: Value.Type = Value.self, sourceLocation: SourceLocation = #_sourceLocation) throws -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(body))
        } catch {
            Issue.record("not a \(Value.self): \(self): \(error)", sourceLocation: sourceLocation)
            throw error
        }
    }

    /// The body as any JSON; null where it is none.
    var json: JSONValue { (try? JSONDecoder().decode(JSONValue.self, from: Data(body))) ?? .null }

    /// The error of the house's format; nil for anything else.
    var error: ErrorReply? { try? JSONDecoder().decode(ErrorReply.self, from: Data(body)) }
}

/// Speaks HTTP to one server as one caller.
struct TestClient: Sendable {
    // As many connections as the widest race has clients.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(10), read: .seconds(60)))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
        configuration.httpVersion = .http1Only
        // A server that was killed is gone at once, not after ten seconds of attempts.
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }()

    let base: String
    var token: String?
    var prefix = "/api"

    func with(token: String?) -> TestClient { TestClient(base: base, token: token, prefix: prefix) }

    /// Sends a request. `path` begins behind the prefix; one that begins with `//` is taken whole, less one slash.
    func send(
        _ method: HTTPMethod, _ path: String, headers: [(String, String)] = [], body: [UInt8]? = nil, limit: TimeAmount = .seconds(60)
    ) async throws -> Reply {
        var request = HTTPClientRequest(url: base + (path.hasPrefix("//") ? String(path.dropFirst()) : prefix + path))
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body { request.body = .bytes(ByteBuffer(bytes: body)) }
        let response = try await Self.http.execute(request, timeout: limit)
        var bytes: [UInt8] = []
        for try await buffer in response.body { bytes += buffer.readableBytesView }
        return Reply(status: Int(response.status.code), headers: response.headers.map { (name: $0.name, value: $0.value) }, body: bytes)
    }

    func get(_ path: String, headers: [(String, String)] = []) async throws -> Reply { try await send(.GET, path, headers: headers) }

    func delete(_ path: String) async throws -> Reply { try await send(.DELETE, path) }

    func send(_ method: HTTPMethod, _ path: String, json: JSONValue, headers: [(String, String)] = []) async throws -> Reply {
        try await send(
            method, path, headers: [("Content-Type", "application/json")] + headers, body: Array(DriveJSON.text(json).utf8))
    }
}

/// Fails the test where a reply is not this refusal in the house's format.
/// - Parameter codes: the codes that are allowed; empty: any.
func expectRefusal(
    _ reply: Reply, _ status: Int, _ codes: String..., comment: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
    let place = "\(comment.isEmpty ? "" : "\(comment): ")\(reply)"
    #expect(reply.status == status, "\(place)", sourceLocation: sourceLocation)
    guard let error = reply.error else {
        Issue.record("not in the error format: \(place)", sourceLocation: sourceLocation)
        return
    }
    if !codes.isEmpty { #expect(codes.contains(error.code), "\(place)", sourceLocation: sourceLocation) }
    #expect(error.status == reply.status, "\(place)", sourceLocation: sourceLocation)
    #expect(!error.message.isEmpty, "\(place)", sourceLocation: sourceLocation)
}
