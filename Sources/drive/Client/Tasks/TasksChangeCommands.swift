import ArgumentParser
import DriveClient
import DriveModel

/// What the commands take that change the status of tasks.
struct TaskChangeOptions: ParsableArguments {
    @Argument(help: "The tasks' ids.")
    var ids: [String]

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions

    func run(
        _ change: @escaping @Sendable (DriveClient, String, AccountScope) async throws(DriveClientError) -> TaskSummary
    ) async throws {
        let arguments = self
        try await options.run { context in
            try await context.forEach(arguments.ids) { id in
                try context.console.answer(task: try await change(context.client, id, arguments.scope.scope))
            }
        }
    }
}

/// `drive tasks pause`.
struct TasksPauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Pause tasks; a running one stops at its next safe step.", discussion: ExitStatus.help)

    @OptionGroup var change: TaskChangeOptions

    func run() async throws {
        try await change.run { client, id, scope throws(DriveClientError) in try await client.pauseTask(id, of: scope) }
    }
}

/// `drive tasks resume`.
struct TasksResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let paused tasks go on where they were.", discussion: ExitStatus.help)

    @OptionGroup var change: TaskChangeOptions

    func run() async throws {
        try await change.run { client, id, scope throws(DriveClientError) in try await client.resumeTask(id, of: scope) }
    }
}

/// `drive tasks cancel`.
struct TasksCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Cancel tasks that have not ended.", discussion: ExitStatus.help)

    @OptionGroup var change: TaskChangeOptions

    func run() async throws {
        try await change.run { client, id, scope throws(DriveClientError) in try await client.cancelTask(id, of: scope) }
    }
}

/// `drive tasks retry`.
struct TasksRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Queue failed or cancelled tasks again, with all their attempts.", discussion: ExitStatus.help)

    @OptionGroup var change: TaskChangeOptions

    func run() async throws {
        try await change.run { client, id, scope throws(DriveClientError) in try await client.retryTask(id, of: scope) }
    }
}

/// `drive tasks priority`.
struct TasksPriorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "priority",
        abstract: "Set how urgent a task is.",
        discussion: """
            Example:
              drive tasks priority 3kTz… 80

            \(ExitStatus.help)
            """)

    @Argument(help: "The task's id.")
    var id: String

    @Argument(help: "0 to 100, higher first.")
    var priority: Int

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            let task = try await context.client.setTaskPriority(command.id, to: command.priority, of: command.scope.scope)
            try context.console.answer(task: task)
        }
    }
}

/// `drive tasks delete`.
struct TasksDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove ended tasks from the lists.", discussion: ExitStatus.help)

    @Argument(help: "The tasks' ids.")
    var ids: [String]

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            try await context.forEach(command.ids) { id in
                try await context.client.deleteTask(id, of: command.scope.scope)
                if context.console.json { try context.console.answer(json: ["deleted": id]) }
            }
        }
    }
}

/// `drive tasks cleanup`.
struct TasksCleanupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Remove all ended tasks that are older than so many days.",
        discussion: """
            Example:
              drive tasks cleanup --older-than 7

            \(ExitStatus.help)
            """)

    @Option(help: "Days since they ended, such as 7 or 4w (default: the server's).")
    var olderThan: String?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        _ = try days()
    }

    private func days() throws -> Int? {
        try olderThan.map { try TaskArgument.days($0, "--older-than") }
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            let removed = try await context.client.cleanUpTasks(olderThanDays: try command.days())
            if context.console.json { return try context.console.answer(json: ["removed": removed]) }
            context.console.answer(removed == 1 ? "1 task removed." : "\(removed) tasks removed.")
        }
    }
}
