import DriveModel
import Foundation
import Testing

/// `drive upload`, `download`, `ls`, `info` and `rm` against a running server.
@Suite struct ClientCommandTests {
    @Test(arguments: [0, 1, 200_000, 6 << 20]) func aFileGoesUpAndComesDown(_ size: Int) async throws {
        let client = try await SharedServer.client("command-\(size)")
        let folder = try TemporaryFolder.make("client-command")
        defer { TemporaryFolder.remove(folder) }
        let settings = [
            "DRIVE_SERVER": client.base, "DRIVE_TOKEN": try #require(client.token), "HOME": folder, "XDG_STATE_HOME": folder + "/state",
        ]
        let content = bytes(size, seed: UInt64(size))
        try Data(content).write(to: URL(fileURLWithPath: folder + "/file.bin"))

        let uploaded = try await DriveCommand.succeed(["upload", "--json", folder + "/file.bin"], environment: settings)
        let file = try JSONDecoder().decode(CloudFile.self, from: Data(uploaded.output.utf8))
        #expect(file.name == "file.bin")
        #expect(file.hash == sha256(content))
        try await DriveCommand.succeed(["download", file.id, "-o", folder + "/back.bin"], environment: settings)
        #expect(FileManager.default.contents(atPath: folder + "/back.bin") == Data(content))
        #expect(try await DriveCommand.succeed(["ls"], environment: settings).output.contains("file.bin"))
        #expect(try await DriveCommand.succeed(["info", file.id], environment: settings).output.contains(file.hash))
        try await DriveCommand.succeed(["rm", file.id], environment: settings)
        #expect(try await client.get("/files/me").header("X-Total") == "0")
    }

    struct Failing: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var token: String?
        var exit: Int32
        var testDescription: String { "\(arguments.joined(separator: " ")) exits with \(exit)" }
    }

    @Test(
        arguments: [
            Failing(arguments: ["download", "nosuchfile"], exit: 68),
            Failing(arguments: ["info", "nosuchfile"], exit: 68),
            Failing(arguments: ["ls"], token: "bad", exit: 67),
            Failing(arguments: ["upload", "/nonexistent/file"], exit: 66),
            Failing(arguments: ["upload"], exit: 64),
            Failing(arguments: ["nonsense"], exit: 64),
        ]) func exitCodesTellWhatIsWrong(_ failing: Failing) async throws
    {
        let client = try await SharedServer.client("command-failing")
        let settings = [
            "DRIVE_SERVER": client.base, "DRIVE_TOKEN": failing.token ?? client.token ?? "", "XDG_STATE_HOME": "/nonexistent/state",
        ]
        let result = try await DriveCommand.run(failing.arguments, environment: settings)
        #expect(result.exit == .exited(failing.exit), "\(result.output)\(result.errors)")
        #expect(result.output.isEmpty)
        #expect(!result.errors.isEmpty)
    }

    /// What the next file would meet too ends the command, and nobody has to find out which files that leaves.
    @Test func theFilesBehindAnErrorOfAllAreNamed() async throws {
        let client = try await SharedServer.client("command-not-tried")
        let folder = try TemporaryFolder.make("not-tried")
        defer { TemporaryFolder.remove(folder) }
        let files = ["a", "b", "c"].map { "\(folder)/\($0)" }
        for file in files { try Data([1]).write(to: URL(fileURLWithPath: file)) }
        let settings = ["DRIVE_SERVER": client.base, "DRIVE_TOKEN": "bad", "XDG_STATE_HOME": folder + "/state"]
        let told = try await DriveCommand.run(["upload"] + files, environment: settings)
        #expect(told.exit == .exited(67) && told.errors.contains("2 files were not tried: \(files[1]), \(files[2])"), "\(told)")
        let line = try await DriveCommand.run(["upload", "--json"] + files, environment: settings)
        let error = try JSONDecoder().decode([String: JSONValue].self, from: Data(line.errors.utf8))
        #expect(error["notTried"] == .array(files.dropFirst().map { .string($0) }), "\(line)")
    }
}
