import DriveModel
import Foundation
import Synchronization
import Testing

@testable import DriveClient

/// Servers that answer, or hang up, before the body of a request has come. The bodies are larger than what both sockets' buffers
/// hold, so that the client is in the midst of sending.
@Suite struct EarlyAnswerTests {
    private static let size = 16 << 20

    /// What the server does to requests, the first that fits at a time, and what it was asked.
    private final class Script: Sendable {
        private let state: Mutex<(rules: [(prefix: String, interruption: Interruption)], log: [String])>

        init(_ prefix: String, _ interruptions: [Interruption]) {
            state = Mutex((interruptions.map { (prefix, $0) }, []))
        }

        func decide(_ line: String) -> Interruption? {
            state.withLock { state in
                state.log.append(line)
                guard let index = state.rules.firstIndex(where: { line.hasPrefix($0.prefix) }) else { return nil }
                return state.rules.remove(at: index).interruption
            }
        }

        /// The requests, by their verbs of the API: `create`, `chunk`, `resume`, …
        var verbs: [String] {
            state.withLock { $0.log.map { $0.split(separator: "/").dropFirst(4).first.map(String.init) ?? $0 } }
        }
    }

    private static func upload(
        _ script: Script, directLimit: Int64 = 0, patience: Duration = .seconds(60)
    ) async throws -> (result: Result<CloudFile, DriveClientError>, clock: ManualClock) {
        let drive = FakeDrive(chunkSize: Int64(size))
        let server = try await EarlyServer {
            script.decide($0)
        } otherwise: {
            await drive.answer($0)
        }
        let folder = FileManager.default.temporaryDirectory.path + "/drive-early-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data(repeating: 7, count: size).write(to: URL(fileURLWithPath: folder + "/data.bin"))
        let clock = ManualClock()
        let client = DriveClient(
            server: try ServerAddress("http://127.0.0.1:\(server.port)"), surroundings: clock.surroundings, token: { "account-token" })
        let manager = UploadManager(
            client: client,
            options: UploadOptions(
                parallel: 1, retry: RetryPolicy(patience: patience), directLimit: directLimit, stateDirectory: folder + "/state"))
        let result: Result<CloudFile, DriveClientError>
        do { result = .success(try await manager.upload(file: folder + "/data.bin").result()) } catch { result = .failure(error) }
        await client.shutdown()
        await server.stop()
        return (result, clock)
    }

    static let refusals: [(Int, String)] = [
        (413, "PAYLOAD_TOO_LARGE"), (403, "QUOTA_EXCEEDED"), (401, "TOKEN_REVOKED"), (415, "UNSUPPORTED_MEDIA_TYPE"),
    ]

    /// The refusal itself comes through, at once, however the server leaves the connection.
    @Test(.timeLimit(.minutes(1)), arguments: refusals.indices, [(0, true), (65_536, true), (65_536, false)])
    func anEarlyRefusalIsTold(index: Int, ending: (after: Int, closes: Bool)) async throws {
        let (status, code) = Self.refusals[index]
        for (prefix, directLimit) in [("POST /api/files/upload/chunk", 0), ("POST /api/files/upload/direct", Int64(Self.size))] {
            let script = Script(prefix, Array(repeating: .error(status, code, after: ending.after, closes: ending.closes), count: 100))
            guard case .failure(let error) = try await Self.upload(script, directLimit: directLimit).result else {
                Issue.record("\(code): it went through")
                continue
            }
            #expect(error.serverReply?.code == code, "\(error)")
            #expect(error.serverReply?.status == status)
            #expect(script.verbs == (directLimit == 0 ? ["create", "chunk"] : ["direct"]))
        }
    }

    /// Only the status came, the explanation was lost with the connection.
    @Test(.timeLimit(.minutes(1))) func aStatusAloneIsEnough() async throws {
        let script = Script("POST /api/files/upload/chunk", [.error(413, "PAYLOAD_TOO_LARGE", cut: true)])
        guard case .failure(let error) = try await Self.upload(script).result else {
            Issue.record("it went through")
            return
        }
        #expect(error.serverReply?.status == 413, "\(error)")
        #expect(script.verbs == ["create", "chunk"])
    }

    static let passing: [(Interruption, [String])] = [
        // No word: the server is asked before the chunk is sent again.
        (Interruption(), ["create", "chunk", "resume", "chunk", "complete"]),
        (Interruption(after: 65_536), ["create", "chunk", "resume", "chunk", "complete"]),
        // A conflict whose reason was lost.
        (.error(409, "TASK_PAUSED", cut: true), ["create", "chunk", "resume", "chunk", "complete"]),
        (.error(401, "UNAUTHENTICATED"), ["create", "chunk", "resume", "chunk", "complete"]),
        (.error(401, "UNAUTHENTICATED", cut: true), ["create", "chunk", "resume", "chunk", "complete"]),
        (.error(507, "STORAGE_FULL"), ["create", "chunk", "chunk", "complete"]),
        (.error(507, "STORAGE_FULL", after: 65_536, closes: false), ["create", "chunk", "chunk", "complete"]),
        (.error(503, "STORAGE_FAILED", cut: true), ["create", "chunk", "chunk", "complete"]),
        (.error(409, "CHUNK_IN_PROGRESS"), ["create", "chunk", "chunk", "complete"]),
    ]

    @Test(.timeLimit(.minutes(1)), arguments: passing.indices) func whatPassesIsSurvived(index: Int) async throws {
        let (interruption, verbs) = Self.passing[index]
        let script = Script("POST /api/files/upload/chunk", [interruption])
        let file = try await Self.upload(script).result.get()
        #expect(file.hash == sha256([UInt8](repeating: 7, count: Self.size)))
        #expect(script.verbs == verbs)
    }

    /// A server that answers every question and hangs up on every chunk: patience ends.
    @Test(.timeLimit(.minutes(1)), arguments: [0, Int64(size)]) func hangingUpEachTimeEndsTheUpload(directLimit: Int64) async throws {
        let script = Script(
            directLimit == 0 ? "POST /api/files/upload/chunk" : "POST /api/files/upload/direct",
            Array(repeating: Interruption(), count: 10_000))
        let (result, clock) = try await Self.upload(script, directLimit: directLimit)
        guard case .failure(.gaveUp) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(clock.now <= .seconds(60))
        #expect(script.verbs.count < 200)
    }
}
