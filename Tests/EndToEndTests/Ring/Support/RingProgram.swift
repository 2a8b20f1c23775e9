import DriveModel
import Foundation
import Testing

/// A Python program of `Harness` that takes lines of JSON on stdin and tells others on stdout. It ends with its last reference at
/// the latest.
final class RingProgram: Sendable {
    private let name: String
    private let folder: String
    private let child: ChildProcess
    /// Our end of its stdin: a socket, so that a write to a program that has ended is no signal.
    private let input: Int32
    private let writing = DispatchQueue(label: "drive-e2e.ring.writing")

    init(_ script: String, _ arguments: [String]) throws {
        name = script
        folder = try TemporaryFolder.make("ring")
        let output = open(folder + "/stdout", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw CommandFailed(description: "no file for the output") }
        defer { close(output) }
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw CommandFailed(description: "no socket")
        }
        defer { close(ends[1]) }
        do {
            child = try ChildProcess(
                [try Self.interpreter(), Self.path(of: script)] + arguments, environment: DriveCommand.environment([:]), input: ends[1],
                output: output, errorPath: folder + "/stderr")
        } catch {
            close(ends[0])
            throw error
        }
        input = ends[0]
    }

    deinit {
        child.killGroup()
        close(input)
        TemporaryFolder.remove(folder)
    }

    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func path(of script: String) -> String {
        repository.appendingPathComponent("Tests/EndToEndTests/Harness/\(script)").path
    }

    /// `DRIVE_TEST_PYTHON`, else what `scripts/python-clients` made. Throws where neither is there: no test is skipped.
    static func interpreter() throws -> String {
        let made = repository.appendingPathComponent(".build/python-clients/bin/python").path
        let named = ProcessInfo.processInfo.environment["DRIVE_TEST_PYTHON"] ?? ""
        let path = named.isEmpty ? made : named
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw CommandFailed(description: "no Python with the packages of the tests at \(path): scripts/python-clients makes it")
        }
        return path
    }

    /// Everything on stderr so far.
    var log: String { DriveCommand.text(folder + "/stderr") }

    /// Sends a line, after those before it. It returns before the program has it.
    func post(_ line: JSONValue) throws {
        let bytes = Array((try DriveJSON.text(line) + "\n").utf8)
        writing.async { [self] in _ = LoopbackSocket.send(bytes[...], to: input) }
    }

    /// What it told so far.
    func lines() throws -> [JSONValue] {
        let output = DriveCommand.text(folder + "/stdout")
        let whole = output[..<(output.lastIndex(of: "\n") ?? output.startIndex)]
        return try whole.split(separator: "\n").map { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) }
    }

    /// Waits until it has told what is wanted, and returns that.
    func told<Value>(_ what: String, within limit: Duration = .seconds(30), _ find: ([JSONValue]) throws -> Value?) async throws -> Value {
        let deadline = ContinuousClock.now + limit
        while true {
            if let found = try find(lines()) { return found }
            if let exit = child.ended { throw CommandFailed(description: "\(name): \(exit)\n\(log.suffix(4000))") }
            guard ContinuousClock.now < deadline else {
                throw TimedOut(what: "\(what); \(name) told last \(try lines().suffix(10))\n\(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
