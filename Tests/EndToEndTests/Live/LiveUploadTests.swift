import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// `drive upload` listens to what happens to its upload.
@Suite(.timeLimit(.minutes(2))) struct LiveUploadTests {
    /// The server holds each chunk for long: without its events the command would learn of the pause with the next answer alone.
    @Test func aPauseElsewhereEndsTheCommandAtOnce() async throws {
        try await withServer("live-upload", environment: ["DRIVE_FAULTS": "chunk.write.before:delay=20000ms"], checks: false) { server in
            let token = try await server.data.token(account: "a")
            let client = TestClient(base: server.base, token: token)
            let folder = try TemporaryFolder.make("live-upload")
            defer { TemporaryFolder.remove(folder) }
            try Data(bytes(3 << 20)).write(to: URL(fileURLWithPath: folder + "/file.bin"))
            let settings = ["DRIVE_SERVER": client.base, "DRIVE_TOKEN": token, "HOME": folder, "XDG_STATE_HOME": folder + "/state"]
            async let command = DriveCommand.run(
                ["upload", "--chunk-size", "1MiB", "--parallel", "1", folder + "/file.bin"], environment: settings)
            let found = Box<String>()
            try await eventually(within: .seconds(20), "the upload") {
                let tasks: [TaskSummary] = try await client.get("/tasks").decode()
                if let task = tasks.first { found.fill(task.taskId) }
                return !tasks.isEmpty
            }
            let (taskId, paused) = (try #require(found.current), ContinuousClock.now)
            // Answered when no write is under way any more; its event is told at once.
            async let change = client.changed(taskId, "pause")
            let result = try await command
            #expect(ContinuousClock.now - paused < .seconds(10), "it waited for the chunk")
            _ = try await change
            #expect(result.exit == .exited(75) && result.errors.contains("paused"), "\(result)")
        }
    }
}
