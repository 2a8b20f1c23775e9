import Foundation

/// A `drive` command that runs while the test goes on. Ends with its last reference at the latest.
final class RunningCommand: Sendable {
    private let folder: String
    private let child: ChildProcess

    init(_ arguments: [String], environment: [String: String]) throws {
        folder = try TemporaryFolder.make("running")
        let output = open(folder + "/stdout", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw CommandFailed(description: "no file for the output") }
        defer { close(output) }
        child = try ChildProcess(
            [DriveCommand.executable] + arguments, environment: DriveCommand.environment(environment), output: output,
            errorPath: folder + "/stderr")
    }

    deinit {
        child.killGroup()
        TemporaryFolder.remove(folder)
    }

    /// Everything on stdout so far.
    var output: String { DriveCommand.text(folder + "/stdout") }

    func send(_ signal: Int32) { child.send(signal) }

    /// Waits for the end. Throws `TimedOut`.
    func result(atMost limit: Duration = .seconds(60)) async throws -> CommandResult {
        let exit = try await child.wait(atMost: limit)
        return CommandResult(exit: exit, output: output, errors: DriveCommand.text(folder + "/stderr"))
    }
}
