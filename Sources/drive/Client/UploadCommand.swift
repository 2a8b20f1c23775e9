import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// `drive upload`.
struct UploadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upload",
        abstract: "Upload files; called again after an interruption, send only what is missing.",
        discussion: """
            Examples:
              drive upload film.mkv
              drive upload --pool archive --parallel 6 *.tar
              drive upload --dedupe big.iso     # hash first, send only new content
              tar cf - photos | drive upload - --name photos.tar
              drive upload --json report.pdf | jq -r .id

            Ctrl-C, a lost network and kill -9 lose nothing that the server acknowledged: run the same command again. \
            What is needed for that is kept in $XDG_STATE_HOME/drive/uploads (or ~/.local/state), never with your token. \
            An upload that is cancelled elsewhere ends at once, with 69, and is begun anew by the next call alone; one that is \
            paused elsewhere ends with 75, and goes on with the next call after drive tasks resume.

            Standard input is spooled to a temporary file first, whose upload cannot be continued by a later command; paused \
            elsewhere, it is cancelled. Of several files, one that fails for itself does not keep the others from it; \
            an error that the next one would meet, too, ends the command and names those that were not tried. \
            With --json each finished file is one line: the file as the server has it; \
            an error is one line on standard error, with the file's name, and in notTried the names of those not tried.

            \(ExitStatus.help)
            """)

    @Argument(help: "Files to upload; - is standard input.", completion: .file())
    var files: [String]

    @OptionGroup var options: ClientOptions

    @Option(help: "The pool's name or id (DRIVE_POOL).")
    var pool: String?

    @Option(help: "The bundle's id (DRIVE_BUNDLE).")
    var bundle: String?

    @Option(help: "The file's name on the server; for one file only, needed for - (DRIVE_NAME).")
    var name: String?

    @Option(help: "The media type; guessed by the name otherwise (DRIVE_CONTENT_TYPE).")
    var contentType: String?

    @Option(help: "When the file goes: a span like 30d, or 2030-01-31T12:00:00Z (DRIVE_EXPIRES).")
    var expires: String?

    @Option(help: "Bytes of a chunk, such as 8MiB (DRIVE_CHUNK_SIZE; default: the server's).")
    var chunkSize: String?

    @Option(help: "Chunks under way at once (DRIVE_PARALLEL; default 3).")
    var parallel: Int?

    @Option(help: "How long attempts may fail in a row, such as 90s or 2h (DRIVE_PATIENCE; default 5m).")
    var patience: String?

    @Flag(help: "Hash the whole file first, so that content you own already is not sent again (DRIVE_DEDUPE=1).")
    var dedupe = false

    @Option(help: "Where unfinished uploads are remembered (DRIVE_STATE_DIR).", completion: .directory)
    var stateDir: String?

    func validate() throws {
        guard !files.isEmpty else { throw ValidationError("Name at least one file.") }
        let settings = Settings()
        let name = settings.text(name, "DRIVE_NAME")
        if files.count > 1, name != nil { throw ValidationError("--name goes with one file only.") }
        if files.contains("-"), name == nil { throw ValidationError("Standard input has no name: give one with --name.") }
        if files.filter({ $0 == "-" }).count > 1 { throw ValidationError("Standard input can be read once only.") }
        _ = try uploadOptions(settings)
        _ = try context(settings, poolId: nil)
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            let manager = UploadManager(client: context.client, options: try command.uploadOptions(context.settings))
            let place = try command.context(context.settings, poolId: try await context.poolId(command.pool))
            var firstFailure: ExitCode?
            for (index, file) in command.files.enumerated() {
                do {
                    try await Self.upload(file, place, manager, context.console)
                } catch let error as DriveClientError {
                    let isNamed = command.files.count > 1 || file == "-"
                    let untried = error.concernsAllFiles ? Array(command.files.dropFirst(index + 1)) : []
                    let code = context.console.fail(error, file: file, isNamed: isNamed, notTried: untried)
                    if error.concernsAllFiles { throw code }
                    firstFailure = firstFailure ?? code
                }
            }
            if let firstFailure { throw firstFailure }
        }
    }

    private func uploadOptions(_ settings: Settings) throws -> UploadOptions {
        let chunkSize = try settings.value(chunkSize, "DRIVE_CHUNK_SIZE", expecting: "a size such as 8MiB", Quantity.bytes)
        let patience = try settings.value(patience, "DRIVE_PATIENCE", expecting: "a span such as 5m", Quantity.seconds)
        return UploadOptions(
            chunkSize: chunkSize, parallel: try settings.number(parallel, "DRIVE_PARALLEL", minimum: 1) ?? 3,
            retry: RetryPolicy(patience: .seconds(patience ?? 300)), verifyBeforeUpload: try settings.flag(dedupe, "DRIVE_DEDUPE"),
            stateDirectory: settings.text(stateDir, "DRIVE_STATE_DIR"), listens: true)
    }

    private func context(_ settings: Settings, poolId: UUID?) throws -> UploadContext {
        let expiry = try settings.value(expires, "DRIVE_EXPIRES", expecting: "a span such as 30d or a time as in RFC 3339") { text in
            Quantity.seconds(text).map { Surroundings.system.now() + .seconds($0) } ?? Timestamp(text)
        }
        return UploadContext(
            fileName: settings.text(name, "DRIVE_NAME"), contentType: settings.text(contentType, "DRIVE_CONTENT_TYPE"),
            poolId: poolId, bundleId: try settings.uuid(bundle, "DRIVE_BUNDLE"), expiredAt: expiry)
    }

    private static func upload(_ file: String, _ context: UploadContext, _ manager: UploadManager, _ console: Console) async throws {
        guard file == "-" else { return try await send(file, context, manager, console) }
        var context = context
        context.isResumable = false
        let spooled = try await StandardInput.spool()
        defer { unlink(spooled) }
        let size = (try? FileManager.default.attributesOfItem(atPath: spooled))?[.size] as? Int64 ?? 0
        console.hint(
            size <= manager.options.directLimit
                ? "Standard input has \(size) bytes: sent in one request."
                : "Standard input was spooled to a temporary file (\(Quantity.text(bytes: size))); this upload cannot be continued later.")
        try await send(spooled, context, manager, console)
    }

    private static func send(_ file: String, _ context: UploadContext, _ manager: UploadManager, _ console: Console) async throws {
        let handle = await manager.upload(file: file, context: context)
        var line = ProgressLine(name: context.fileName ?? file, console: console)
        var last: UploadUpdate?
        var isFailing = false
        for await update in await handle.updates() {
            line.show(update)
            if last?.resumedBytes != update.resumedBytes, update.resumedBytes > 0 {
                line.clear()
                console.hint("\(file): going on; \(Quantity.text(bytes: update.resumedBytes)) are on the server already.")
            }
            // Without a progress line a wait of minutes would pass in silence.
            if case .retrying(let error, in: _) = update.status, !isFailing, !console.showsProgress {
                console.hint(tryingAgainAfter: error, of: file)
            }
            if case .retrying = update.status { isFailing = true } else if case .uploading = update.status { isFailing = false }
            last = update
        }
        line.clear()
        switch last?.status {
        case .completed(let stored)?:
            if console.json { try console.answer(json: stored) } else { console.answer("\(stored.id)  \(stored.name)") }
            if let wish = context.fileName, wish != stored.name {
                console.hint("\(file): you have this content already, as \(stored.name); no second file was made.")
            }
        case .failed(let error)?:
            if case .cancelledOnServer = error, context.isResumable {
                console.hint("\(file): somebody cancelled it. To upload it all the same, run the same command again: it begins anew.")
            }
            throw error
        default:
            // The stream ended before the upload did: Ctrl-C.
            await manager.pause(handle.id)
            if context.isResumable {
                console.hint("\(file): stopped at \(Int(last?.progress.percent ?? 0)) %. To go on, run the same command again.")
            }
            throw DriveClientError.cancelled
        }
    }
}

extension DriveClientError {
    /// Whether the next file would meet the same.
    fileprivate var concernsAllFiles: Bool {
        switch self {
        // Worth another try later, but of this file's own.
        case .pausedOnServer, .busy, .fileChanged: false
        case .server(let reply, _) where reply.code == DriveError.Code.chunkDigestMismatch.name: false
        default: [.notSignedIn, .interrupted, .retryable, .configuration].contains(ExitStatus(self))
        }
    }
}
