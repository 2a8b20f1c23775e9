import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// By what `drive tasks bulk` chooses files.
struct BulkFilterOptions: ParsableArguments {
    @Option(help: "Made so many days ago or longer, such as 30 or 4w.")
    var olderThan: String?

    @Option(help: "Names of this pattern, such as '*.tmp'.")
    var name: String?

    @Option(help: "Of this media type, such as application/pdf or 'image/*'.")
    var type: String?

    @Option(help: "Not smaller, such as 1GiB.")
    var minSize: String?

    @Option(help: "Not larger, such as 10MiB.")
    var maxSize: String?

    @Option(help: "In this bundle, by id.")
    var inBundle: String?

    @Option(help: "In this pool, by name or id.")
    var inPool: String?

    /// - Parameter pool: the id of `inPool`.
    /// - Throws: `ValidationError` naming the option that cannot be read.
    func filter(pool: UUID?) throws -> BulkOperation.Filter {
        BulkOperation.Filter(
            olderThanDays: try olderThan.map { try TaskArgument.days($0, "--older-than") }, name: name, contentType: type,
            minSize: try minSize.map { try Self.bytes($0, "--min-size") }, maxSize: try maxSize.map { try Self.bytes($0, "--max-size") },
            bundleId: try inBundle.map { try TaskArgument.uuid($0, "--in-bundle") }, poolId: pool)
    }

    private static func bytes(_ text: String, _ option: String) throws -> Int64 {
        if text == "0" { return 0 }
        guard let bytes = Quantity.bytes(text) else {
            throw ValidationError("\(option) is \"\(text)\"; it should be a size such as 10MiB.")
        }
        return bytes
    }
}

/// What the files of `drive tasks bulk` become.
struct BulkChangeOptions: ParsableArguments {
    @Option(help: "move: the pool they go to, by name or id.")
    var toPool: String?

    @Option(help: "move, add-to-bundle: the bundle they go to, by id.")
    var toBundle: String?

    @Option(help: "rename: the new name.")
    var newName: String?

    @Option(help: "rename: the part of the name that is replaced…")
    var find: String?

    @Option(help: "rename: …by this; empty takes it out.")
    var replace: String?

    @Option(help: "set-expiry: when they go, a span like 30d, or 2030-01-31T12:00:00Z, or never.")
    var expires: String?

    /// What is wrong with the options for this operation; nil where nothing is.
    func problem(of operation: TasksBulkCommand.Operation) -> String? {
        let given: [(option: String, isGiven: Bool)] = [
            ("--to-pool", toPool != nil), ("--to-bundle", toBundle != nil), ("--new-name", newName != nil), ("--find", find != nil),
            ("--replace", replace != nil), ("--expires", expires != nil),
        ]
        let options = Set(given.filter(\.isGiven).map(\.option))
        let (allowed, isEnough, need): (Set<String>, Bool, String) =
            switch operation {
            case .delete, .removeFromBundle: ([], true, "")
            case .move: (["--to-pool", "--to-bundle"], !options.isEmpty, "--to-pool, --to-bundle, or both")
            case .rename:
                (
                    ["--new-name", "--find", "--replace"], newName != nil ? options.count == 1 : find != nil && replace != nil,
                    "either --new-name, or --find and --replace"
                )
            case .setExpiry: (["--expires"], expires != nil, "--expires")
            case .addToBundle: (["--to-bundle"], toBundle != nil, "--to-bundle")
            }
        if let foreign = options.subtracting(allowed).min() { return "does not go with \(foreign)" }
        return isEnough ? nil : "needs \(need)"
    }

    /// - Parameter pool: the id of `toPool`.
    /// - Throws: `ValidationError` naming the option that cannot be read.
    func change(pool: UUID?) throws -> BulkOperation.Change {
        var change = BulkOperation.Change(
            poolId: pool, bundleId: try toBundle.map { try TaskArgument.uuid($0, "--to-bundle") }, newName: newName, find: find,
            replaceWith: replace)
        guard let expires else { return change }
        if expires.lowercased() == "never" {
            change.neverExpires = true
            return change
        }
        // Whole days are counted by the server when it does it: a timetable means that.
        if let seconds = Quantity.seconds(expires), seconds > 0, seconds % 86_400 == 0 {
            change.expiresInDays = Int(seconds / 86_400)
        } else {
            change.expiredAt = try TaskArgument.time(expires, "--expires")
        }
        return change
    }
}
