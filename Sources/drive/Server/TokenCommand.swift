import ArgumentParser
import DriveModel
import DriveServer
import Foundation

/// `drive token`.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make, list and revoke sign-in tokens.", subcommands: [Create.self, List.self, Revoke.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token and print it, alone, on standard output.",
            discussion: """
                The account is made where it is missing.

                Examples:
                  drive token create --account alice
                  export DRIVE_TOKEN=$(drive token create --account ci --ttl 12h)
                  drive token create --account root --role admin
                """)

        @OptionGroup var options: ServerOptions

        @Option(help: "The account's name (DRIVE_ACCOUNT).")
        var account: String?

        @Option(help: "user or admin (DRIVE_ROLE).")
        var role: String?

        @Option(help: "How long it holds: 90s, 15m, 12h, 30d (DRIVE_TTL; default 30d).")
        var ttl: String?

        @Option(help: "A name for the list of tokens (DRIVE_TOKEN_NAME).")
        var name: String?

        @Flag(help: "Print the token's record with it, as JSON.")
        var json = false

        func run() async throws {
            let settings = Settings()
            guard let account = settings.text(account, "DRIVE_ACCOUNT") else { throw ValidationError("Name the account: --account NAME.") }
            let role = try settings.value(role, "DRIVE_ROLE", expecting: "user or admin", AccountRole.init(rawValue:)) ?? .user
            let seconds = try settings.value(ttl, "DRIVE_TTL", expecting: "a time such as 12h or 30d", Quantity.seconds) ?? 30 * 86_400
            let name = settings.text(name, "DRIVE_TOKEN_NAME") ?? "command line"
            let json = json
            try await options.administer(existing: false) { context in
                let found = try await context.account(named: account, role: role)
                let issued = try await context.issuer.issueAccountToken(
                    accountId: found.id, name: name, role: role, lifetime: .seconds(seconds), by: .system)
                if json {
                    try Output.json(CreatedToken(token: issued.token, record: TokenReply(issued.record)))
                } else {
                    Output.line(issued.token)
                }
            }
        }

        private struct CreatedToken: Encodable {
            var token: String
            var record: TokenReply
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List an account's tokens; the tokens themselves are never stored.")

        @OptionGroup var options: ServerOptions

        @Option(help: "The account's name (DRIVE_ACCOUNT); all accounts where it is left out.")
        var account: String?

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let name = Settings().text(account, "DRIVE_ACCOUNT")
            let json = json
            try await options.administer { context in
                var accounts = try await context.accounts.accounts(limit: 10_000)
                if let name {
                    accounts = accounts.filter { $0.name == name }
                    guard !accounts.isEmpty else { throw Failure(.notFound, "there is no account named \(name)") }
                }
                var tokens: [(account: Account, record: TokenRecord)] = []
                for account in accounts {
                    tokens += try await context.accounts.tokens(of: account.id).map { (account, $0) }
                }
                if json { return try Output.json(tokens.map { TokenReply($0.record) }) }
                Output.table(
                    [["ID", "ACCOUNT", "ROLE", "EXPIRES", "STATE", "NAME"]]
                        + tokens.map { account, record in
                            let state =
                                record.revokedAt != nil ? "revoked" : record.expiresAt < context.surroundings.now() ? "expired" : "valid"
                            return [record.id, account.name, record.role.rawValue, "\(record.expiresAt)", state, record.name]
                        })
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Revoke a token; a running server refuses it within a second.")

        @OptionGroup var options: ServerOptions

        @Argument(help: "The token's id, from `drive token list`.")
        var id: String

        func run() async throws {
            let id = id
            try await options.administer { context in try await context.accounts.revokeToken(id, by: .system) }
        }
    }
}
