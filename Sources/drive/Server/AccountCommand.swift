import ArgumentParser
import DriveModel
import DriveServer
import Foundation

/// `drive account`.
struct AccountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account", abstract: "List, disable and limit accounts.",
        subcommands: [List.self, Disable.self, Enable.self, Quota.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the accounts.")

        @OptionGroup var options: ServerOptions

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let json = json
            try await options.administer { context in
                let accounts = try await context.accounts.accounts(limit: 10_000)
                if json { return try Output.json(accounts.map(AccountReply.init)) }
                Output.table(
                    [["ID", "NAME", "ROLE", "QUOTA", "STATE"]]
                        + accounts.map { account in
                            [
                                account.id.lowercaseString, account.name, account.role.rawValue,
                                account.quotaBytes.map { $0 < 0 ? "unlimited" : Quantity.text(bytes: $0) } ?? "default",
                                account.disabledAt == nil ? "enabled" : "disabled",
                            ]
                        })
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Disable an account; a running server refuses it within a second.")

        @OptionGroup var options: ServerOptions

        @Argument(help: "The account's name.")
        var name: String

        func run() async throws { try await change(name, options) { try await $0.accounts.setDisabled(true, account: $1, by: .system) } }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Enable a disabled account.")

        @OptionGroup var options: ServerOptions

        @Argument(help: "The account's name.")
        var name: String

        func run() async throws { try await change(name, options) { try await $0.accounts.setDisabled(false, account: $1, by: .system) } }
    }

    struct Quota: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set what an account may store.",
            discussion: """
                Examples:
                  drive account quota alice 50GiB
                  drive account quota alice unlimited
                  drive account quota alice default
                """)

        @OptionGroup var options: ServerOptions

        @Argument(help: "The account's name.")
        var name: String

        @Argument(help: "Bytes such as 50GiB, `unlimited`, or `default`.")
        var bytes: String

        func run() async throws {
            let quota: Int64?
            switch bytes {
            case "default": quota = nil
            case "unlimited": quota = -1
            case "0": quota = 0
            default:
                guard let value = Quantity.bytes(bytes) else { throw ValidationError("\(bytes) is no size such as 50GiB.") }
                quota = value
            }
            try await change(name, options) { try await $0.accounts.setQuota(quota, account: $1, by: .system) }
        }
    }
}

/// Finds the account and changes it.
private func change(
    _ name: String, _ options: ServerOptions, _ body: @escaping @Sendable (AdministrationContext, UUID) async throws -> Account
) async throws {
    try await options.administer { context in
        guard let account = try await context.accounts.account(named: name) else {
            throw Failure(.notFound, "there is no account named \(name)")
        }
        _ = try await body(context, account.id)
    }
}
