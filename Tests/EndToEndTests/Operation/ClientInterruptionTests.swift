import DriveModel
import Foundation
import TestSupport
import Testing

/// `drive upload` and `drive download` over a network and beside processes that end in the middle: what was acknowledged, and
/// what came, is not sent again.
@Suite(.timeLimit(.minutes(2))) struct ClientInterruptionTests {
    /// How a person, or the system, ends a command.
    enum Interruption: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case kill, controlC

        var signal: Int32 { self == .kill ? SIGKILL : SIGINT }
        /// 130 is documented for Ctrl-C.
        var exit: ExitReason { self == .kill ? .signalled(SIGKILL) : .exited(130) }
        var testDescription: String { rawValue }
    }

    // MARK: Upload

    @Test(arguments: Interruption.allCases) func anInterruptedUploadSendsWhatIsMissing(_ interruption: Interruption) async throws {
        try await ClientScene.shared("interrupted-\(interruption)") { scene, client in
            let command = try await scene.startUploadAndHold(client)
            command.send(interruption.signal)
            // Also where the network stands still: nobody waits for it.
            let ended = try await command.result(atMost: .seconds(10))
            #expect(ended.exit == interruption.exit, "\(ended.errors)")
            #expect(ended.output.isEmpty)
            scene.proxy.cut()
            let kept = try await scene.acknowledged(client)
            let sent = try await scene.finishUpload(client)
            let missing = scene.content.count - kept * ClientScene.chunk
            #expect(sent <= missing + ClientScene.heads, "\(sent) bytes were sent for \(missing) that were missing")
        }
    }

    /// Killed before the answer to its first request: the next call gets that answer, and no second upload.
    @Test func anUploadKilledBeforeItsFirstReplyIsOneUpload() async throws {
        try await ClientScene.shared("interrupted-create") { scene, client in
            let held = scene.proxy.hold(.down, after: 0)
            let command = try scene.startUpload()
            try await within(.seconds(30), "the first reply") { try await held.value() }
            #expect(try await scene.acknowledged(client) == 0)
            command.send(SIGKILL)
            #expect(try await command.result().exit == .signalled(SIGKILL))
            scene.proxy.cut()
            #expect(try await scene.finishUpload(client) <= scene.content.count + ClientScene.heads)
        }
    }

    /// The client goes on by itself; only what was on its way at the break is sent once more.
    @Test func anUploadOutlivesALostNetwork() async throws {
        try await ClientScene.shared("lost-network") { scene, client in
            let command = try await scene.startUploadAndHold(client)
            scene.proxy.goDown()
            try await eventually(within: .seconds(30), "two attempts in vain") { scene.proxy.refused >= 2 }
            scene.proxy.comeBack()
            try await scene.expectUploaded(command.result(), client)
            expectSentOnce(scene)
        }
    }

    /// The network stays away for longer than the client's patience: 75 is documented for what is worth trying again.
    @Test func anUploadWithoutANetworkEndsRetryable() async throws {
        try await ClientScene.shared("no-network") { scene, client in
            let command = try await scene.startUploadAndHold(client, patience: "1s")
            scene.proxy.goDown()
            let ended = try await command.result(atMost: .seconds(20))
            #expect(ended.exit == .exited(75), "\(ended.errors)")
            #expect(ended.output.isEmpty)
            let error = try JSONDecoder().decode([String: JSONValue].self, from: Data(ended.errors.utf8))
            #expect(error["exitStatus"] == 75)
            let kept = try await scene.acknowledged(client)
            scene.proxy.comeBack()
            let sent = try await scene.finishUpload(client)
            let missing = scene.content.count - kept * ClientScene.chunk
            #expect(sent <= missing + ClientScene.heads, "\(sent) bytes were sent for \(missing) that were missing")
        }
    }

    @Test func anUploadOutlivesAKilledServer() async throws {
        let data = try DataFolder.make("killed-server")
        defer { data.remove() }
        try await Slots.servers.with {
            let token = try await data.token(account: "a")
            let first = try await ServerProcess.start(data)
            defer { first.kill() }
            try await ClientScene.with("killed-server", server: first.port, token: token) { scene in
                let command = try await scene.startUploadAndHold(TestClient(base: first.base, token: token))
                first.kill()
                #expect(try await first.waitForEnd() == .signalled(SIGKILL))
                scene.proxy.lift()
                try await eventually(within: .seconds(30), "an attempt in vain") { scene.proxy.refused >= 1 }
                let second = try await ServerProcess.start(data)
                defer { second.kill() }
                scene.proxy.forward(to: second.port)
                try await scene.expectUploaded(command.result(), TestClient(base: second.base, token: token))
                expectSentOnce(scene)
                #expect(try await second.terminate() == .exited(0))
            }
        }
        try await data.expectClean()
    }

    private func expectSentOnce(_ scene: ClientScene, sourceLocation: SourceLocation = #_sourceLocation) {
        let sent = scene.proxy.passed(.up)
        let most = scene.content.count + ClientScene.parallel * ClientScene.chunk + 2 * ClientScene.heads
        #expect(sent <= most, "\(sent) bytes were sent of a file of \(scene.content.count)", sourceLocation: sourceLocation)
    }

    // MARK: Download

    /// The bytes at which the network stands still.
    private static let half = ClientScene.chunks / 2 * ClientScene.chunk

    /// Starts a download of the scene's file; returns when half of it is in the part.
    private func startDownloadAndHold(_ file: CloudFile, _ scene: ClientScene) async throws -> RunningCommand {
        let held = scene.proxy.hold(.down, after: Self.half)
        let command = try scene.start(["download", file.id, "-o", back(scene)])
        try await within(.seconds(30), "half the file") { try await held.value() }
        try await eventually(within: .seconds(20), "half the file on disk") { partSize(scene) >= Self.half - ClientScene.heads }
        return command
    }

    private func store(_ scene: ClientScene, _ client: TestClient) async throws -> CloudFile {
        let upload = try await client.begin(scene.content, chunkSize: 1 << 20)
        try await client.sendChunks(upload.indexes, of: upload)
        return try await client.finish(upload.taskId)
    }

    private func back(_ scene: ClientScene) -> String { scene.folder + "/back.bin" }

    private func partSize(_ scene: ClientScene) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: back(scene) + ".part")
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }

    private func expectDownloaded(
        _ result: CommandResult, _ scene: ClientScene, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(result.exit == .exited(0), "\(result.errors)", sourceLocation: sourceLocation)
        let content = try #require(FileManager.default.contents(atPath: back(scene)), sourceLocation: sourceLocation)
        #expect(sha256([UInt8](content)) == sha256(scene.content), sourceLocation: sourceLocation)
        #expect(!FileManager.default.fileExists(atPath: back(scene) + ".part"), sourceLocation: sourceLocation)
    }

    @Test(arguments: Interruption.allCases) func anInterruptedDownloadFetchesTheRest(_ interruption: Interruption) async throws {
        try await ClientScene.shared("download-\(interruption)") { scene, client in
            let file = try await store(scene, client)
            let command = try await startDownloadAndHold(file, scene)
            command.send(interruption.signal)
            let ended = try await command.result(atMost: .seconds(10))
            #expect(ended.exit == interruption.exit, "\(ended.errors)")
            scene.proxy.cut()
            #expect(!FileManager.default.fileExists(atPath: back(scene)))
            let (rest, before) = (scene.content.count - partSize(scene), scene.proxy.passed(.down))
            try await expectDownloaded(scene.start(["download", file.id, "-o", back(scene)]).result(), scene)
            let received = scene.proxy.passed(.down) - before
            #expect(received <= rest + ClientScene.heads, "\(received) bytes came for \(rest) that were missing")
        }
    }

    /// A part that is not the file's beginning, or more than the file: the SHA-256 tells, and all of it is fetched anew.
    @Test(arguments: [false, true]) func aDamagedPartIsFetchedAnew(isLonger: Bool) async throws {
        try await ClientScene.shared("download-damaged-\(isLonger)") { scene, client in
            let file = try await store(scene, client)
            let command = try await startDownloadAndHold(file, scene)
            command.send(SIGKILL)
            _ = try await command.result()
            scene.proxy.cut()
            let part = try FileHandle(forWritingTo: URL(fileURLWithPath: back(scene) + ".part"))
            try part.seek(toOffset: isLonger ? UInt64(scene.content.count) : 100_000)
            try part.write(contentsOf: Data([scene.content[100_000] ^ 1]))
            try part.close()
            let before = scene.proxy.passed(.down)
            try await expectDownloaded(scene.start(["download", file.id, "-o", back(scene)]).result(), scene)
            #expect(scene.proxy.passed(.down) - before >= scene.content.count)
        }
    }

    @Test func aDownloadOutlivesALostNetwork() async throws {
        try await ClientScene.shared("download-lost-network") { scene, client in
            let file = try await store(scene, client)
            let command = try await startDownloadAndHold(file, scene)
            scene.proxy.goDown()
            try await eventually(within: .seconds(30), "two attempts in vain") { scene.proxy.refused >= 2 }
            scene.proxy.comeBack()
            try await expectDownloaded(command.result(), scene)
            #expect(scene.proxy.passed(.down) <= scene.content.count + ClientScene.chunk)
        }
    }
}
