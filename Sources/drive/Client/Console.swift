import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// What the client commands print: answers to standard output, everything else to standard error.
struct Console: Sendable {
    let json: Bool
    let quiet: Bool

    /// Whether progress shows: a person is there and wants it.
    var showsProgress: Bool { !quiet && !json && isatty(STDERR_FILENO) == 1 }

    /// A line of the answer.
    func answer(_ line: String) {
        Output.line(line)
    }

    /// A value of the answer as one line of JSON.
    func answer(json value: some Encodable) throws {
        answer(try DriveJSON.text(value))
    }

    /// A remark for a person.
    func hint(_ line: String) {
        if !quiet, !json { Self.printError(line) }
    }

    /// Says that something failed that may pass.
    func hint(tryingAgainAfter error: DriveClientError) {
        let text = error.description
        hint(text + (text.hasSuffix(".") ? "" : ".") + " Trying again.")
    }

    static func printError(_ line: String) {
        StandardStream.error(line)
    }

    /// Prints an error. Returns what to throw: the exit status alone, as the message is out.
    func fail(_ error: DriveClientError) -> ExitCode {
        let status = ExitStatus(error)
        if json, let line = try? DriveJSON.text(ErrorLine(error, status)) {
            Self.printError(line)
        } else {
            Self.printError(status == .interrupted ? "drive: interrupted" : "drive: \(error)")
            if let advice = Self.advice(for: status) { hint(advice) }
        }
        return status.code
    }

    private static func advice(for status: ExitStatus) -> String? {
        switch status {
        case .notSignedIn: "Give a token with DRIVE_TOKEN or --token; the server's owner makes one: drive token create --account NAME"
        case .retryable: "This may pass: run the same command again later."
        default: nil
        }
    }

    private struct ErrorLine: Encodable {
        var code: String
        var message: String
        var requestId: String?
        var details: [String: JSONValue]?
        var exitStatus: Int32

        init(_ error: DriveClientError, _ status: ExitStatus) {
            code = error.serverReply?.code ?? "CLIENT_\(status)".uppercased()
            message = error.serverReply?.message ?? error.description
            requestId = error.serverReply?.requestId
            details = error.serverReply?.details
            exitStatus = status.rawValue
        }
    }

    /// Columns under their heads; the last column is as long as it is.
    func answer(table rows: [[String]]) {
        Output.table(rows)
    }
}
