import ArgumentParser
import DriveClient
import DriveModel

/// Whose tasks.
struct ScopeOptions: ParsableArguments {
    @Flag(help: "Tasks of every account; for administrators.")
    var allAccounts = false

    var scope: AccountScope { allAccounts ? .all : .own }
}

/// `drive tasks list`.
struct TasksListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List your tasks, those that changed last first.",
        discussion: """
            Examples:
              drive tasks list --status Failed
              drive tasks list --type Custom --kind word-count --sort createdAt
              drive tasks list --json | jq -r '.[].taskId'

            \(ExitStatus.help)
            """)

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions
    @OptionGroup var page: PageOptions

    @Option(help: "Only those: Pending, InProgress, Paused, Completed, Failed, Cancelled, Expired (DRIVE_STATUS).")
    var status: String?

    @Option(help: "Only of this type, such as FileMove or Custom.")
    var type: String?

    @Option(help: "Only Custom tasks of this kind.")
    var kind: String?

    @Option(help: "Only those of this batch.")
    var batch: String?

    @Option(help: "Only those of the account with this id; with --all-accounts.")
    var account: String?

    @Option(
        help: "Field to sort by: name, type, status, priority, progress, createdAt, updatedAt, lastActivity (DRIVE_SORT).")
    var sort: String?

    @Flag(inversion: .prefixedNo, help: "The last first (default).")
    var descending = true

    func validate() throws {
        if account != nil, !scope.allAccounts { throw ValidationError("--account goes with --all-accounts.") }
        _ = try filter(Settings())
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            let (offset, limit) = try command.page.values(context.settings)
            let page = try await context.client.tasks(
                try command.filter(context.settings), offset: offset, limit: limit, of: command.scope.scope)
            try context.console.answer(tasks: page.elements, total: page.total, showsAccounts: command.scope.allAccounts)
        }
    }

    private func filter(_ settings: Settings) throws -> TaskFilter {
        TaskFilter(
            type: try type.map { try TaskArgument.named($0, "--type") }, kind: kind,
            status: try settings.text(status, "DRIVE_STATUS").map { try TaskArgument.named($0, "--status") }, batchId: batch,
            accountId: try account.map { try TaskArgument.uuid($0, "--account") }, sortBy: settings.text(sort, "DRIVE_SORT"),
            sortDescending: descending ? nil : false)
    }
}

/// `drive tasks show`.
struct TasksShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show what is known about a task.",
        discussion: """
            Examples:
              drive tasks show 3kTz…
              drive tasks show 3kTz… --json | jq .results

            \(ExitStatus.help)
            """)

    @Argument(help: "The task's id.")
    var id: String

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            let task = try await context.client.task(command.id, of: command.scope.scope)
            if context.console.json { return try context.console.answer(json: task) }
            context.console.answer(table: try task.facts())
        }
    }
}

/// `drive tasks recent`.
struct TasksRecentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "recent", abstract: "List the tasks that were made last.")

    @OptionGroup var options: ClientOptions

    @Option(help: "Tasks to list at most (DRIVE_LIMIT; default 10).")
    var limit: Int?

    func run() async throws {
        let command = self
        try await options.run { context in
            let limit = try context.settings.number(command.limit, "DRIVE_LIMIT", minimum: 1) ?? 10
            try context.console.answer(tasks: try await context.client.recentTasks(limit: limit))
        }
    }
}

/// `drive tasks stats`.
struct TasksStatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stats", abstract: "Count your tasks by status and type.")

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions

    func run() async throws {
        let scope = scope.scope
        try await options.run { context in
            let statistics = try await context.client.taskStatistics(of: scope)
            if context.console.json { return try context.console.answer(json: statistics) }
            let counts = [
                ("tasks", statistics.totalTasks), ("pending", statistics.pendingTasks), ("in progress", statistics.inProgressTasks),
                ("paused", statistics.pausedTasks), ("completed", statistics.completedTasks), ("failed", statistics.failedTasks),
                ("cancelled", statistics.cancelledTasks), ("expired", statistics.expiredTasks), ("dead letters", statistics.deadLetters),
            ]
            context.console.answer(
                table: counts.map { [$0.0, String($0.1)] } + [["average progress", "\(Int(statistics.averageProgress)) %"]]
                    + statistics.byType.sorted { $0.key < $1.key }.map { [$0.key, String($0.value)] })
        }
    }
}
