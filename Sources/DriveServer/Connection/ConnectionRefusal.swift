import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// An answer the connection itself gives, in the house's error format, before it closes.
struct ConnectionRefusal: Error, Hashable, Sendable {
    let status: Int
    let code: String
    let message: String

    static let requestTimeout = Self(status: 408, code: "REQUEST_TIMEOUT", message: "The request did not arrive in time.")
    static let headersTooLarge = Self(
        status: 431, code: "HEADERS_TOO_LARGE", message: "The request line and header fields exceed the limit.")
    static let unknownTransferEncoding = Self(
        status: 501, code: "NOT_IMPLEMENTED", message: "The only transfer encoding understood here is chunked.")
    static let version = Self(status: 505, code: "HTTP_VERSION_NOT_SUPPORTED", message: "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    static let internalError = Self(status: 500, code: "INTERNAL_ERROR", message: "The request could not be answered.")
    static let tooManyConnections = Self(
        status: 503, code: "TOO_MANY_CONNECTIONS", message: "Too many connections are open; try again later.")

    static func invalid(_ message: String) -> Self {
        Self(status: 400, code: "INVALID_REQUEST", message: message)
    }

    /// The answer to an error of the HTTP parser; other errors are the server's own.
    init(_ error: any Error) {
        self =
            switch error {
            case let refusal as ConnectionRefusal: refusal
            case let error as ConnectionError: error.refusal
            case HTTPParserError.headerOverflow: .headersTooLarge
            case HTTPParserError.invalidVersion: .version
            case HTTPParserError.unexpectedContentLength, HTTPParserError.invalidContentLength:
                .invalid("Content-Length is invalid, repeated, or given beside Transfer-Encoding.")
            case is HTTPParserError: .invalid("The request is not valid HTTP/1.1.")
            default: .internalError
            }
    }

    init(status: Int, code: String, message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// The JSON body. Code and message are plain ASCII of this file, so nothing in them needs escaping.
    var body: ByteBuffer {
        ByteBuffer(string: #"{"code":"\#(code)","details":{},"message":"\#(message)","status":\#(status)}"#)
    }

    func head(version: HTTPVersion) -> HTTPResponseHead {
        let headers: HTTPHeaders = [
            "connection": "close", "content-length": "\(body.readableBytes)", "content-type": "application/json",
        ]
        return HTTPResponseHead(version: version, status: .init(statusCode: status), headers: headers)
    }
}

/// What the reader of a request body, or the writer of an interim response, can run into.
package enum ConnectionError: Error, Hashable, Sendable {
    /// The body stalled or came too slowly.
    case bodyTimedOut(ConnectionCloseReason)
    /// The client went away before the end of the body. The bytes so far are not the whole body.
    case bodyTruncated
    /// Another request took the place of this one.
    case bodyInterrupted
    /// A body or exchange was used after its request had been answered.
    case requestOver
    /// Two tasks read one body at once.
    case concurrentRead

    var refusal: ConnectionRefusal {
        switch self {
        case .bodyTimedOut: .requestTimeout
        case .bodyTruncated: ConnectionRefusal(status: 400, code: "BODY_TRUNCATED", message: "The request body ended early.")
        case .bodyInterrupted:
            ConnectionRefusal(status: 409, code: "UPLOAD_TAKEN_OVER", message: "Another request took the place of this one.")
        case .requestOver, .concurrentRead: .internalError
        }
    }
}

extension ConnectionError: HTTPResponseError {
    package var status: HTTPResponse.Status { .init(code: refusal.status) }

    package func response(from request: Request, context: some RequestContext) throws -> Response {
        Response(status: status, headers: [.contentType: "application/json"], body: .init(byteBuffer: refusal.body))
    }
}
