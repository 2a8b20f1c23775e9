import Foundation

/// The program that runs the Autobahn suite's cases against a server: `Tests/Autobahn/fuzz.py`, in the environment that
/// `scripts/autobahn` makes.
enum AutobahnSuite {
    /// What a run left.
    struct Outcome: Sendable, CustomStringConvertible {
        /// 0: every case is green, or known with its reason. 1: some are not. Nil: not in time. Else the suite itself failed;
        /// negative: by a signal.
        var status: Int32?
        var output: String

        /// The cases that are not green stand at its end.
        var description: String { "\(status.map { "exit code \($0)" } ?? "not in time")\n\(output.suffix(20_000))" }
    }

    /// `DRIVE_TEST_AUTOBAHN`: the folder that `scripts/autobahn` prints.
    static let folder: String? = ProcessInfo.processInfo.environment["DRIVE_TEST_AUTOBAHN"].flatMap { $0.isEmpty ? nil : $0 }

    /// `DRIVE_AUTOBAHN_SPEC`: `full` for all 517 cases. `small` leaves out 170 of them, compression with other lengths.
    static let spec: String = ProcessInfo.processInfo.environment["DRIVE_AUTOBAHN_SPEC"].flatMap { $0.isEmpty ? nil : $0 } ?? "small"

    static var specFile: URL { sources.appending(path: "\(spec).json") }

    /// Many times what a run takes.
    static var limit: Duration { spec == "small" ? .seconds(600) : .seconds(3_600) }

    private static let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Autobahn")

    /// Runs the cases a spec names against the server at a port of 127.0.0.1. After `limit` it is killed, by its id.
    static func run(_ spec: URL, port: Int, in folder: String, atMost limit: Duration) async throws -> Outcome {
        let output = FileManager.default.temporaryDirectory.appending(path: "drive-autobahn-\(UUID().uuidString)")
        try Data().write(to: output)
        defer { try? FileManager.default.removeItem(at: output) }
        let writing = try FileHandle(forWritingTo: output)
        defer { try? writing.close() }

        let process = Process()
        process.executableURL = URL(filePath: folder).appending(path: "bin/python")
        // Isolated (-I), for a developer's own settings of Python change nothing here.
        process.arguments = [
            "-I", sources.appending(path: "fuzz.py").path, "ws://127.0.0.1:\(port)/", "--spec", spec.path, "--verbose",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = writing
        process.standardError = writing
        let ended = Signal()
        process.terminationHandler = { _ in ended.fire() }
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        var status: Int32?
        do {
            try await within(limit) {
                await ended.wait()
                try Task.checkCancellation()
            }
            status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        } catch is TimedOut {}
        return Outcome(status: status, output: String(decoding: try Data(contentsOf: output), as: UTF8.self))
    }
}
