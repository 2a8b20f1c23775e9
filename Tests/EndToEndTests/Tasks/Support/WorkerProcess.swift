import Foundation
import Testing

/// A running `drive worker`, or another program that works on tasks. Ends with its last reference at the latest.
final class WorkerProcess: Sendable {
    private let folder: String
    private let child: ChildProcess

    /// - Parameter command: the program and its arguments.
    init(_ command: [String], environment: [String: String]) throws {
        folder = try TemporaryFolder.make("worker")
        let output = open(folder + "/stdout", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw CommandFailed(description: "no file for the output") }
        defer { close(output) }
        child = try ChildProcess(
            command, environment: DriveCommand.environment(environment), output: output, errorPath: folder + "/stderr")
    }

    deinit {
        child.killGroup()
        TemporaryFolder.remove(folder)
    }

    /// Starts `drive worker` on the data, one task at a time, and waits for its ready line.
    static func start(_ data: DataFolder, environment: [String: String] = [:]) async throws -> WorkerProcess {
        let settings = data.environment.merging(["DRIVE_TASK_SLOTS": "1", "DRIVE_TASK_DRAIN_TIME": "0s"]) { _, new in new }
        let worker = try WorkerProcess(
            [DriveCommand.executable, "worker", "--data", data.path], environment: settings.merging(environment) { _, new in new })
        try await eventually(within: .seconds(20), "the worker to be ready") {
            if let exit = worker.child.ended { throw CommandFailed(description: "the worker ended (\(exit)): \(worker.log)") }
            return worker.output.contains("is ready\n")
        }
        return worker
    }

    /// `examples/worker.py` as the owner of this token runs it.
    static func python(_ server: String, token: String) throws -> WorkerProcess {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try WorkerProcess(
            ["python3", package.appendingPathComponent("examples/worker.py").path, "word-count"],
            environment: ["DRIVE_SERVER": server, "DRIVE_TOKEN": token])
    }

    var pid: pid_t { child.pid }
    var output: String { DriveCommand.text(folder + "/stdout") }
    /// Everything on stderr so far.
    var log: String { DriveCommand.text(folder + "/stderr") }

    func send(_ signal: Int32) { child.send(signal) }
    func kill() { child.killGroup() }
    func waitForEnd(atMost limit: Duration = .seconds(20)) async throws -> ExitReason { try await child.wait(atMost: limit) }

    /// Waits until it has logged this.
    func logged(_ text: String, within limit: Duration = .seconds(20)) async throws {
        do {
            try await eventually(within: limit, "the log to say \(text)") { log.contains(text) }
        } catch is TimedOut {
            throw TimedOut(what: "the log to say \(text); it ends with \(log.suffix(2000))")
        }
    }
}
