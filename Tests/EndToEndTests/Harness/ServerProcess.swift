import Foundation
import Synchronization
import TestSupport
import Testing

/// A running `drive serve` on a port the system chose.
final class ServerProcess: Sendable {
    /// It ended before it was ready.
    struct DiedAtStart: Error, CustomStringConvertible {
        let exit: ExitReason
        let errors: String
        var description: String { "the server ended before it was ready (\(exit)):\n\(errors)" }
    }

    let data: DataFolder
    let port: Int
    /// From start to the ready line.
    let startTime: Duration
    private let child: ChildProcess
    private let output: OutputLines
    private let errorPath: String

    var base: String { "http://127.0.0.1:\(port)" }
    var pid: pid_t { child.pid }
    var ended: ExitReason? { child.ended }
    /// Everything on stderr so far.
    var log: String { DriveCommand.text(errorPath) }
    /// Lines of stdout so far.
    var lines: [String] { output.lines }

    private init(
        data: DataFolder, port: Int, startTime: Duration, child: ChildProcess, output: OutputLines, errorPath: String
    ) {
        self.data = data
        self.port = port
        self.startTime = startTime
        self.child = child
        self.output = output
        self.errorPath = errorPath
    }

    /// Starts a server and waits for its ready line.
    /// - Parameters:
    ///   - wrapper: a program with options that runs the server, such as strace.
    ///   - killAfter: kills it after this time, ready or not.
    static func start(
        _ data: DataFolder, environment: [String: String] = [:], wrapper: [String] = [], options: [String] = [],
        killAfter: Duration? = nil, readyWithin limit: Duration = .seconds(20)
    ) async throws -> ServerProcess {
        let folder = (data.path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let errorPath = folder + "/server-\(UUID().uuidString.prefix(6)).log"
        guard let ends = Spawn.makePipe() else { throw CommandFailed(description: "no pipe") }
        let output = OutputLines(descriptor: ends.reading)
        var settings = data.environment
        settings["DRIVE_CLOCK_LEEWAY"] = "0s"
        settings.merge(environment) { _, new in new }
        let start = ContinuousClock.now
        let child: ChildProcess
        do {
            defer { close(ends.writing) }
            child = try ChildProcess(
                wrapper + [DriveCommand.executable, "serve", "--data", data.path, "--host", "127.0.0.1", "--port", "0"] + options,
                environment: DriveCommand.environment(settings), output: ends.writing, errorPath: errorPath)
        }
        if let killAfter {
            Task {
                try await Task.sleep(for: killAfter)
                child.send(SIGKILL)
            }
        }
        do {
            let port = try await within(limit, "the ready line of the server") { try await output.port() }
            guard let port else {
                throw DiedAtStart(exit: try await child.wait(atMost: .seconds(10)), errors: DriveCommand.text(errorPath))
            }
            return ServerProcess(
                data: data, port: port, startTime: ContinuousClock.now - start, child: child, output: output, errorPath: errorPath)
        } catch let error as TimedOut {
            child.killGroup()
            throw CommandFailed(description: "\(error)\n\(DriveCommand.text(errorPath))")
        } catch {
            child.killGroup()
            throw error
        }
    }

    func kill() { child.killGroup() }

    func send(_ signal: Int32) { child.send(signal) }

    func waitForEnd(atMost limit: Duration = .seconds(30)) async throws -> ExitReason { try await child.wait(atMost: limit) }

    /// Asks it to stop and waits for the end; kills it where that takes too long.
    @discardableResult
    func terminate(atMost limit: Duration = .seconds(30)) async throws -> ExitReason {
        child.send(SIGTERM)
        do {
            return try await child.wait(atMost: limit)
        } catch {
            child.killGroup()
            throw error
        }
    }
}

/// Starts a server, runs the body, stops the server as an operator would, and expects the invariants to hold.
/// What the server logged is shown where something failed.
func withServer<Result: Sendable>(
    _ name: String, environment: [String: String] = [:], data existing: DataFolder? = nil, checks: Bool = true,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: @escaping @Sendable (ServerProcess) async throws -> Result
) async throws -> Result {
    try await Slots.servers.with {
        let data = try existing ?? DataFolder.make(name)
        defer { if existing == nil { data.remove() } }
        let server = try await ServerProcess.start(data, environment: environment)
        defer { server.kill() }
        let result: Result
        do {
            result = try await body(server)
        } catch {
            Issue.record("\(error)\nthe server's log ends with:\n\(server.log.suffix(4000))", sourceLocation: sourceLocation)
            throw error
        }
        let exit = try await server.terminate()
        #expect(exit == .exited(0), "graceful stop; the log ends with:\n\(server.log.suffix(2000))", sourceLocation: sourceLocation)
        if checks { try await data.expectClean(sourceLocation: sourceLocation) }
        return result
    }
}
