import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// `drive tasks move`.
struct TasksMoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Move files to another pool, another bundle, or both; or out of their bundles.",
        discussion: """
            Examples:
              drive tasks move 7Fq2… --pool archive --watch
              drive ls holiday --json | jq -r '.[].id' | xargs drive tasks move --bundle 0190…
              drive tasks move 7Fq2… --remove-from-bundle

            With --watch: exit status 1 where it Failed, was Cancelled or Expired.
            \(ExitStatus.help)
            """)

    @Argument(help: "The files' ids.")
    var files: [String]

    @Option(help: "The pool they go to, by name or id.")
    var pool: String?

    @Option(help: "The bundle they go to, by id.")
    var bundle: String?

    @Flag(help: "Take them out of their bundles; they stay where they are.")
    var removeFromBundle = false

    @OptionGroup var watch: WatchOptions
    @OptionGroup var options: ClientOptions

    func validate() throws {
        if removeFromBundle, pool != nil || bundle != nil {
            throw ValidationError("--remove-from-bundle goes with neither --pool nor --bundle.")
        }
        guard removeFromBundle || pool != nil || bundle != nil else {
            throw ValidationError("Say where to: --pool, --bundle, or both; or --remove-from-bundle.")
        }
        _ = try bundle.map { try TaskArgument.uuid($0, "--bundle") }
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            if command.removeFromBundle {
                let operation = BulkOperation(.removeFromBundle, targetIds: command.files, mode: .confirmed)
                return try await context.create(.bulk(operation), command.watch)
            }
            let pool = try await context.chosenPool(command.pool)
            let bundle = try command.bundle.map { try TaskArgument.uuid($0, "--bundle") }
            try await context.create(.fileMove(command.files, toPool: pool, toBundle: bundle), command.watch)
        }
    }
}

/// `drive tasks migrate`.
struct TasksMigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Move all that a pool holds to another one, while both are in use; for administrators.",
        discussion: """
            Example:
              drive tasks migrate --from old-disk --to new-disk --watch

            With --watch: exit status 1 where it Failed, was Cancelled or Expired.
            \(ExitStatus.help)
            """)

    @Option(help: "The pool to be emptied, by name or id.")
    var from: String

    @Option(help: "The pool to take all, by name or id.")
    var to: String

    @OptionGroup var watch: WatchOptions
    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard from != to else { throw ValidationError("--from and --to are the same pool.") }
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            let request = CreateTaskRequest.storageMigration(
                from: try await context.poolId(named: command.from), to: try await context.poolId(named: command.to))
            try await context.create(request, command.watch)
        }
    }
}

extension ClientContext {
    /// The pool's id where an option names one.
    func chosenPool(_ option: String?) async throws -> UUID? {
        guard let option else { return nil }
        return try await poolId(named: option)
    }
}
