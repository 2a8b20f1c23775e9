import ArgumentParser

/// `drive tasks`.
struct TasksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tasks",
        abstract: "Have the server do long work: move, change many files, your own kinds; follow and steer it.",
        discussion: """
            Examples:
              drive tasks
              drive tasks move 7Fq2… --pool archive --watch
              drive tasks bulk delete --older-than 30 --name '*.tmp' --dry-run
              drive tasks watch

            \(ExitStatus.help)
            """,
        groupedSubcommands: [
            CommandGroup(
                name: "Look",
                subcommands: [
                    TasksListCommand.self, TasksShowCommand.self, TasksWatchCommand.self, TasksRecentCommand.self, TasksStatsCommand.self,
                    TasksAttemptsCommand.self, TasksItemsCommand.self, TasksQueuesCommand.self,
                ]),
            CommandGroup(
                name: "Make",
                subcommands: [
                    TasksCreateCommand.self, TasksMoveCommand.self, TasksMigrateCommand.self, TasksBulkCommand.self,
                    TasksBatchCommand.self, TasksScheduleCommand.self,
                ]),
            CommandGroup(
                name: "Steer",
                subcommands: [
                    TasksPauseCommand.self, TasksResumeCommand.self, TasksCancelCommand.self, TasksRetryCommand.self,
                    TasksPriorityCommand.self, TasksDeleteCommand.self, TasksCleanupCommand.self, TasksDeadCommand.self,
                    TasksRedriveCommand.self,
                ]),
        ],
        defaultSubcommand: TasksListCommand.self)
}
