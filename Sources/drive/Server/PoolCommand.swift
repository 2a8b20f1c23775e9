import ArgumentParser
import DriveModel
import DriveServer
import DriveUploads
import Foundation

/// `drive pools`.
struct PoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pools", abstract: "List, make and edit storage pools.", subcommands: [List.self, Create.self, Edit.self],
        defaultSubcommand: List.self)

    /// What a pool admits and costs.
    struct PolicyOptions: ParsableArguments {
        @Option(help: "Media types admitted, with commas: image/*,application/pdf (empty: all).")
        var acceptTypes: String?

        @Option(help: "The largest file, such as 2GiB (`none`: no limit).")
        var maxFileSize: String?

        @Option(help: "The role an account must have (`none`: any).")
        var requireRole: String?

        @Option(help: "What a byte counts against the quota.")
        var costMultiplier: Double?

        @Option(help: "When files without an expiry of their own go, such as 30d (`none`: never).")
        var defaultExpiry: String?

        @Option(help: "Bytes that unfinished uploads may hold (`none`: no limit).")
        var maxOpenBytes: String?

        func applied(to policy: PoolPolicy) throws -> PoolPolicy {
            var policy = policy
            if let acceptTypes {
                policy.acceptTypes = acceptTypes.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            }
            if let maxFileSize { policy.maxFileSize = try limit(maxFileSize, Quantity.bytes) }
            if let requireRole { policy.requireRole = requireRole == "none" ? nil : requireRole }
            if let costMultiplier { policy.costMultiplier = costMultiplier }
            if let defaultExpiry { policy.defaultExpirySeconds = try limit(defaultExpiry, Quantity.seconds) }
            if let maxOpenBytes { policy.maxOpenBytes = try limit(maxOpenBytes, Quantity.bytes) }
            return policy
        }

        private func limit(_ text: String, _ read: (String) -> Int64?) throws -> Int64? {
            if text == "none" { return nil }
            guard let value = read(text) else {
                throw ValidationError("\"\(text)\" is neither \"none\" nor a value such as 200MiB or 30d, as the option takes it.")
            }
            return value
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the pools.")

        @OptionGroup var options: ServerOptions

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let json = json
            try await options.pools { pools, _ in
                let list = try await pools.list()
                if json { return try Output.json(list) }
                Output.table(
                    [["ID", "NAME", "DEFAULT", "ACCEPTS", "MAX FILE", "COST"]]
                        + list.map { pool in
                            [
                                pool.id.lowercaseString, pool.name, pool.isDefault ? "yes" : "",
                                pool.policy.acceptTypes.isEmpty ? "all" : pool.policy.acceptTypes.joined(separator: ","),
                                pool.policy.maxFileSize.map(Quantity.text(bytes:)) ?? "", "\(pool.policy.costMultiplier)",
                            ]
                        })
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a pool and print its id.",
            discussion: """
                Examples:
                  drive pools create photos --accept-types 'image/*' --max-file-size 200MiB
                  drive pools create archive --path /mnt/big/drive --cost-multiplier 0.5
                """)

        @OptionGroup var options: ServerOptions

        @Argument(help: "The pool's name.")
        var name: String

        @Option(
            help: "Its folder, which no other pool has; a relative one counts from the data folder. Left out: one inside the data folder.",
            completion: .directory)
        var path: String?

        @OptionGroup var policy: PolicyOptions

        func run() async throws {
            let (name, path) = (name, path)
            let policy = try policy.applied(to: PoolPolicy())
            try await options.pools { pools, _ in
                Output.line(try await pools.create(name: name, path: path, policy: policy).id.lowercaseString)
            }
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a pool's policy; a running server follows within a second.",
            discussion: """
                Examples:
                  drive pools edit photos --max-file-size none --default
                """)

        @OptionGroup var options: ServerOptions

        @Argument(help: "The pool's name or id.")
        var pool: String

        @Option(help: "A new name.")
        var rename: String?

        @Flag(help: "Use this pool where an upload names none.")
        var `default` = false

        @OptionGroup var policy: PolicyOptions

        func run() async throws {
            let (text, rename, makeDefault, policy) = (pool, rename, `default`, policy)
            let change = try PolicyChange(policy)
            try await options.pools { pools, _ in
                guard
                    let found = try await pools.list().first(where: {
                        $0.name == text || $0.id.lowercaseString == text.lowercased()
                    })
                else {
                    throw Failure(.notFound, "there is no pool \(text)")
                }
                _ = try await pools.update(
                    found.id, name: rename ?? found.name, policy: try change.applied(to: found.policy), makeDefault: makeDefault)
            }
        }
    }
}

/// The options as a value that may cross to another task.
private struct PolicyChange: Sendable {
    private let full: PoolPolicy
    private let given: Set<String>

    init(_ options: PoolCommand.PolicyOptions) throws {
        full = try options.applied(to: PoolPolicy())
        var given: Set<String> = []
        if options.acceptTypes != nil { given.insert("acceptTypes") }
        if options.maxFileSize != nil { given.insert("maxFileSize") }
        if options.requireRole != nil { given.insert("requireRole") }
        if options.costMultiplier != nil { given.insert("costMultiplier") }
        if options.defaultExpiry != nil { given.insert("defaultExpiry") }
        if options.maxOpenBytes != nil { given.insert("maxOpenBytes") }
        self.given = given
    }

    func applied(to policy: PoolPolicy) throws -> PoolPolicy {
        var policy = policy
        if given.contains("acceptTypes") { policy.acceptTypes = full.acceptTypes }
        if given.contains("maxFileSize") { policy.maxFileSize = full.maxFileSize }
        if given.contains("requireRole") { policy.requireRole = full.requireRole }
        if given.contains("costMultiplier") { policy.costMultiplier = full.costMultiplier }
        if given.contains("defaultExpiry") { policy.defaultExpirySeconds = full.defaultExpirySeconds }
        if given.contains("maxOpenBytes") { policy.maxOpenBytes = full.maxOpenBytes }
        return policy
    }
}
