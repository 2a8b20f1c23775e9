import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// `drive upload` listens to what happens to its upload.
@Suite(.timeLimit(.minutes(2))) struct LiveUploadTests {
    /// The first chunk is held: without its events the command would learn of the pause with that chunk's answer alone.
    @Test func aPauseElsewhereEndsTheCommandAtOnce() async throws {
        try await Self.withUpload("live-upload", delay: .seconds(10)) { scene in
            let command = try scene.start()
            let taskId = try await scene.taskId()
            let result = try await scene.endsFirst(command) { _ = try await scene.client.changed(taskId, "pause") }
            #expect(result.exit == .exited(75) && result.errors.contains("paused"), "\(result)")
        }
    }

    /// How another client cancels an upload.
    enum Cancel: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case upload, task
        var testDescription: String { rawValue }

        func callAsFunction(_ taskId: String, by client: TestClient) async throws {
            switch self {
            case .upload: #expect(try await client.delete("/files/upload/task/\(taskId)").status == 204)
            case .task: _ = try await client.changed(taskId, "cancel")
            }
        }
    }

    /// The first chunk is held: it is the event that ends the command. Nothing is sent anew but by the next one.
    @Test(arguments: Cancel.allCases) func aCancelElsewhereEndsTheCommandAtOnce(_ cancel: Cancel) async throws {
        try await Self.withUpload("live-cancel-\(cancel)", delay: .seconds(10)) { scene in
            let command = try scene.start()
            let taskId = try await scene.taskId()
            let result = try await scene.endsFirst(command) { try await cancel(taskId, by: scene.client) }
            try scene.expectCancelled(result, taskId)
            try await scene.expectAnew(after: taskId)
        }
    }

    /// Cancelled between two commands: the first one after it says so, and the next begins anew.
    @Test func aCancelBetweenTwoCommandsIsTold() async throws {
        try await Self.withUpload("cancel-between", delay: .seconds(2)) { scene in
            let command = try scene.start()
            let taskId = try await scene.taskId()
            command.send(SIGINT)
            #expect(try await command.result().exit == .exited(130))
            try await Cancel.upload(taskId, by: scene.client)
            try scene.expectCancelled(try await scene.start().result(), taskId)
            #expect(try await scene.tasks().map(\.taskId) == [taskId])
            try await scene.expectAnew(after: taskId)
        }
    }

    /// What somebody else does to the first of two files, and what the command says and ends with.
    struct Interference: Sendable, CustomTestStringConvertible {
        var event: String
        var code: String
        var exit: Int32
        var isJSON: Bool
        var testDescription: String { "\(event)\(isJSON ? " as JSON" : "")" }
    }

    @Test(arguments: [
        Interference(event: "pause", code: "CLIENT_UPLOAD_PAUSED", exit: 75, isJSON: true),
        Interference(event: "pause", code: "CLIENT_UPLOAD_PAUSED", exit: 75, isJSON: false),
        Interference(event: "cancel", code: "CLIENT_UPLOAD_CANCELLED", exit: 69, isJSON: true),
    ]) func theOtherFilesAreUploadedAllTheSame(_ interference: Interference) async throws {
        try await Self.withUpload("live-two-\(interference.event)", delay: .seconds(2)) { scene in
            let (first, second) = (scene.folder + "/file.bin", scene.folder + "/second.bin")
            try Data(bytes(5000, seed: 2)).write(to: URL(fileURLWithPath: second))
            let command = try scene.start([interference.isJSON ? "--json" : "--quiet", second])
            let taskId = try await scene.taskId()
            _ = try await scene.client.changed(taskId, interference.event)
            let result = try await command.result()
            #expect(result.exit == .exited(interference.exit), "\(result)")
            #expect(result.output.contains("second.bin"), "\(result)")
            guard interference.isJSON else {
                let told = "drive: \(first): Upload \(taskId) is paused on the server; let it go on first: drive tasks resume \(taskId)\n"
                #expect(result.errors == told)
                return
            }
            let error = try JSONDecoder().decode([String: JSONValue].self, from: Data(result.errors.utf8))
            #expect(error["code"]?.string == interference.code && error["exitStatus"]?.integer == Int64(interference.exit), "\(error)")
            #expect(error["taskId"]?.string == taskId && error["file"]?.string == first, "\(error)")
        }
    }

    /// Nobody can go on with it: it is cancelled, and nobody is sent to resume it.
    @Test func aPauseEndsAnUploadOfStandardInput() async throws {
        try await Self.withUpload("live-stdin", delay: .seconds(2)) { scene in
            async let command = DriveCommand.run(
                ["-c", #"exec "$0" upload --chunk-size 1MiB --name x - < "$1""#, DriveCommand.executable, scene.folder + "/file.bin"],
                program: "sh", environment: scene.environment)
            let taskId = try await scene.taskId()
            _ = try await scene.client.changed(taskId, "pause")
            let result = try await command
            #expect(result.exit == .exited(69) && result.output.isEmpty, "\(result)")
            #expect(
                result.errors.hasSuffix(
                    "drive: standard input: Upload \(taskId) cannot be continued: it was paused elsewhere; as it cannot go on later, "
                        + "it was cancelled. Upload it again.\n"), "\(result)")
            #expect(try await scene.tasks().map(\.status) == [.cancelled])
        }
    }

    /// A file, and a server that holds the first bytes of a chunk that come.
    private struct Scene: Sendable {
        let server: ServerProcess
        let client: TestClient
        let token: String
        let folder: String

        var environment: [String: String] {
            ["DRIVE_SERVER": client.base, "DRIVE_TOKEN": token, "HOME": folder, "XDG_STATE_HOME": folder + "/state"]
        }

        /// - Parameter more: options and files after the first one.
        func start(_ more: [String] = []) throws -> RunningCommand {
            try RunningCommand(
                ["upload", "--chunk-size", "1MiB", "--parallel", "1", folder + "/file.bin"] + more, environment: environment)
        }

        func tasks() async throws -> [TaskSummary] { try await client.get("/tasks").decode() }

        /// Waits for the upload, until its first chunk is held.
        func taskId() async throws -> String {
            let found = Box<String>()
            try await eventually(within: .seconds(20), "the upload") {
                if let task = try await tasks().first { found.fill(task.taskId) }
                return found.current != nil
            }
            try await eventually(within: .seconds(20), "the held chunk") { server.log.contains("fault: chunk.write.before waits") }
            return try #require(found.current)
        }

        /// The command's end, which is to come before the change is answered: that waits until no write is under way any more, its
        /// event does not.
        func endsFirst(_ command: RunningCommand, _ change: @escaping @Sendable () async throws -> Void) async throws -> CommandResult {
            let answered = Box<Bool>()
            async let changing: Void = {
                try await change()
                answered.fill(true)
            }()
            let result = try await command.result()
            #expect(answered.current == nil, "it waited for the chunk")
            try await changing
            return result
        }

        func expectCancelled(_ result: CommandResult, _ taskId: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
            #expect(result.exit == .exited(69), "\(result)", sourceLocation: sourceLocation)
            #expect(result.output.isEmpty, "\(result)", sourceLocation: sourceLocation)
            #expect(
                result.errors.contains("Upload \(taskId) was cancelled on the server."), "\(result)", sourceLocation: sourceLocation)
            let journals = TemporaryFolder.files(in: folder + "/state").filter { $0.hasSuffix(".json") }
            #expect(journals.isEmpty, sourceLocation: sourceLocation)
        }

        /// Until somebody asks for it there is no other upload; then there is.
        func expectAnew(after taskId: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            #expect(try await tasks().map(\.status) == [.cancelled], sourceLocation: sourceLocation)
            let result = try await start().result()
            #expect(result.exit == .exited(0), "\(result)", sourceLocation: sourceLocation)
            let ended = try await tasks()
            #expect(ended.filter { $0.taskId != taskId }.map(\.status) == [.completed], sourceLocation: sourceLocation)
        }
    }

    private static func withUpload(
        _ name: String, delay: Duration, _ body: @escaping @Sendable (Scene) async throws -> Void
    ) async throws {
        let rule = "chunk.write.before:delay=\(delay.components.seconds * 1000)ms@1"
        try await withServer(name, environment: ["DRIVE_FAULTS": rule]) { server in
            let token = try await server.data.token(account: "a")
            let folder = try TemporaryFolder.make(name)
            defer { TemporaryFolder.remove(folder) }
            try Data(bytes(3 << 20)).write(to: URL(fileURLWithPath: folder + "/file.bin"))
            try await body(Scene(server: server, client: TestClient(base: server.base, token: token), token: token, folder: folder))
        }
    }
}
