import Foundation
import TestSupport
import Testing

/// A client of Resumable Uploads for HTTP that does, by turns, everything the protocol has, in one version or another, and
/// writes down what it was told.
struct CrashResumableClient: Sendable {
    let client: TestClient
    let port: Int
    let plan: CrashPlan
    let ledger: CrashLedger

    /// nil: without the version's field.
    private static let versions: [String?] = ["3", "5", "6", "7", "8", nil]

    /// One round. Throws where the server is dead, or answered what no fault explains.
    func work(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let version = Self.versions[Int.random(in: 0..<Self.versions.count, using: &generator)]
        let scene = ResumableScene(port: port, client: client, version: version)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0, 1: try await createWhole(stream("whole", seed, &generator), scene, &generator)
        case 2, 3:
            let target = try await begin(stream("appended", seed, &generator), scene, &generator)
            try await send(target, scene, completes: true, &generator)
        case 4:
            let target = try await begin(stream("ended", seed, &generator), scene, &generator)
            try await send(target, scene, completes: false, &generator)
            ledger.note(stream: target.stream.name) { $0.endAsked = true }
            try ledger.expect(try await final(of: scene.cancel(target.path)), "cancel", 204)
            ledger.note(stream: target.stream.name) { $0.isEnded = true }
        default:
            let target = try await begin(stream("open", seed, &generator), scene, &generator)
            try await send(target, scene, completes: false, &generator)
        }
    }

    /// One upload that takes seconds: while it streams the client is told how much is kept.
    func workSlowly(_ seed: UInt64) async throws {
        let stream = CrashStream(.resumable, name: "resumable-slow-\(seed).bin", bytes: bytes(160 * 4096, seed: seed))
        let body = CrashBody(from: 0, of: stream.bytes.count, pieces: 160)
        try await create(stream, body, ResumableScene(port: port, client: client, version: "8"), isChunked: false, pause: .milliseconds(20))
    }

    // MARK: Deeds

    private struct Target {
        var stream: CrashStream
        var path: String
        var offset: Int
    }

    private func stream(_ kind: String, _ seed: UInt64, _ generator: inout SeededGenerator) -> CrashStream {
        let size = Int.random(in: 2...2 * plan.chunkSize, using: &generator)
        return CrashStream(.resumable, name: "resumable-\(kind)-\(seed).bin", bytes: bytes(size, seed: seed))
    }

    private func createWhole(_ stream: CrashStream, _ scene: ResumableScene, _ generator: inout SeededGenerator) async throws {
        let body = CrashBody(from: 0, of: stream.bytes.count, pieces: Int.random(in: 1...8, using: &generator))
        try await create(stream, body, scene, isChunked: Bool.random(using: &generator), pause: .milliseconds(3))
    }

    /// A file in one request.
    private func create(
        _ stream: CrashStream, _ body: CrashBody, _ scene: ResumableScene, isChunked: Bool, pause: Duration
    ) async throws {
        let name = stream.name
        ledger.change { $0.streams[name] = stream }
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(stream.bytes.count)"
        let wire = try await scene.open("POST", ResumableScene.target, [scene.completeness(true), Self.naming(stream), framing])
        if scene.version != nil {
            // From the 104 on the client may resume, so bytes count.
            guard let first = try await wire.next() else { throw Dead() }
            try ledger.expect(first, "the first response to a creation", 104)
            let path = try path(in: first, scene, "104")
            ledger.note(stream: name) { $0.path = path }
        }
        try await body.give(of: stream, ledger: ledger, pause: pause) { piece in
            do {
                // What has come meanwhile; nothing is waited for. Before the last piece that is no final response.
                guard let reply = try await wire.next(within: .zero) else { throw Dead() }
                try progress(reply, of: name)
            } catch is TimedOut {}
            await wire.send(isChunked ? Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10] : piece)
        }
        if isChunked { await wire.send("0\r\n\r\n") }
        try completed(try await wire.exchange(), of: name)
    }

    /// An upload without all its bytes, by turns with some.
    private func begin(_ stream: CrashStream, _ scene: ResumableScene, _ generator: inout SeededGenerator) async throws -> Target {
        let (name, total) = (stream.name, stream.bytes.count)
        let count = Bool.random(using: &generator) ? 0 : Int.random(in: 1..<total, using: &generator)
        var more = [Self.naming(stream)]
        if Bool.random(using: &generator) { more.append("Upload-Length: \(total)") }
        ledger.change { $0.streams[name] = stream }
        ledger.note(stream: name) { $0.sent = count }
        let exchange = try await scene.create(false, Array(stream.bytes[..<count]), more)
        if let first = exchange.resumptions.first {
            let path = try path(in: first, scene, "104")
            ledger.note(stream: name) { $0.path = path }
        }
        for reply in exchange.interim { try progress(reply, of: name) }
        let reply = try final(of: exchange)
        try ledger.expect(reply, "creation", 201)
        let path = try path(in: reply, scene, "creation")
        ledger.note(stream: name) { $0.path = path }
        guard reply.offset == count else { throw ledger.unexpected("creation with \(count) bytes: \(exchange)") }
        return Target(stream: stream, path: path, offset: try ledger.settle(name, at: reply.offset, "creation"))
    }

    /// Appends up to the end, or up to the middle, and asks in between where it stands.
    private func send(_ target: Target, _ scene: ResumableScene, completes: Bool, _ generator: inout SeededGenerator) async throws {
        var target = target
        let total = target.stream.bytes.count
        while target.offset < (completes ? total : total / 2) {
            let body = CrashBody(
                from: target.offset, of: completes ? total : total - 1, most: 2 * plan.chunkSize, using: &generator)
            target.offset = try await append(body, to: target, scene)
            if Int.random(in: 0..<3, using: &generator) == 0, target.offset < total {
                target.offset = try await offset(of: target, scene)
            }
        }
    }

    /// Returns where it stands then.
    private func append(_ body: CrashBody, to target: Target, _ scene: ResumableScene) async throws -> Int {
        let (stream, name) = (target.stream, target.stream.name)
        let isLast = body.range.upperBound == stream.bytes.count
        var fields = scene.appending(at: body.range.lowerBound, isLast) + ["Content-Length: \(body.range.count)"]
        if body.isChecksummed { fields.append("Content-Digest: \(contentDigest(sha256: Array(stream.bytes[body.range])))") }
        if body.breakOff != nil { fields.append("Expect: 100-continue") }
        ledger.note(stream: name) { $0.begin(body.range, isChecksummed: body.isChecksummed) }
        let wire = try await scene.open("PATCH", target.path, fields)
        if body.breakOff != nil {
            guard let first = try await wire.next() else { throw Dead() }
            try ledger.expect(first, "the first response to an append", 100)
        }
        try await body.give(of: stream, ledger: ledger) { await wire.send($0) }
        if body.breakOff != nil {
            await wire.cut()
            return try await offset(of: target, scene)
        }
        let exchange = try await wire.exchange()
        for reply in exchange.interim { try progress(reply, of: name) }
        if isLast {
            try completed(exchange, of: name)
            return stream.bytes.count
        }
        let reply = try final(of: exchange)
        try ledger.expect(reply, "append of \(body.range)", 201, 204)
        guard reply.offset == body.range.upperBound else { throw ledger.unexpected("append of \(body.range): \(exchange)") }
        return try ledger.settle(name, at: reply.offset, "append")
    }

    private func offset(of target: Target, _ scene: ResumableScene) async throws -> Int {
        let reply = try final(of: try await scene.exchange("HEAD", target.path))
        try ledger.expect(reply, "HEAD", 204)
        return try ledger.settle(target.stream.name, at: reply.offset, "HEAD")
    }

    // MARK: Responses

    /// The connection ended without a response: the death that is waited for.
    private struct Dead: Error {}

    private func final(of exchange: ResumableExchange) throws -> Reply {
        guard let reply = exchange.final else { throw Dead() }
        return reply
    }

    /// An offset that is told while the body streams is a promise.
    private func progress(_ reply: Reply, of name: String) throws {
        try ledger.expect(reply, "an interim response", 100, 104)
        guard let offset = reply.offset else { return }
        guard let stream = ledger.all.streams[name], offset <= stream.sent else {
            throw ledger.unexpected("104 with offset \(offset) of \(name)")
        }
        ledger.note(stream: name) { $0.acknowledged = max($0.acknowledged, offset) }
    }

    private func completed(_ exchange: ResumableExchange, of name: String) throws {
        for reply in exchange.interim { try progress(reply, of: name) }
        try ledger.expect(try final(of: exchange), "completion of \(name)", 200, 201)
        ledger.note(stream: name) { stream in
            stream.settle(at: stream.bytes.count)
            stream.isCompleted = true
        }
    }

    private func path(in reply: Reply, _ scene: ResumableScene, _ what: String) throws -> String {
        guard let location = reply.header("Location"), let path = URLComponents(string: location)?.path, !path.isEmpty else {
            throw ledger.unexpected("\(what): no Location: \(reply.headers)")
        }
        return path
    }

    private static func naming(_ stream: CrashStream) -> String { "Content-Disposition: attachment; filename=\"\(stream.name)\"" }
}
