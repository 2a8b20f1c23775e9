import ArgumentParser
import DriveClient
import DriveModel

/// `drive uploads`.
struct UploadsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "uploads",
        abstract: "List and cancel uploads.",
        subcommands: [List.self, Cancel.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List your uploads.",
            discussion: """
                Examples:
                  drive uploads list
                  drive uploads list --status InProgress --json

                \(ExitStatus.help)
                """)

        @OptionGroup var options: ClientOptions

        @Option(help: "Only those: Pending, InProgress, Paused, Completed, Failed, Cancelled, Expired (DRIVE_STATUS).")
        var status: String?

        @Option(help: "Uploads to list at most (DRIVE_LIMIT; default 50).")
        var limit: Int?

        @Option(help: "Uploads to leave out at the start (DRIVE_OFFSET).")
        var offset: Int?

        func run() async throws {
            let command = self
            try await options.run { context in
                let settings = context.settings
                let names = TaskStatus.allCases.map(\.rawValue).joined(separator: ", ")
                let status = try settings.value(command.status, "DRIVE_STATUS", expecting: "one of \(names)") { text in
                    TaskStatus.allCases.first { $0.rawValue.lowercased() == text.lowercased() }
                }
                let page = try await context.client.uploads(
                    status: status, offset: try settings.number(command.offset, "DRIVE_OFFSET") ?? 0,
                    limit: try settings.number(command.limit, "DRIVE_LIMIT", minimum: 1) ?? 50)
                if context.console.json { return try context.console.answer(json: page.elements) }
                context.console.answer(
                    table: page.elements.map {
                        [
                            $0.taskId, $0.status.rawValue, "\(Int($0.progress)) %", Quantity.text(bytes: $0.fileSize),
                            $0.lastActivity.shortText, $0.fileName,
                        ]
                    })
                if let total = page.total, total > page.elements.count {
                    context.console.hint("\(page.elements.count) of \(total) uploads.")
                }
            }
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Cancel uploads and give back what they hold.",
            discussion: """
                Example:
                  drive uploads cancel 3kTz…

                \(ExitStatus.help)
                """)

        @Argument(help: "The uploads' task ids.")
        var ids: [String]

        @OptionGroup var options: ClientOptions

        @Option(help: "Where unfinished uploads are remembered (DRIVE_STATE_DIR).", completion: .directory)
        var stateDir: String?

        func run() async throws {
            let command = self
            try await options.run { context in
                let state = context.settings.text(command.stateDir, "DRIVE_STATE_DIR")
                let manager = UploadManager(client: context.client, options: UploadOptions(stateDirectory: state))
                for id in command.ids {
                    try await manager.cancelTask(id)
                    if context.console.json { try context.console.answer(json: ["cancelled": id]) }
                }
            }
        }
    }
}
