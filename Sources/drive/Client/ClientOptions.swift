import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// Which server, as whom, and how the answer is printed: what every client command takes.
struct ClientOptions: ParsableArguments {
    @Option(help: "The server's address (DRIVE_SERVER; default http://127.0.0.1:8080).")
    var server: String?

    @Option(help: "The token to sign in with (DRIVE_TOKEN). Other users of this machine can see options: prefer the variable or a file.")
    var token: String?

    @Option(help: "A file with the token (DRIVE_TOKEN_FILE).", completion: .file())
    var tokenFile: String?

    @Option(
        help: "A PEM file with certificates of authorities to trust beside the system's, for a private CA (DRIVE_CA_FILE).",
        completion: .file())
    var caFile: String?

    @Flag(help: "Print JSON for programs (DRIVE_JSON=1). Errors come as JSON on standard error.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress and no hints (DRIVE_QUIET=1).")
    var quiet = false

    /// Reads options and environment, runs `body` with a client, and turns errors into messages and exit status.
    func run(_ body: @escaping @Sendable (ClientContext) async throws -> Void) async throws {
        let settings = Settings()
        let console = Console(json: try settings.flag(json, "DRIVE_JSON"), quiet: try settings.flag(quiet, "DRIVE_QUIET"))
        do {
            let address = try ServerAddress(settings.text(server, "DRIVE_SERVER") ?? "http://127.0.0.1:8080")
            let authorities = try settings.text(caFile, "DRIVE_CA_FILE").map { try CertificateAuthorities(pemFile: $0) }
            let token = try readToken(settings)
            if address.exposesTokens, token != nil {
                console.hint("Warning: \(address) is not encrypted; the token can be read on the way.")
            }
            try await interruptible {
                try await DriveClient.withClient(server: address, authorities: authorities, token: { token }) { client in
                    try await body(ClientContext(client: client, console: console, settings: settings))
                }
            }
        } catch let error as DriveClientError {
            throw console.fail(error)
        } catch is CancellationError {
            throw console.fail(.cancelled)
        }
    }

    private func readToken(_ settings: Settings) throws(DriveClientError) -> String? {
        // The nearer wins: an option over a variable, and the token itself over a file of the same kind.
        if let token { return token }
        if tokenFile == nil, let token = settings.text(nil, "DRIVE_TOKEN") { return token }
        guard let path = settings.text(tokenFile, "DRIVE_TOKEN_FILE") else { return nil }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw .file(path: path, reason: "the token cannot be read")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// What a running client command works with.
struct ClientContext: Sendable {
    let client: DriveClient
    let console: Console
    let settings: Settings

    /// The pool's id by its UUID or its name.
    func poolId(_ option: String?) async throws -> UUID? {
        guard let text = settings.text(option, "DRIVE_POOL") else { return nil }
        return try await poolId(named: text)
    }

    /// The same, of this text alone: for what an upload's default must not decide.
    func poolId(named text: String) async throws -> UUID {
        if let id = UUID(uuidString: text) { return id }
        let pools = try await client.pools()
        if let pool = pools.first(where: { $0.name == text }) { return pool.id }
        let names = pools.map(\.name).sorted().joined(separator: ", ")
        throw DriveClientError.invalidArgument("There is no pool \"\(text)\"; there are: \(names).")
    }
}
