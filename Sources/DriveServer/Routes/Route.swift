import DriveEvents
import DriveModel
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// One route: what it answers to, who may call it, and what it does. The table of all of them (`RouteTable`) feeds the
/// router, the access matrix of the tests, and the check of the OpenAPI document.
struct Route: Sendable {
    /// Who may call.
    enum Access: String, Sendable {
        /// Anybody.
        case open
        /// Any account.
        case account
        /// The account, or the session token of the upload whose id is in the path.
        case upload
        /// Any account, or a worker token.
        case work
        /// Any account, whose token may stand in the query: browsers can say it nowhere else when they open a stream.
        case stream
        /// As `stream`, and without a token too: it may come in the first message, so the request's form is judged first.
        case webSocket
        /// Administrators.
        case admin
    }

    let method: HTTPRequest.Method
    /// Below the prefix, with `{name}` for parameters, as OpenAPI writes it.
    let path: String
    let access: Access
    let handle: @Sendable (Call) async throws -> Response

    init(
        _ method: HTTPRequest.Method, _ path: String, _ access: Access, _ handle: @escaping @Sendable (Call) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.handle = handle
    }
}

/// One request on its way through its route.
struct Call: Sendable {
    let request: Request
    let services: Services
    let parameters: Parameters
    let requestId: String
    let origin: ClientOrigin
    let logger: Logger
    /// nil on open routes.
    let identity: Identity?

    /// On whose behalf. Throws `UNAUTHENTICATED` on a route that asked for nobody.
    var caller: Caller {
        get throws(DriveError) {
            guard let identity else { throw DriveError(.unauthenticated, "This route asks for a token.") }
            return Caller(
                accountId: identity.accountId, role: identity.role, address: "\(origin.address)", requestId: requestId)
        }
    }

    var account: UUID { get throws(DriveError) { try caller.accountId } }

    var actor: AuditActor {
        AuditActor(accountId: identity?.accountId, address: "\(origin.address)", requestId: requestId)
    }

    // MARK: Parts of the request

    /// A path parameter's text.
    func parameter(_ name: String) throws(DriveError) -> String {
        guard let value = parameters.get(name) else { throw DriveError(.notFound, "There is nothing at this address.") }
        return value
    }

    /// A path parameter that is a UUID; anything else is nobody's id.
    func identifier(_ name: String) throws(DriveError) -> UUID {
        guard let id = UUID(uuidString: try parameter(name)) else {
            throw DriveError(.notFound, "There is nothing with this id.", details: ["rule": .string(name)])
        }
        return id
    }

    func query(_ name: String) -> String? {
        request.uri.queryParameters[Substring(name)].map(String.init)
    }

    /// A whole number from the query within bounds.
    func query(_ name: String, default value: Int, in range: ClosedRange<Int>) throws(DriveError) -> Int {
        guard let text = query(name) else { return value }
        guard let number = Int(text), range.contains(number) else {
            throw DriveError(
                .invalidRequest, "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound).",
                details: ["rule": .string(name)])
        }
        return number
    }

    func query(_ name: String, default value: Bool) throws(DriveError) -> Bool {
        switch query(name)?.lowercased() {
        case nil: return value
        case "true", "1", "": return true
        case "false", "0": return false
        default: throw DriveError(.invalidRequest, "\(name) must be true or false.", details: ["rule": .string(name)])
        }
    }

    func queryUUID(_ name: String) throws(DriveError) -> UUID? {
        guard let text = query(name), !text.isEmpty else { return nil }
        guard let id = UUID(uuidString: text) else {
            throw DriveError(.invalidRequest, "\(name) must be a UUID.", details: ["rule": .string(name)])
        }
        return id
    }

    func queryTime(_ name: String) throws(DriveError) -> Timestamp? {
        guard let text = query(name), !text.isEmpty else { return nil }
        // A plus sign of an offset arrives as a space.
        guard let time = Timestamp(text) ?? Timestamp(text.replacing(" ", with: "+")) else {
            throw DriveError(
                .invalidRequest, "\(name) must be a date and time such as 2026-01-31T12:00:00Z.", details: ["rule": .string(name)])
        }
        return time
    }

    /// One of an enumeration's words, in any case.
    func query<Value: RawRepresentable<String> & CaseIterable>(_ name: String, as type: Value.Type) throws(DriveError) -> Value? {
        guard let text = query(name), !text.isEmpty else { return nil }
        guard let value = Value.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() }) else {
            let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw DriveError(.invalidRequest, "\(name) must be one of \(words).", details: ["rule": .string(name)])
        }
        return value
    }

    /// The largest JSON body a route takes.
    static let maximumJSONBytes = 1 << 20

    /// The JSON body. Throws `INVALID_REQUEST` naming the field, `PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`.
    func json<Value: Decodable>(_ type: Value.Type = Value.self) async throws -> Value {
        if let contentType = request.headers[.contentType], !contentType.lowercased().contains("json") {
            throw DriveError(.unsupportedMediaType, "This route takes a JSON body (Content-Type: application/json).")
        }
        let body = Data(try await request.body.collect(upTo: Self.maximumJSONBytes).readableBytesView)
        do {
            let value = try DriveJSON.requestDecoder().decode(type, from: body)
            try StoredText.check(body)
            return value
        } catch let error as DecodingError {
            throw JSONFault.driveError(error, body: body) { _ = try DriveJSON.requestDecoder().decode(type, from: $0) }
        }
    }

    // MARK: Replies

    func reply(_ value: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) throws -> Response {
        var headers = headers
        headers[.contentType] = "application/json; charset=utf-8"
        headers[.cacheControl] = headers[.cacheControl] ?? "no-store"
        return Response(
            status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: try DriveJSON.encoder().encode(value))))
    }

    /// A page of a list: an array, and the total in `X-Total`.
    func reply<Item: Encodable>(page items: [Item], total: Int) throws -> Response {
        try reply(items, headers: [Fields.total: String(total)])
    }
}

/// Field names that HTTPTypes does not have.
enum Fields {
    static let total = HTTPField.Name(known: "X-Total")
    static let requestId = HTTPField.Name(known: "X-Request-Id")
    static let idempotencyKey = HTTPField.Name(known: "Idempotency-Key")
    static let contentDigest = HTTPField.Name(known: "Content-Digest")
}

extension HTTPField.Name {
    /// A name that is a literal of ours; a name that were not valid shows in every test that reads the field.
    init(known name: String) {
        self = HTTPField.Name(name) ?? .accept
    }
}
