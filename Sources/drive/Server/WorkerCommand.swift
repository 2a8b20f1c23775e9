import ArgumentParser
import DriveServer
import Foundation

/// `drive worker`.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Run background tasks beside the server, over PostgreSQL.",
        discussion: """
            drive serve runs tasks itself; workers apart take load off it, on the same machine or on others that see the same pool
            folders. SIGTERM and Ctrl-C let running tasks run on for DRIVE_TASK_DRAIN_TIME, then give them back: they go on elsewhere
            where they were.

            Examples:
              DATABASE_URL=postgres://drive@db/drive drive worker --data /srv/drive
              DATABASE_URL=… DRIVE_TASK_SLOTS=8 drive worker

            \(ExitStatus.help)
            """)

    @OptionGroup var options: ServerOptions

    func run() async throws {
        try await Failure.translating {
            let configuration = try options.configuration()
            if let refusal = DriveApplication.workerRefusal(configuration) { throw Failure(.configuration, refusal) }
            LogOutput.standardError(configuration.log).bootstrap()
            try await DriveApplication.work(configuration) { name in
                Output.line("drive: worker \(name) is ready")
            }
        }
    }
}
