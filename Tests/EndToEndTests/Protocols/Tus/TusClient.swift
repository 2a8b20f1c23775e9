import DriveModel
import Foundation
import Testing

/// An upload that was created.
struct TusUpload: Sendable {
    /// As `Location` gave it.
    var location: String
    /// The path of it.
    var path: String

    /// The last part of the path: the task's id in Drive's own API.
    var id: String { (path as NSString).lastPathComponent }

    /// Throws where the location is not absolute.
    init(location: String) throws {
        let parts = try #require(URLComponents(string: location))
        _ = try #require(parts.scheme, "\(location) is not absolute")
        self.location = location
        path = parts.path
    }
}

/// Speaks tus 1.0.0 to one server as one account, one connection a request, and asks of every answer what every answer owes.
struct TusClient: Sendable {
    static let version = "Tus-Resumable: 1.0.0"
    static let octets = "Content-Type: application/offset+octet-stream"

    let port: Int
    var endpoint = "/api/tus"
    /// The same account in Drive's own API.
    let drive: TestClient
    /// The token that is sent; nil: none.
    var token: String?

    init(port: Int, drive: TestClient) {
        self.port = port
        self.drive = drive
        token = drive.token
    }

    /// A client of the server that all tests share.
    static func shared(_ account: String = "tus", prefix: String = "/api") async throws -> TusClient {
        var client = TusClient(
            port: try await SharedServer.get().port, drive: try await SharedServer.client(account, prefix: prefix))
        client.endpoint = prefix + "/tus"
        return client
    }

    /// A client of a server of the test's own, with an account of its own.
    static func of(_ server: ServerProcess, account: String = "tus") async throws -> TusClient {
        let token = try await server.data.token(account: account)
        return TusClient(port: server.port, drive: TestClient(base: server.base, token: token))
    }

    // MARK: Raw requests

    /// Sends one request and reads its answer to the end of the connection.
    /// - Parameter fields: header lines; a length is added where they tell of none.
    func send(
        _ method: String, _ path: String, _ fields: [String] = [TusClient.version], body: [UInt8] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Reply {
        try await exchange(method, path, fields, body: body, sourceLocation: sourceLocation).reply
    }

    /// The same with the interim answers and the reason.
    func exchange(
        _ method: String, _ path: String, _ fields: [String] = [TusClient.version], body: [UInt8] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> WireAnswer {
        let wire = try HTTPWire(port: port)
        await wire.send(head(method, path, fields + ["Connection: close"], length: body.count) + body)
        let answer = try await wire.answer(to: method)
        let excess = try await wire.readToEnd()
        #expect(excess.isEmpty, "bytes after the answer: \(String(decoding: excess, as: UTF8.self))", sourceLocation: sourceLocation)
        Self.inspect(answer.reply, to: method, fields, sourceLocation: sourceLocation)
        return answer
    }

    /// A request's head with token and length.
    func head(_ method: String, _ path: String, _ fields: [String], length: Int) -> [UInt8] {
        let framed = fields.contains { $0.hasPrefix("Content-Length:") || $0.hasPrefix("Transfer-Encoding:") }
        let bodiless = length == 0 && ["HEAD", "OPTIONS", "GET"].contains(method)
        return HTTPWire.head(
            "\(method) \(path)", port: port, token: token, fields + (framed || bodiless ? [] : ["Content-Length: \(length)"]))
    }

    /// A connection on which a PATCH of `length` bytes has begun, with these of them sent.
    func beginPatch(
        _ upload: TusUpload, at offset: Int, length: Int, sending bytes: [UInt8], fields: [String] = [], patience: Int = 20
    ) async throws -> HTTPWire {
        let wire = try HTTPWire(port: port, patience: patience)
        await wire.send(head("PATCH", upload.path, Self.patchFields(offset) + fields, length: length) + bytes)
        return wire
    }

    static func patchFields(_ offset: Int) -> [String] { [version, octets, "Upload-Offset: \(offset)"] }

    /// What every answer owes, and what none may carry.
    static func inspect(_ reply: Reply, to method: String, _ fields: [String] = [], sourceLocation: SourceLocation) {
        #expect(reply.header("Tus-Resumable") == "1.0.0", "Tus-Resumable: \(reply)", sourceLocation: sourceLocation)
        if let offset = reply.header("Upload-Offset") {
            #expect(offset.wholeMatch(of: /[0-9]+/) != nil, "Upload-Offset: \(offset)", sourceLocation: sourceLocation)
        }
        if reply.status == 204 || method == "HEAD" { #expect(reply.body.isEmpty, "a body: \(reply)", sourceLocation: sourceLocation) }
        guard reply.status >= 400 else { return }
        let isPatch = method == "PATCH" || fields.contains("X-HTTP-Method-Override: PATCH")
        if !isPatch || reply.status != 409 {
            #expect(reply.header("Upload-Offset") == nil, "Upload-Offset with an error: \(reply)", sourceLocation: sourceLocation)
        }
        #expect(reply.header("Location") == nil, "Location with an error: \(reply)", sourceLocation: sourceLocation)
    }

    // MARK: The protocol's requests

    func options(_ path: String? = nil, _ fields: [String] = []) async throws -> Reply {
        try await send("OPTIONS", path ?? endpoint, fields)
    }

    /// The extensions that are announced.
    func extensions() async throws -> [String] {
        try #require(await options().header("Tus-Extension")).components(separatedBy: ",")
    }

    /// A creation with these lines besides the version.
    func create(_ fields: String..., body: [UInt8] = [], sourceLocation: SourceLocation = #_sourceLocation) async throws -> Reply {
        try await send("POST", endpoint, [Self.version] + fields, body: body, sourceLocation: sourceLocation)
    }

    /// A creation that must succeed. `length` nil: deferred.
    func begin(
        _ length: Int?, _ fields: [String] = [], body: [UInt8] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> TusUpload {
        let size = length.map { "Upload-Length: \($0)" } ?? "Upload-Defer-Length: 1"
        return try await made([Self.version, size] + fields, body: body, sourceLocation: sourceLocation)
    }

    /// A partial upload with all its bytes.
    func part(_ text: String, _ fields: [String] = []) async throws -> TusUpload {
        let upload = try await begin(text.utf8.count, ["Upload-Concat: partial"] + fields)
        if !text.isEmpty { try await add(text, to: upload, at: 0) }
        return upload
    }

    /// A final upload that must be created.
    func join(_ parts: [TusUpload], _ fields: [String] = [], sourceLocation: SourceLocation = #_sourceLocation) async throws -> TusUpload {
        try await made(
            [Self.version, "Upload-Concat: final;\(parts.map(\.path).joined(separator: " "))"] + fields, sourceLocation: sourceLocation)
    }

    func patch(
        _ upload: TusUpload, _ offset: Int, _ text: String, _ fields: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Reply {
        try await patch(upload, offset, Array(text.utf8), fields, sourceLocation: sourceLocation)
    }

    func patch(
        _ upload: TusUpload, _ offset: Int, _ bytes: [UInt8], _ fields: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Reply {
        try await send("PATCH", upload.path, Self.patchFields(offset) + fields, body: bytes, sourceLocation: sourceLocation)
    }

    func head(_ upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Reply {
        try await send("HEAD", upload.path, sourceLocation: sourceLocation)
    }

    func delete(_ upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Reply {
        try await send("DELETE", upload.path, sourceLocation: sourceLocation)
    }

    private func made(_ fields: [String], body: [UInt8] = [], sourceLocation: SourceLocation) async throws -> TusUpload {
        let reply = try await send("POST", endpoint, fields, body: body, sourceLocation: sourceLocation)
        try #require(reply.status == 201, "create: \(reply)", sourceLocation: sourceLocation)
        return try TusUpload(location: #require(reply.header("Location"), sourceLocation: sourceLocation))
    }
}
