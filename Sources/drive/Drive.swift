import ArgumentParser

@main
struct Drive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drive",
        abstract: "Resumable uploads that survive bad networks: server and client in one program.",
        discussion: """
            Examples:
              drive serve --data ./data
              export DRIVE_TOKEN=$(drive token create --data ./data --account alice --create)
              drive upload holiday.mp4
              drive ls

            \(ExitStatus.help)
            """,
        version: "drive 0.1.0",
        groupedSubcommands: [
            CommandGroup(
                name: "Files",
                subcommands: [
                    UploadCommand.self, DownloadCommand.self, ListCommand.self, RemoveCommand.self, InfoCommand.self,
                    UploadsCommand.self,
                ]),
            CommandGroup(name: "Tasks", subcommands: [TasksCommand.self, WatchCommand.self]),
            CommandGroup(
                name: "Server",
                subcommands: [
                    ServeCommand.self, WorkerCommand.self, TokenCommand.self, AccountCommand.self, PoolCommand.self, CheckCommand.self,
                ]),
        ])
}
