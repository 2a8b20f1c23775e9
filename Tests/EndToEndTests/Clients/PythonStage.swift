import DriveModel
import Foundation
import Testing

/// A file to upload, an account of its own, and a network that can break between client and server.
struct PythonStage: Sendable {
    /// Bytes that pass before the network breaks. The file is larger than this and all buffers on the way.
    static let passing = 8 << 20
    static let large = 32 << 20
    /// More than the heads of all requests of one upload.
    static let heads = 64 << 10

    let client: PythonClient
    let tus: TusClient
    let token: String
    let folder: String
    let content: [UInt8]
    let proxy: LoopbackProxy

    var file: String { folder + "/content.bin" }
    /// Past the proxy, so that every byte is counted.
    var endpoint: String { proxy.base + tus.endpoint }

    static func with(
        _ client: PythonClient, account: String, size: Int, prefix: String = "/api", _ body: (PythonStage) async throws -> Void
    ) async throws {
        let tus = try await TusClient.shared(account, prefix: prefix)
        let folder = try TemporaryFolder.make(account)
        defer { TemporaryFolder.remove(folder) }
        let proxy = try LoopbackProxy(to: tus.port)
        defer { proxy.close() }
        let seed = account.utf8.reduce(UInt64(size)) { $0 &* 31 &+ UInt64($1) }
        let stage = PythonStage(
            client: client, tus: tus, token: try #require(tus.token), folder: folder, content: bytes(size, seed: seed), proxy: proxy)
        try Data(stage.content).write(to: URL(fileURLWithPath: stage.file))
        try await body(stage)
    }

    func run(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws -> PythonClient.Report {
        try await client.run(arguments, token: token, sourceLocation: sourceLocation)
    }

    /// Fails the test where the report's upload is not the account's only file, with the content of the file.
    @discardableResult
    func expectFile(_ report: PythonClient.Report, sourceLocation: SourceLocation = #_sourceLocation) async throws -> CloudFile {
        let upload = try TusUpload(location: report.url)
        try await tus.expectOffset(content.count, of: upload, sourceLocation: sourceLocation)
        let file = try await tus.file(of: upload, sourceLocation: sourceLocation)
        let download = try await tus.drive.get("/files/\(file.id)")
        // By their hashes: a failure with two large contents would take minutes to print.
        let hash = sha256(content)
        #expect(sha256(download.body) == hash, "\(download.status), \(download.body.count) bytes", sourceLocation: sourceLocation)
        #expect(file.hash == hash && file.size == Int64(content.count), "\(file)", sourceLocation: sourceLocation)
        try await expectFiles(1, sourceLocation: sourceLocation)
        return file
    }

    func expectFiles(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        #expect(try await tus.drive.get("/files/me").header("X-Total") == "\(count)", sourceLocation: sourceLocation)
    }

    /// Starts the client and kills it with -9 in the middle of its first body. Returns when Drive has all that passed.
    func killInBody(_ arguments: String...) async throws {
        let held = proxy.hold(.up, after: Self.passing)
        let errors = folder + "/errors"
        let child = try client.start(arguments, token: token, errorPath: errors)
        defer { child.killGroup() }
        do {
            try await within(.seconds(30), "the bytes that pass") { try await held.value() }
        } catch {
            throw CommandFailed(description: "\(error) (\(child.ended.map { "\($0)" } ?? "it runs"))\n\(DriveCommand.text(errors))")
        }
        child.send(SIGKILL)
        #expect(try await child.wait(atMost: .seconds(10)) == .signalled(SIGKILL))
        proxy.cut()
        // Drive's own list ends no request, as a HEAD would.
        try await eventually(within: .seconds(20), "the bytes that passed") {
            let uploads: [UploadSummary] = try await tus.drive.get("/files/upload/tasks").decode()
            return try #require(uploads.first).bytesUploaded >= Int64(Self.passing - Self.heads)
        }
    }

    /// Runs the client, and breaks its connection once in the middle of its first body. It must notice and go on by itself.
    func runThroughBreak(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws -> PythonClient.Report {
        let held = proxy.hold(.up, after: Self.passing)
        async let running = client.run(arguments, token: token, sourceLocation: sourceLocation)
        try await within(.seconds(30), "the bytes that pass") { try await held.value() }
        proxy.cut()
        let report = try await running
        #expect(
            proxy.passed(.up) < Self.passing + content.count, "it began anew: \(proxy.passed(.up))", sourceLocation: sourceLocation)
        return report
    }

    /// Runs the client on an upload that was broken off by ``killInBody(_:)``; it must send what Drive lacks and no more.
    func runOn(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws -> PythonClient.Report {
        let before = proxy.passed(.up)
        let report = try await client.run(arguments, token: token, sourceLocation: sourceLocation)
        let found = try #require(report.found, "it knew of no upload", sourceLocation: sourceLocation)
        #expect(found >= Self.passing - Self.heads && found < content.count, "found \(found)", sourceLocation: sourceLocation)
        let sent = proxy.passed(.up) - before
        #expect(sent <= content.count - found + Self.heads, "sent \(sent), found \(found)", sourceLocation: sourceLocation)
        return report
    }
}

/// Metadata as the programs take it.
func pythonMetadata(_ pairs: [String: JSONValue]) throws -> [String] { ["--metadata", try DriveJSON.text(JSONValue.object(pairs))] }
