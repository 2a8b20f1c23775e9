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

    /// Whether remarks show.
    var showsHints: Bool { !quiet && !json }

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
        if showsHints { Self.printError(line) }
    }

    /// Says that something failed that may pass; of which file, where there may be several.
    func hint(tryingAgainAfter error: DriveClientError, of file: String? = nil) {
        let text = (file.map { "\($0): " } ?? "") + error.description
        hint(text + (text.hasSuffix(".") ? "" : ".") + " Trying again.")
    }

    static func printError(_ line: String) {
        StandardStream.error(line)
    }

    /// Prints an error. Returns what to throw: the exit status alone, as the message is out.
    /// - Parameters:
    ///   - file: the file of this machine that it is about, for programs; `-` is standard input.
    ///   - isNamed: whether a person is told the file, too, where the error itself does not name it.
    ///   - notTried: the files whose turn does not come because of it.
    func fail(_ error: DriveClientError, file: String? = nil, isNamed: Bool = false, notTried: [String] = []) -> ExitCode {
        let status = ExitStatus(error)
        if json, let line = try? DriveJSON.text(ErrorLine(error, status, file, notTried)) {
            Self.printError(line)
        } else {
            let text = Self.text(error, file: isNamed ? file : nil)
            Self.printError(status == .interrupted ? "drive: interrupted" : "drive: \(text)")
            if !notTried.isEmpty { Self.printError("drive: \(Self.text(notTried: notTried))") }
            if let advice = Self.advice(for: status) { hint(advice) }
        }
        return status.code
    }

    private static func text(_ error: DriveClientError, file: String?) -> String {
        let text = error.description
        guard let file else { return text }
        if file == "-" { return "standard input: \(text)" }
        // Errors name whole paths.
        return text.contains(URL(fileURLWithPath: file).standardizedFileURL.path) ? text : "\(file): \(text)"
    }

    private static func text(notTried files: [String]) -> String {
        let count = files.count == 1 ? "1 file was" : "\(files.count) files were"
        return "\(count) not tried: " + files.map(\.oneLine).joined(separator: ", ")
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
        var taskId: String?
        var file: String?
        var notTried: [String]?

        init(_ error: DriveClientError, _ status: ExitStatus, _ file: String?, _ notTried: [String]) {
            code = error.serverReply?.code ?? "CLIENT_" + (Self.name(error) ?? "\(status)".uppercased())
            taskId = error.taskId
            self.file = file
            self.notTried = notTried.isEmpty ? nil : notTried
            message = error.serverReply?.message ?? error.description
            requestId = error.serverReply?.requestId
            details = error.serverReply?.details
            exitStatus = status.rawValue
        }

        /// Of those that a program answers in ways of its own; nil where the exit status says enough.
        private static func name(_ error: DriveClientError) -> String? {
            switch error {
            case .cancelledOnServer: "UPLOAD_CANCELLED"
            case .pausedOnServer: "UPLOAD_PAUSED"
            case .uploadEnded: "UPLOAD_ENDED"
            default: nil
            }
        }
    }

    /// Columns under their heads; the last column is as long as it is.
    func answer(table rows: [[String]]) {
        Output.table(rows)
    }
}
