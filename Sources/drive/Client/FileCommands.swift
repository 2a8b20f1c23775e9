import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// `drive ls`.
struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List your files.",
        discussion: """
            Examples:
              drive ls
              drive ls holiday --sort size --limit 20
              drive ls --json | jq -r '.[].id'

            \(ExitStatus.help)
            """)

    @Argument(help: "Only files whose name contains this (DRIVE_QUERY).")
    var query: String?

    @OptionGroup var options: ClientOptions

    @Option(help: "Files to list at most (DRIVE_LIMIT; default 50).")
    var limit: Int?

    @Option(help: "Files to leave out at the start (DRIVE_OFFSET).")
    var offset: Int?

    @Option(help: "Field to sort by: name, size, createdAt, updatedAt (DRIVE_SORT).")
    var sort: String?

    func run() async throws {
        let command = self
        try await options.run { context in
            let settings = context.settings
            let page = try await context.client.files(
                offset: try settings.number(command.offset, "DRIVE_OFFSET") ?? 0,
                limit: try settings.number(command.limit, "DRIVE_LIMIT", minimum: 1) ?? 50,
                query: settings.text(command.query, "DRIVE_QUERY"), sortBy: settings.text(command.sort, "DRIVE_SORT"))
            if context.console.json { return try context.console.answer(json: page.elements) }
            let rows = page.elements.map { [$0.id, Quantity.text(bytes: $0.size), $0.createdAt.shortText, $0.name] }
            context.console.answer(table: rows)
            if let total = page.total, total > rows.count { context.console.hint("\(rows.count) of \(total) files.") }
        }
    }
}

/// `drive rm`.
struct RemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Delete files.",
        discussion: """
            Examples:
              drive rm 7Fq2…
              drive ls old --json | jq -r '.[].id' | xargs drive rm

            \(ExitStatus.help)
            """)

    @Argument(help: "The files' ids.")
    var ids: [String]

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            var firstFailure: ExitCode?
            for id in command.ids {
                do {
                    try await context.client.deleteFile(id: id)
                    if context.console.json { try context.console.answer(json: ["deleted": id]) }
                } catch let error as DriveClientError where ExitStatus(error) == .notFound && command.ids.count > 1 {
                    let code = context.console.fail(error)
                    firstFailure = firstFailure ?? code
                }
            }
            if let firstFailure { throw firstFailure }
        }
    }
}

/// `drive info`.
struct InfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show what is known about a file.",
        discussion: """
            Examples:
              drive info 7Fq2…
              drive info 7Fq2… --json | jq -r .hash

            \(ExitStatus.help)
            """)

    @Argument(help: "The file's id.")
    var id: String

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            let file = try await context.client.info(fileId: command.id)
            if context.console.json { return try context.console.answer(json: file) }
            var rows = [
                ["id", file.id], ["name", file.name], ["size", "\(file.size) bytes (\(Quantity.text(bytes: file.size)))"],
                ["type", file.contentType], ["sha256", file.hash], ["pool", file.poolId.lowercaseString],
                ["created", file.createdAt.description], ["updated", file.updatedAt.description],
            ]
            if let bundle = file.bundleId { rows.append(["bundle", bundle.lowercaseString]) }
            if let expiry = file.expiredAt { rows.append(["expires", expiry.description]) }
            if !file.userMeta.isEmpty { rows.append(["meta", try DriveJSON.text(file.userMeta)]) }
            context.console.answer(table: rows)
        }
    }
}

extension Timestamp {
    /// To the minute, in UTC: `2025-11-09 02:00`.
    var shortText: String {
        String(description.prefix(16)).replacing("T", with: " ")
    }
}
