import DriveModel
import Foundation
import Testing

/// A file, a folder and a network for `drive upload` and `drive download`, whose account has nothing yet.
struct ClientScene: Sendable {
    /// Bytes of a chunk; the file has more than `chunks - 1` of them.
    static let chunk = 256 << 10
    static let chunks = 24
    /// Chunks on their way at once.
    static let parallel = 3
    /// More than the heads of all requests, or of all replies, of one upload; less than half a chunk.
    static let heads = 64 << 10

    let proxy: LoopbackProxy
    let token: String
    let folder: String
    let content: [UInt8]

    var path: String { folder + "/file.bin" }

    static func with(_ name: String, server port: Int, token: String?, _ body: (ClientScene) async throws -> Void) async throws {
        let folder = try TemporaryFolder.make(name)
        defer { TemporaryFolder.remove(folder) }
        let proxy = try LoopbackProxy(to: port)
        defer { proxy.close() }
        // Of its own, or another account's same bytes would be shared.
        let content = bytes((chunks - 1) * chunk + 1000, seed: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
        let scene = ClientScene(proxy: proxy, token: try #require(token), folder: folder, content: content)
        try Data(content).write(to: URL(fileURLWithPath: scene.path))
        try await body(scene)
    }

    /// The same with an account of that name on the server of all tests; the client speaks to it past the proxy.
    static func shared(_ name: String, _ body: (ClientScene, TestClient) async throws -> Void) async throws {
        let client = try await SharedServer.client(name)
        try await with(name, server: SharedServer.get().port, token: client.token) { try await body($0, client) }
    }

    /// Starts the command with the proxy for a server, and a memory of its own for unfinished uploads.
    func start(_ arguments: [String]) throws -> RunningCommand {
        try RunningCommand(
            arguments + ["--json"],
            environment: ["DRIVE_SERVER": proxy.base, "DRIVE_TOKEN": token, "HOME": folder, "XDG_STATE_HOME": folder + "/state"])
    }

    func startUpload(patience: String = "5m") throws -> RunningCommand {
        try start(["upload", path, "--chunk-size", "\(Self.chunk)", "--parallel", "\(Self.parallel)", "--patience", patience])
    }

    /// The upload's command up to the moment at which the network stands still and seven chunks at least are acknowledged.
    func startUploadAndHold(_ client: TestClient, patience: String = "5m") async throws -> RunningCommand {
        // Of ten chunks' bytes at most three chunks' are parts.
        let held = proxy.hold(.up, after: 10 * Self.chunk + Self.heads)
        let command = try startUpload(patience: patience)
        try await within(.seconds(30), "the bytes of ten chunks") { try await held.value() }
        try await eventually(within: .seconds(20), "seven chunks") { try await acknowledged(client) >= 7 }
        return command
    }

    /// Chunks of the account's only upload that the server has.
    func acknowledged(_ client: TestClient) async throws -> Int {
        let uploads: [UploadSummary] = try await client.get("/files/upload/tasks").decode()
        try #require(uploads.count == 1, "\(uploads)")
        return uploads[0].chunksUploaded
    }

    /// Runs the upload to its end, and returns how many bytes it sent.
    func finishUpload(_ client: TestClient) async throws -> Int {
        let before = proxy.passed(.up)
        try await expectUploaded(startUpload().result(), client)
        return proxy.passed(.up) - before
    }

    /// Fails the test where the command did not end with the file, the only one of one upload, and nothing left to go on with.
    func expectUploaded(_ result: CommandResult, _ client: TestClient, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try #require(result.exit == .exited(0), "\(result.exit): \(result.errors)", sourceLocation: sourceLocation)
        let file = try JSONDecoder().decode(CloudFile.self, from: Data(result.output.utf8))
        try await client.expectContent(content, of: file, sourceLocation: sourceLocation)
        #expect(try await client.get("/files/me").header("X-Total") == "1", "one file", sourceLocation: sourceLocation)
        let uploads: [UploadSummary] = try await client.get("/files/upload/tasks").decode()
        #expect(uploads.map(\.status) == [.completed], "one task", sourceLocation: sourceLocation)
        #expect(uploads.first?.chunksUploaded == Self.chunks, sourceLocation: sourceLocation)
        #expect(TemporaryFolder.files(in: folder + "/state") == [], sourceLocation: sourceLocation)
    }
}
