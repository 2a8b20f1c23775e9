import DriveModel
import Foundation
import Testing

/// A client of the Python registry, driven by a program in `scripts/clients`: of tus, or of live events.
enum PythonClient: String, Sendable {
    case tuspy = "tuspy_client.py"
    case aiotus = "aiotus_client.py"
    case websockets = "websockets_client.py"
    case chromium = "chromium_client.py"

    /// What its last line says.
    struct Report: Decodable, Sendable {
        var url: String
        /// The server's offset when it began; nil for a new upload.
        var found: Int?
        /// Names and texts, or null.
        var metadata: JSONValue?
    }

    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// `DRIVE_TEST_PYTHON`, else what `scripts/python-clients` made. Throws where neither is there: no test is skipped.
    private static func interpreter() throws -> String {
        let made = repository.appendingPathComponent(".build/python-clients/bin/python").path
        let named = ProcessInfo.processInfo.environment["DRIVE_TEST_PYTHON"] ?? ""
        let path = named.isEmpty ? made : named
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw CommandFailed(description: "no Python with the clients at \(path): scripts/python-clients makes it, scripts/test too")
        }
        return path
    }

    private var script: String { Self.repository.appendingPathComponent("scripts/clients/\(rawValue)").path }

    /// The program and its arguments.
    func command(_ arguments: [String]) throws -> [String] { try [Self.interpreter(), script] + arguments }

    /// Runs it to its end, which must be a success.
    func run(
        _ arguments: [String], token: String, atMost limit: Duration = .seconds(60), sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Report {
        let result = try await DriveCommand.run(
            [script] + arguments, program: Self.interpreter(), environment: ["DRIVE_TOKEN": token], atMost: limit)
        let said = "\(self) \(arguments): \(result.exit)\n\(result.output)\(result.errors.suffix(4000))"
        try #require(result.exit == .exited(0), "\(said)", sourceLocation: sourceLocation)
        let line = try #require(result.output.split(separator: "\n").last, "\(said)", sourceLocation: sourceLocation)
        return try JSONDecoder().decode(Report.self, from: Data(line.utf8))
    }

    /// Starts it, to be killed.
    /// - Parameter errorPath: where what it says on stderr is kept.
    func start(_ arguments: [String], token: String, errorPath: String) throws -> ChildProcess {
        let output = open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard output >= 0 else { throw CommandFailed(description: "no /dev/null") }
        defer { close(output) }
        return try ChildProcess(
            [Self.interpreter(), script] + arguments, environment: DriveCommand.environment(["DRIVE_TOKEN": token]), output: output,
            errorPath: errorPath)
    }
}
