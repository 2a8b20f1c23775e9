import ArgumentParser
import DriveClient
import DriveModel

/// `drive tasks attempts`.
struct TasksAttemptsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attempts", abstract: "List the attempts that did not complete a task, and why.",
        discussion: ExitStatus.help)

    @Argument(help: "The task's id.")
    var id: String

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            let attempts = try await context.client.taskAttempts(command.id, of: command.scope.scope)
            if context.console.json { return try context.console.answer(json: attempts) }
            context.console.answer(
                table: attempts.map {
                    [
                        String($0.attempt), $0.outcome.rawValue, $0.endedAt.shortText, $0.worker.oneLine, $0.errorCode.oneLine,
                        $0.errorMessage.oneLine,
                    ]
                })
        }
    }
}

/// `drive tasks items`.
struct TasksItemsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "items", abstract: "List what became of each file of a task; of a dry run, what would.",
        discussion: ExitStatus.help)

    @Argument(help: "The task's id.")
    var id: String

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions
    @OptionGroup var page: PageOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            let (offset, limit) = try command.page.values(context.settings)
            let page = try await context.client.taskItems(command.id, offset: offset, limit: limit, of: command.scope.scope)
            if context.console.json { return try context.console.answer(json: page.elements) }
            context.console.answer(
                table: page.elements.map { [$0.itemId, $0.outcome.rawValue, ($0.code ?? "").oneLine, ($0.message ?? "").oneLine] })
            if let total = page.total, total > page.elements.count { context.console.hint("\(page.elements.count) of \(total) items.") }
        }
    }
}

/// `drive tasks queues`.
struct TasksQueuesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queues", abstract: "Show what waits and runs in every queue; for administrators.", discussion: ExitStatus.help)

    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await options.run { context in
            let queues = try await context.client.taskQueues()
            if context.console.json { return try context.console.answer(json: queues) }
            context.console.answer(
                table: [["QUEUE", "TYPE", "PENDING", "SCHEDULED", "RUNNING"]]
                    + queues.map { [$0.queue.oneLine, $0.type.rawValue, String($0.pending), String($0.scheduled), String($0.running)] })
        }
    }
}

/// `drive tasks dead`.
struct TasksDeadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead", abstract: "List dead letters: tasks that failed for good, with the reason.", discussion: ExitStatus.help)

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions
    @OptionGroup var page: PageOptions

    func run() async throws {
        let command = self
        try await options.run { context in
            let (offset, limit) = try command.page.values(context.settings)
            let page = try await context.client.deadTasks(offset: offset, limit: limit, of: command.scope.scope)
            if context.console.json { return try context.console.answer(json: page.elements) }
            context.console.answer(
                table: page.elements.map { task in
                    [
                        task.taskId, task.type.rawValue, (task.deadAt ?? task.updatedAt).shortText, task.name.oneLine,
                        "\(task.errorCode ?? "?"): \(task.errorMessage ?? "")".oneLine,
                    ]
                })
            if let total = page.total, total > page.elements.count {
                context.console.hint("\(page.elements.count) of \(total) dead letters.")
            }
        }
    }
}

/// `drive tasks redrive`.
struct TasksRedriveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redrive",
        abstract: "Queue dead letters again, with all their attempts.",
        discussion: """
            Examples:
              drive tasks redrive 3kTz…
              drive tasks redrive --all

            \(ExitStatus.help)
            """)

    @Argument(help: "The tasks' ids.")
    var ids: [String] = []

    @Flag(help: "All dead letters.")
    var all = false

    @OptionGroup var options: ClientOptions
    @OptionGroup var scope: ScopeOptions

    func validate() throws {
        guard ids.isEmpty == all else { throw ValidationError("Name the dead letters, or say --all.") }
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            let redriven = try await context.client.redriveTasks(command.all ? nil : command.ids, of: command.scope.scope)
            if context.console.json { return try context.console.answer(json: ["redriven": redriven]) }
            for id in redriven { context.console.answer(id) }
            let asked = Set(command.ids).count
            if redriven.count < asked { context.console.hint("\(asked - redriven.count) of them are no dead letters.") }
        }
    }
}
