import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// `drive tasks bulk`.
struct TasksBulkCommand: AsyncParsableCommand {
    /// `BulkOperation.Kind` as it is typed.
    enum Operation: String, ExpressibleByArgument, CaseIterable {
        case delete, move, rename
        case setExpiry = "set-expiry"
        case addToBundle = "add-to-bundle"
        case removeFromBundle = "remove-from-bundle"

        var kind: BulkOperation.Kind {
            switch self {
            case .delete: .delete
            case .move: .move
            case .rename: .rename
            case .setExpiry: .setExpiry
            case .addToBundle: .addToBundle
            case .removeFromBundle: .removeFromBundle
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "bulk",
        abstract: "Change many files, by their ids or by what they are.",
        discussion: """
            Say --dry-run to see what would happen (drive tasks items ID lists it, with the new names), --confirm to have it done. \
            Filters go together: a file has to fit all of them.

            Examples:
              drive tasks bulk delete --older-than 30 --name '*.tmp' --dry-run --watch
              drive tasks bulk rename --name 'IMG_*' --find IMG_ --replace holiday- --confirm
              drive tasks bulk set-expiry 7Fq2… 9Lm3… --expires 90d --confirm
              drive tasks bulk set-expiry --in-bundle 0190… --expires never --confirm
              drive tasks bulk move --type 'video/*' --min-size 1GiB --to-pool archive --confirm
              drive tasks bulk add-to-bundle --in-pool photos --to-bundle 0190… --confirm

            With --watch: exit status 1 where it Failed, was Cancelled or Expired.
            \(ExitStatus.help)
            """)

    @Argument(help: "What happens to the files.")
    var operation: Operation

    @Argument(help: "The files' ids; none: those that the filters choose.")
    var files: [String] = []

    @Flag(help: "Change nothing; tell what would be done.")
    var dryRun = false

    @Flag(help: "Yes, do it.")
    var confirm = false

    @OptionGroup(title: "Filters") var filter: BulkFilterOptions
    @OptionGroup(title: "What they become") var change: BulkChangeOptions
    @OptionGroup var watch: WatchOptions
    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard dryRun != confirm else { throw ValidationError("Say --dry-run to see what would happen, or --confirm to have it done.") }
        let filter = try filter.filter(pool: nil)
        guard !files.isEmpty || filter != BulkOperation.Filter() || self.filter.inPool != nil else {
            throw ValidationError("Name the files by their ids or by a filter.")
        }
        if let problem = change.problem(of: operation) { throw ValidationError("\(operation.rawValue) \(problem).") }
        _ = try change.change(pool: nil)
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            let filter = try command.filter.filter(pool: try await context.chosenPool(command.filter.inPool))
            let change = try command.change.change(pool: try await context.chosenPool(command.change.toPool))
            let operation = BulkOperation(
                command.operation.kind, targetIds: command.files, filter: filter, change: change,
                mode: command.dryRun ? .dryRun : .confirmed)
            try await context.create(.bulk(operation), command.watch)
        }
    }
}
