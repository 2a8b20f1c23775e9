import AsyncHTTPClient
import DriveModel
import Foundation
import NIOCore
import NIOHTTP1

/// One request before it has a server: route, query, fields, body, and who asks.
struct HTTPCall: Sendable {
    enum Authorization: Hashable, Sendable {
        /// The account's token, from the provider.
        case account
        /// A token good for one upload alone.
        case session(String)
    }

    var method: HTTPMethod
    /// Path segments, not encoded.
    var path: [String]
    var query: [(String, String?)] = []
    var headers: [(String, String)] = []
    var body: HTTPClientRequest.Body?
    var authorization: Authorization = .account

    init(_ method: HTTPMethod, _ path: [String], query: [(String, String?)] = []) {
        self.method = method
        self.path = path
        self.query = query
    }

    /// With a JSON body.
    func json(_ value: some Encodable) throws(DriveClientError) -> HTTPCall {
        var call = self
        do {
            call.body = .bytes(ByteBuffer(bytes: try DriveJSON.encoder().encode(value)))
        } catch {
            throw .invalidArgument("The request cannot be written as JSON: \(error)")
        }
        call.headers.append(("Content-Type", "application/json"))
        return call
    }
}

/// A complete reply that was no error.
struct HTTPReply: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var body: ByteBuffer

    /// The body as JSON.
    func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(DriveClientError) -> Value {
        do {
            return try DriveJSON.decoder().decode(type, from: Data(body.readableBytesView))
        } catch {
            throw .invalidReply("status \(status) came without a readable \(type)")
        }
    }

    /// The field `Retry-After` in whole seconds (RFC 9110, section 10.2.3).
    var retryAfter: Int? { HTTPReply.retryAfter(headers) }

    static func retryAfter(_ headers: HTTPHeaders) -> Int? {
        headers.first(name: "Retry-After").flatMap { Int($0) }.map { max(0, $0) }
    }

    /// The error a reply of status 300 and above stands for; a proxy's page becomes one too.
    static func error(status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer) -> DriveClientError {
        let decoded = try? DriveJSON.decoder().decode(ErrorReply.self, from: Data(body.readableBytesView))
        let status = Int(status.code)
        var reply =
            decoded
            ?? ErrorReply(
                code: "HTTP_\(status)", message: "The server answered with status \(status).", status: status, details: [:],
                requestId: nil)
        if decoded == nil, (300..<400).contains(status), let target = headers.first(name: "Location") {
            reply.message = "The server sends its clients elsewhere: \(target.prefix(500)). Use that address."
        }
        reply.status = status
        reply.requestId = reply.requestId ?? headers.first(name: "X-Request-Id")
        return .server(reply, retryAfter: retryAfter(headers))
    }
}
