import DriveModel
import Foundation
import Testing

/// One account on one server, as a client of one interop version of Resumable Uploads for HTTP.
struct ResumableScene: Sendable {
    /// The target that takes uploads.
    static let target = "/api/uploads"

    let port: Int
    let client: TestClient
    /// The value of `Upload-Draft-Interop-Version`; nil: the field is not sent.
    var version: String? = "8"

    /// An account of that name on the server of all tests. Each caller uses a name of its own.
    static func shared(_ account: String, version: String? = "8") async throws -> ResumableScene {
        ResumableScene(port: try await SharedServer.get().port, client: try await SharedServer.client(account), version: version)
    }

    static func on(_ server: ServerProcess, account: String = "a") async throws -> ResumableScene {
        on(server, token: try await server.data.token(account: account))
    }

    static func on(_ server: ServerProcess, token: String) -> ResumableScene {
        ResumableScene(port: server.port, client: TestClient(base: server.base, token: token))
    }

    func speaking(_ version: String?) -> ResumableScene { ResumableScene(port: port, client: client, version: version) }

    func with(token: String?) -> ResumableScene { ResumableScene(port: port, client: client.with(token: token), version: version) }

    var speaksIncomplete: Bool { version == "3" }

    /// The field that says whether an upload is complete, in the version's sense of it.
    func completeness(_ isComplete: Bool) -> String {
        speaksIncomplete ? "Upload-Incomplete: \(isComplete ? "?0" : "?1")" : "Upload-Complete: \(isComplete ? "?1" : "?0")"
    }

    /// What a response says about the completeness; nil where it says nothing in this version's field.
    func completeness(of reply: Reply?) -> Bool? {
        switch reply?.header(speaksIncomplete ? "Upload-Incomplete" : "Upload-Complete") {
        case "?1": !speaksIncomplete
        case "?0": speaksIncomplete
        default: nil
        }
    }

    // MARK: Requests

    /// The head of a request, which asks for a close.
    func head(_ method: String, _ target: String, _ fields: [String], http: String = "HTTP/1.1") -> String {
        var lines = ["\(method) \(target) \(http)", "Host: 127.0.0.1:\(port)", "Connection: close"]
        if let token = client.token { lines.append("Authorization: Bearer \(token)") }
        if let version { lines.append("Upload-Draft-Interop-Version: \(version)") }
        return (lines + fields).joined(separator: "\r\n") + "\r\n\r\n"
    }

    /// Sends a head and as much of the body as is given, and leaves the rest to the caller.
    func open(
        _ method: String, _ target: String, _ fields: [String], sending body: [UInt8] = [], http: String = "HTTP/1.1"
    ) async throws -> ResumableWire {
        let wire = try ResumableWire(port: port, isBodiless: method == "HEAD")
        await wire.send(Array(head(method, target, fields, http: http).utf8) + body)
        return wire
    }

    /// A request with its whole body, and all that comes back.
    /// - Parameter body: nil: none, and no length either.
    func exchange(
        _ method: String, _ target: String, _ fields: [String] = [], body: [UInt8]? = nil, http: String = "HTTP/1.1"
    ) async throws -> ResumableExchange {
        let length = body.map { ["Content-Length: \($0.count)"] } ?? []
        return try await open(method, target, fields + length, sending: body ?? [], http: http).exchange()
    }

    func create(
        _ isComplete: Bool, _ body: [UInt8] = [], _ more: [String] = [], method: String = "POST"
    ) async throws -> ResumableExchange {
        try await exchange(method, Self.target, [completeness(isComplete)] + more, body: body)
    }

    /// An upload that must come into being, incomplete, and its target.
    func begin(
        _ body: [UInt8] = [], _ more: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let created = try await create(false, body, more)
        try #require(created.status == 201, "\(created)", sourceLocation: sourceLocation)
        return try target(in: created.final, sourceLocation: sourceLocation)
    }

    /// A creation whose body is withheld: the connection, and the upload's target from the 104.
    func beginStreaming(
        _ length: Int?, _ more: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> (wire: ResumableWire, upload: String) {
        let framing = length.map { "Content-Length: \($0)" } ?? "Transfer-Encoding: chunked"
        let wire = try await open("POST", Self.target, [completeness(true), framing] + more)
        let first = try await wire.next()
        try #require(first?.status == 104, "\(first.map { "\($0)" } ?? "closed")", sourceLocation: sourceLocation)
        return (wire, try target(in: first, sourceLocation: sourceLocation))
    }

    /// The fields of an append.
    func appending(at offset: Int, _ isComplete: Bool?) -> [String] {
        ["Upload-Offset: \(offset)", "Content-Type: application/partial-upload"] + (isComplete.map { [completeness($0)] } ?? [])
    }

    func patch(
        _ upload: String, at offset: Int, _ isComplete: Bool?, _ body: [UInt8] = [], _ more: [String] = []
    ) async throws -> ResumableExchange {
        try await exchange("PATCH", upload, appending(at: offset, isComplete) + more, body: body)
    }

    /// An append whose body is withheld, at the moment at which the server is reading it: it has sent its 100.
    func patchStreaming(
        _ upload: String, at offset: Int, _ isComplete: Bool, length: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> ResumableWire {
        let wire = try await open(
            "PATCH", upload, appending(at: offset, isComplete) + ["Content-Length: \(length)", "Expect: 100-continue"])
        let first = try await wire.next()
        try #require(first?.status == 100, "\(first.map { "\($0)" } ?? "closed")", sourceLocation: sourceLocation)
        return wire
    }

    /// HEAD on an upload; a connection that ends without a response is an error.
    func retrieve(
        _ upload: String, _ more: [String] = [], method: String = "HEAD", sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Reply {
        try #require(try await exchange(method, upload, more).final, "no response", sourceLocation: sourceLocation)
    }

    func cancel(_ upload: String) async throws -> ResumableExchange { try await exchange("DELETE", upload) }

    /// The offset that HEAD must give.
    func offset(of upload: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Int {
        let reply = try await retrieve(upload, sourceLocation: sourceLocation)
        try #require(reply.status == 204, "\(reply)", sourceLocation: sourceLocation)
        return try #require(reply.header("Upload-Offset").flatMap { Int($0) }, "\(reply.headers)", sourceLocation: sourceLocation)
    }

    /// The target in a `Location`, which must be absolute and of this server.
    func target(in reply: Reply?, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        let location = try #require(reply?.header("Location"), "no Location", sourceLocation: sourceLocation)
        let origin = "http://127.0.0.1:\(port)"
        try #require(location.hasPrefix("\(origin)\(Self.target)/"), "\(location)", sourceLocation: sourceLocation)
        return String(location.dropFirst(origin.count))
    }

    // MARK: What must be so

    /// Fails the test where HEAD shows another state.
    func expectState(
        of upload: String, offset: Int, isComplete: Bool, length: Int? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let reply = try await retrieve(upload, sourceLocation: sourceLocation)
        #expect(reply.status == 204, "\(reply)", sourceLocation: sourceLocation)
        #expect(reply.header("Upload-Offset") == "\(offset)", sourceLocation: sourceLocation)
        #expect(completeness(of: reply) == isComplete, "\(reply.headers)", sourceLocation: sourceLocation)
        if let length { #expect(reply.header("Upload-Length") == "\(length)", sourceLocation: sourceLocation) }
    }

    /// Fails the test where an upload can still be asked for or added to.
    func expectGone(_ upload: String, at offset: Int = 0, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let asked = try await retrieve(upload, sourceLocation: sourceLocation)
        #expect([404, 410].contains(asked.status), "\(asked)", sourceLocation: sourceLocation)
        let added = try await patch(upload, at: offset, true, [1])
        #expect([404, 410].contains(added.status), "\(added)", sourceLocation: sourceLocation)
        let cancelled = try await cancel(upload)
        #expect([404, 410].contains(cancelled.status), "\(cancelled)", sourceLocation: sourceLocation)
    }

    func files() async throws -> [CloudFile] { try await client.get("/files/me").decode() }

    func expectNoFile(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let files = try await files()
        #expect(files.isEmpty, "\(files.map(\.name))", sourceLocation: sourceLocation)
    }

    /// Fails the test where a completing response does not bring the file, or the file is another in Drive's own API.
    @discardableResult
    func expectFile(
        _ content: [UInt8], in exchange: ResumableExchange, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> CloudFile {
        try #require([200, 201].contains(exchange.status), "\(exchange)", sourceLocation: sourceLocation)
        let file: CloudFile = try #require(exchange.final, sourceLocation: sourceLocation).decode(sourceLocation: sourceLocation)
        try await client.expectContent(content, of: file, sourceLocation: sourceLocation)
        let known: CloudFile = try await client.get("/files/\(file.id)/info").decode(sourceLocation: sourceLocation)
        #expect(known == file, sourceLocation: sourceLocation)
        return file
    }

    /// Sends what is missing from an offset on, and expects the file.
    @discardableResult
    func finish(
        _ upload: String, _ content: [UInt8], from offset: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> CloudFile {
        let completed = try await patch(upload, at: offset, true, Array(content[offset...]))
        return try await expectFile(content, in: completed, sourceLocation: sourceLocation)
    }
}

/// The members of an `Upload-Limit`, read by the letter of RFC 9651 (§3.2), where all values are Integers; nil for anything else.
func uploadLimits(_ reply: Reply?) -> [String: Int]? {
    guard let value = reply?.header("Upload-Limit") else { return nil }
    var members: [String: Int] = [:]
    for part in value.split(separator: ",", omittingEmptySubsequences: false) {
        guard let match = part.wholeMatch(of: /[ \t]*([a-z*][a-z0-9_\-.*]*)=(-?[0-9]{1,15})[ \t]*/), let number = Int(match.2) else {
            return nil
        }
        members[String(match.1)] = number
    }
    return members
}
