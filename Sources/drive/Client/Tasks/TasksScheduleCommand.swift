import ArgumentParser
import DriveClient
import DriveModel

/// `drive tasks schedule`.
struct TasksScheduleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schedule", abstract: "Tasks that are made again and again by a timetable.",
        subcommands: [Create.self, List.self, Delete.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Have a task made again and again; one run at a time.",
            discussion: """
                Examples:
                  drive tasks schedule create --cron '30 3 * * *' --type Custom --kind report
                  drive tasks schedule create --cron '@every 15m' --type Custom --kind sync --param source=/srv
                  drive tasks schedule create --cron @daily --type BulkOperation --params old-files.json

                \(ExitStatus.help)
                """)

        @Option(help: "Minute, hour, day, month, weekday in UTC; or @daily and its like; or '@every 15m'.")
        var cron: String

        @OptionGroup var task: NewTaskOptions
        @OptionGroup var options: ClientOptions

        func run() async throws {
            let command = self
            try await options.run { context in
                let schedule = try await context.client.createTaskSchedule(cron: command.cron, task: try await command.task.request())
                if context.console.json { return try context.console.answer(json: schedule) }
                // Alone, for scripts.
                context.console.answer(schedule.scheduleId)
                context.console.hint(schedule.row.dropFirst().joined(separator: "  "))
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List your timetables.", discussion: ExitStatus.help)

        @OptionGroup var options: ClientOptions
        @OptionGroup var scope: ScopeOptions

        func run() async throws {
            let command = self
            try await options.run { context in
                let schedules = try await context.client.taskSchedules(of: command.scope.scope)
                if context.console.json { return try context.console.answer(json: schedules) }
                context.console.answer(table: schedules.map(\.row))
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End timetables; the tasks they made stay.", discussion: ExitStatus.help)

        @Argument(help: "The timetables' ids.")
        var ids: [String]

        @OptionGroup var options: ClientOptions
        @OptionGroup var scope: ScopeOptions

        func run() async throws {
            let command = self
            try await options.run { context in
                try await context.forEach(command.ids) { id in
                    try await context.client.deleteTaskSchedule(id, of: command.scope.scope)
                    if context.console.json { try context.console.answer(json: ["deleted": id]) }
                }
            }
        }
    }
}

extension TaskSchedule {
    fileprivate var row: [String] {
        let name = task.name ?? task.kind.map { "\(task.type.rawValue)/\($0)" } ?? task.type.rawValue
        return [scheduleId, cron.oneLine, "next \(nextRunAt.shortText)", lastTaskId.map { "last \($0)" } ?? "not yet", name.oneLine]
    }
}
