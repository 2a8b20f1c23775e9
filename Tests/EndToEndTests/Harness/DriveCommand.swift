import DriveModel
import Foundation
import Testing

/// What a finished command left.
struct CommandResult: Sendable {
    var exit: ExitReason
    var output: String
    var errors: String

    /// stdout without the line end.
    var line: String { output.trimmingCharacters(in: .whitespacesAndNewlines) }
}

struct CommandFailed: Error, CustomStringConvertible {
    let description: String
}

/// Runs the `drive` executable under test.
enum DriveCommand {
    /// `DRIVE_TEST_EXECUTABLE`, else `drive` beside the test bundle, else `.build/debug/drive` of the package.
    static let executable: String = {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["DRIVE_TEST_EXECUTABLE"], !path.isEmpty { return path }
        let beside = ((CommandLine.arguments.first ?? "") as NSString).deletingLastPathComponent + "/drive"
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let built = package.appendingPathComponent(".build/debug/drive").path
        return [beside, built].first { FileManager.default.isExecutableFile(atPath: $0) } ?? built
    }()

    /// What every process of ours gets: nothing of the caller's settings, so that a developer's own do not change a test.
    static func environment(_ more: [String: String]) -> [String: String] {
        var result = more
        for name in ["PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "LANG"] where result[name] == nil {
            result[name] = ProcessInfo.processInfo.environment[name]
        }
        // A home of its own: the client remembers uploads there.
        if result["HOME"] == nil { result["HOME"] = "/nonexistent" }
        return result
    }

    /// Runs to the end, at most `limit`. Ends it by its id in any case.
    static func run(
        _ arguments: [String], program: String? = nil, environment: [String: String] = [:], atMost limit: Duration = .seconds(60)
    ) async throws -> CommandResult {
        let folder = try TemporaryFolder.make("command")
        defer { TemporaryFolder.remove(folder) }
        let output = open(folder + "/stdout", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw CommandFailed(description: "no file for the output") }
        let child: ChildProcess
        do {
            defer { close(output) }
            child = try ChildProcess(
                [program ?? executable] + arguments, environment: Self.environment(environment), output: output,
                errorPath: folder + "/stderr")
        }
        defer { child.killGroup() }
        let exit = try await child.wait(atMost: limit)
        return CommandResult(exit: exit, output: text(folder + "/stdout"), errors: text(folder + "/stderr"))
    }

    /// Runs and asks for exit code 0. Throws `CommandFailed` with what it said.
    @discardableResult
    static func succeed(_ arguments: [String], environment: [String: String] = [:]) async throws -> CommandResult {
        let result = try await run(arguments, environment: environment)
        guard result.exit == .exited(0) else {
            throw CommandFailed(
                description: "drive \(arguments.joined(separator: " ")): \(result.exit)\n\(result.output)\(result.errors)")
        }
        return result
    }

    static func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
}

/// A data folder and the commands that work on it.
struct DataFolder: Sendable {
    let path: String
    /// The same for each process that works on the folder: the database, above all.
    var environment: [String: String] = [:]

    static func make(_ name: String, environment: [String: String] = [:]) throws -> DataFolder {
        // The folder itself is left to `drive` to make.
        DataFolder(path: try TemporaryFolder.make(name) + "/data", environment: environment)
    }

    /// A token for the account, which is made where it is missing.
    func token(account: String, admin: Bool = false, lifetime: String? = nil) async throws -> String {
        var arguments = ["token", "create", "--data", path, "--account", account, "--create"]
        if admin { arguments += ["--role", "admin"] }
        if let lifetime { arguments += ["--ttl", lifetime] }
        return try await DriveCommand.succeed(arguments, environment: environment).line
    }

    @discardableResult
    func drive(_ arguments: String...) async throws -> CommandResult {
        try await DriveCommand.succeed(arguments + ["--data", path], environment: environment)
    }

    func check(repair: Bool = false) async throws -> CommandResult {
        try await DriveCommand.run(
            ["check", "--data", path, "--json"] + (repair ? ["--repair"] : []), environment: environment, atMost: .seconds(120))
    }

    /// Fails the test where the invariant checker finds something.
    func expectClean(_ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let result = try await check()
        #expect(
            result.exit == .exited(0), "drive check: \(result.output)\(result.errors) \(comment?.rawValue ?? "")",
            sourceLocation: sourceLocation)
    }

    /// What lies in the pools' staging folders and in their blob folders.
    var stagedFiles: [String] { TemporaryFolder.files(in: path).filter { $0.contains("staging/") } }
    var blobFiles: [String] { TemporaryFolder.files(in: path).filter { $0.contains("/blobs/") } }

    func remove() { TemporaryFolder.remove((path as NSString).deletingLastPathComponent) }
}
