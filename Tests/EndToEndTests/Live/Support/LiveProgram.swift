import DriveModel
import Foundation
import Testing

/// A client of live events that others wrote, in a process of its own. It tells what it sees in lines of JSON.
struct LiveProgram: Sendable {
    private let process: WorkerProcess

    /// - Parameter folder: for the temporary files it makes; nil where it makes none.
    init(_ client: PythonClient, _ arguments: [String], token: String, folder: String? = nil) throws {
        var environment = ["DRIVE_TOKEN": token]
        environment["TMPDIR"] = folder
        process = try WorkerProcess(client.command(arguments), environment: environment)
    }

    /// What it told so far.
    func lines() throws -> [JSONValue] {
        let output = process.output
        let whole = output[..<(output.lastIndex(of: "\n") ?? output.startIndex)]
        return try whole.split(separator: "\n").map { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) }
    }

    /// Waits until it has told this.
    func told(_ what: String, within limit: Duration = .seconds(30), _ condition: ([JSONValue]) throws -> Bool) async throws {
        do {
            try await eventually(within: limit, what) { try condition(lines()) }
        } catch is TimedOut {
            throw TimedOut(what: "\(what); it told \(process.output.suffix(4000))\n\(process.log.suffix(4000))")
        }
    }

    /// Waits for its end, which must be a success.
    /// - Returns: all it told.
    func ended(within limit: Duration = .seconds(30), sourceLocation: SourceLocation = #_sourceLocation) async throws -> [JSONValue] {
        do {
            let exit = try await process.waitForEnd(atMost: limit)
            #expect(exit == .exited(0), "\(process.log.suffix(4000))", sourceLocation: sourceLocation)
        } catch is TimedOut {
            throw TimedOut(what: "its end; it told \(process.output.suffix(4000))\n\(process.log.suffix(4000))")
        }
        return try lines()
    }
}
