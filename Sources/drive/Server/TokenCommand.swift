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
                An account that is not there is made with --create; the first of all without it too.

                Examples:
                  drive token create --account alice --create
                  export DRIVE_TOKEN=$(drive token create --account ci --ttl 12h)
                  drive token create --account root --role admin --create
                  drive token create --account alice --worker-kind resize --worker-kind ocr

                A worker's token is good for /tasks/work alone: it leases Custom tasks of its kinds and reports how they went.
                """)

        @OptionGroup var options: ServerOptions

        @Option(help: "The account's name (DRIVE_ACCOUNT).")
        var account: String?

        @Flag(help: "Make the account where it is missing (DRIVE_CREATE_ACCOUNT).")
        var create = false

        @Option(
            help: "user or admin (DRIVE_ROLE; default user, whatever the account is called); a worker's token has neither, its account may."
        )
        var role: String?

        @Option(help: "How long it holds: 90s, 15m, 12h, 30d (DRIVE_TTL; default 30d).")
        var ttl: String?

        @Option(help: "A name for the list of tokens (DRIVE_TOKEN_NAME).")
        var name: String?

        @Flag(help: "Make a worker's token, for tasks of every kind (DRIVE_WORKER).")
        var worker = false

        @Option(help: ArgumentHelp("Make a worker's token, for tasks of this kind; may be given several times.", valueName: "kind"))
        var workerKind: [String] = []

        @Flag(help: "A worker's token for the tasks of all accounts; the account must be an administrator's (DRIVE_ALL_ACCOUNTS).")
        var allAccounts = false

        @Flag(help: "Print the token's record with it, as JSON.")
        var json = false

        func run() async throws {
            let settings = Settings()
            guard let account = settings.text(account, "DRIVE_ACCOUNT") else { throw ValidationError("Name the account: --account NAME.") }
            let role = try settings.value(role, "DRIVE_ROLE", expecting: "user or admin", AccountRole.init(rawValue:)) ?? .user
            let seconds = try settings.value(ttl, "DRIVE_TTL", expecting: "a time such as 12h or 30d", Quantity.seconds) ?? 30 * 86_400
            let name = settings.text(name, "DRIVE_TOKEN_NAME") ?? "command line"
            let grant = try grant(settings)
            let mayCreate = try settings.flag(create, "DRIVE_CREATE_ACCOUNT")
            let json = json
            try await options.administer(existing: false) { context in
                if !mayCreate { try await Self.expect(account, in: context.accounts) }
                let found = try await context.account(named: account, role: role)
                let issued =
                    if let grant {
                        try await context.issuer.issueWorkerToken(
                            accountId: found.id, name: name, grant: grant, lifetime: .seconds(seconds), by: .system)
                    } else {
                        try await context.issuer.issueAccountToken(
                            accountId: found.id, name: name, role: role, lifetime: .seconds(seconds), by: .system)
                    }
                if json { try Output.json(IssuedTokenReply(issued)) } else { Output.line(issued.token) }
            }
        }

        /// A misspelt name makes no account. (Where there is none at all, none can be misspelt.)
        private static func expect(_ name: String, in accounts: AccountDirectory) async throws {
            guard try await accounts.account(named: name) == nil, try await !accounts.accounts(limit: 1).isEmpty else { return }
            throw Failure(.notFound, "there is no account named \(name); drive account list shows them, --create makes it")
        }

        /// What a worker's token is to be good for; nil: an account's token is asked for.
        private func grant(_ settings: Settings) throws -> WorkerGrant? {
            let isForAll = try settings.flag(allAccounts, "DRIVE_ALL_ACCOUNTS")
            guard try settings.flag(worker, "DRIVE_WORKER") || !workerKind.isEmpty else {
                guard !isForAll else {
                    throw ValidationError("--all-accounts is for a worker's token: add --worker or --worker-kind KIND.")
                }
                return nil
            }
            return WorkerGrant(kinds: workerKind, allAccounts: isForAll)
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
        static let configuration = CommandConfiguration(
            abstract: "Revoke a token; a running server refuses it within a second.",
            discussion:
                "Uploads that were begun with it have session tokens of their own, which hold on, for a day at most; cancel the uploads, or disable the account, to end these."
        )

        @OptionGroup var options: ServerOptions

        @Argument(help: "The token's id, from `drive token list`.")
        var id: String

        func run() async throws {
            let id = id
            try await options.administer { context in try await context.accounts.revokeToken(id, by: .system) }
        }
    }
}
