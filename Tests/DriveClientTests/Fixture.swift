import DriveModel
import Foundation

@testable import DriveClient

/// A fake server, a client of it, and a folder, for the length of one test.
struct Fixture: Sendable {
    let drive: FakeDrive
    let client: DriveClient
    let folder: String

    /// - Parameters:
    ///   - events: what requests for events are answered by; nil: the drive, which has none.
    ///   - surroundings: time that only waiting moves, so that no test waits for a backoff.
    static func with(
        events: EventScript? = nil, surroundings: ClientSurroundings = ManualClock().surroundings,
        _ body: (Fixture) async throws -> Void
    ) async throws {
        let drive = FakeDrive()
        let folder = FileManager.default.temporaryDirectory.path + "/drive-client-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let answer: @Sendable (ServerRequest) async -> ServerAnswer = { request in
            if let events, request.path == "/api/events" { return events.answer(request) }
            return await drive.answer(request)
        }
        try await ScriptedServer.with(answer, surroundings) { client in
            let result: Result<Void, any Error>
            do { result = .success(try await body(Fixture(drive: drive, client: client, folder: folder))) } catch {
                result = .failure(error)
            }
            await drive.release()
            try result.get()
        }
    }

    /// A manager as a newly started process has it.
    func manager(
        verify: Bool = false, parallel: Int = 3, patience: Duration = .seconds(300), listens: Bool = false
    ) -> UploadManager {
        UploadManager(
            client: client,
            options: UploadOptions(
                parallel: parallel, retry: RetryPolicy(patience: patience), verifyBeforeUpload: verify, directLimit: 100,
                stateDirectory: folder + "/state", listens: listens))
    }

    /// An upload of one chunk after the other that is paused while a chunk is sent; returns when its journal alone is left of it.
    ///
    /// - Parameter meanwhile: what happens to the upload before the chunk is answered.
    func interrupt(_ path: String, context: UploadContext = UploadContext(), meanwhile: () async -> Void = {}) async {
        await drive.hold(chunk: 3)
        let manager = manager(parallel: 1)
        let handle = await manager.upload(file: path, context: context)
        await drive.untilHeld()
        await manager.pause(handle.id)
        await meanwhile()
        await drive.release()
    }

    /// A file whose bytes differ everywhere.
    func write(_ count: Int, seed: UInt64 = 1, name: String = "data.bin") throws -> (path: String, bytes: [UInt8]) {
        let bytes = pattern(count, seed: seed)
        let path = "\(folder)/\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return (path, bytes)
    }

    var journals: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder + "/state")) ?? []).filter { $0.hasSuffix(".json") }
    }
}

func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = Lehmer(state: seed)
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}

/// A small generator whose numbers a seed decides (Lehmer, modulus 2^61 − 1 folded by a multiply).
struct Lehmer: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state ^ (state >> 33)) &* 0xff51_afd7_ed55_8ccd
    }
}
