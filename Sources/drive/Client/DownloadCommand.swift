import ArgumentParser
import DriveClient
import DriveModel
import Foundation
import Synchronization

/// `drive download`.
struct DownloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "download",
        abstract: "Download a file; called again after an interruption, fetch only what is missing.",
        discussion: """
            Bytes gather in PATH.part; the file gets its name when its SHA-256 is right.

            Examples:
              drive download 7Fq2…              # into this folder, under its own name
              drive download 7Fq2… -o film.mkv
              drive download 7Fq2… -o - | tar x # verified at the end: exit status 65

            \(ExitStatus.help)
            """)

    @Argument(help: "The file's id.")
    var id: String

    @OptionGroup var options: ClientOptions

    @Option(
        name: .shortAndLong, help: "Where to; a folder takes the file's own name, - is standard output (DRIVE_OUTPUT).", completion: .file()
    )
    var output: String?

    @Flag(name: .shortAndLong, help: "Replace a file that is there (DRIVE_FORCE=1).")
    var force = false

    @Option(help: "How long attempts may fail in a row, such as 90s or 2h (DRIVE_PATIENCE; default 5m).")
    var patience: String?

    func run() async throws {
        let command = self
        try await options.run { context in
            let settings = context.settings
            let patience = try settings.value(
                command.patience, "DRIVE_PATIENCE", expecting: "a span such as 5m", Quantity.seconds)
            let force = try settings.flag(command.force, "DRIVE_FORCE")
            let file = try await context.client.info(fileId: command.id)
            let output = settings.text(command.output, "DRIVE_OUTPUT")
            let path = Self.path(output, for: file)
            let target: Downloader.Target = output == "-" ? .descriptor(STDOUT_FILENO) : .file(path: path, replacing: force)
            let downloader = Downloader(client: context.client, retry: RetryPolicy(patience: .seconds(patience ?? 300)))
            try await Self.download(file, with: downloader, to: target, context.console)
            guard output != "-" else { return }
            if context.console.json {
                try context.console.answer(json: Saved(file: file, path: path))
            } else {
                context.console.answer(path)
            }
        }
    }

    private struct Saved: Encodable {
        var file: CloudFile
        var path: String
    }

    private static func path(_ output: String?, for file: CloudFile) -> String {
        let name = Downloader.localName(for: file.name)
        guard let output else { return name }
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: output, isDirectory: &isFolder)
        if output.hasSuffix("/") || (exists && isFolder.boolValue) {
            return output.hasSuffix("/") ? output + name : "\(output)/\(name)"
        }
        return output
    }

    private static func download(
        _ file: CloudFile, with downloader: Downloader, to target: Downloader.Target, _ console: Console
    ) async throws {
        let line = Mutex(ProgressLine(name: file.name, console: console))
        do {
            try await downloader.download(file, to: target) { update in line.withLock { $0.show(update) } }
            line.withLock { $0.clear() }
        } catch {
            line.withLock { $0.clear() }
            if error == .cancelled, case .file(let path, _) = target {
                console.hint("Stopped; \(path).part keeps what came. To go on, run the same command again.")
            }
            if case .fileExists = error { console.hint("Use --force to replace it, or -o for another place.") }
            throw error
        }
    }
}
