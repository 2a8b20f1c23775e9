import ArgumentParser
import DriveServer
import Foundation

/// `drive serve`.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the server.",
        discussion: """
            The first start makes the data folder, its secrets, the account admin, and prints a token for it. SIGTERM and Ctrl-C let
            running requests finish, within DRIVE_STOP_DEADLINE.

            Examples:
              drive serve --data ./data
              drive serve --data /srv/drive --host 0.0.0.0 --port 443
              DATABASE_URL=postgres://drive@db/drive drive serve

            Every setting is also an environment variable and a line of drive.yaml; docs/configuration.md and --settings list them.

            \(ExitStatus.help)
            """)

    @OptionGroup var options: ServerOptions

    @Option(help: ArgumentHelp("The address to listen on (DRIVE_HOST; default 127.0.0.1).", valueName: "address"))
    var host: String?

    @Option(help: ArgumentHelp("The port to listen on, 0 for a free one (DRIVE_PORT; default 8080).", valueName: "port"))
    var port: String?

    @Flag(help: "Print every setting with its environment variable and end.")
    var settings = false

    func run() async throws {
        if settings { return Output.line(SettingsDocument.help()) }
        try await Failure.translating {
            let configuration = try options.configuration(["server.host": host, "server.port": port])
            LogOutput.standardError(configuration.log).bootstrap()
            try await DriveApplication.serve(configuration) { address, token in
                Output.line("drive: listening on \(address)")
                if let token {
                    Output.line("drive: sign-in token of the account admin (shown once; more by `drive token create`):")
                    Output.line(token)
                }
            }
        }
    }
}
