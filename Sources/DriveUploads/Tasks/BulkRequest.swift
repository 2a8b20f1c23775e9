import DriveModel
import Foundation

/// A `BulkOperation`'s parameters.
struct BulkRequest: Sendable {
    /// What is done to each file.
    enum Operation: Sendable {
        case delete
        case move(pool: UUID, bundle: UUID?)
        case rename(NameTemplate)
        /// A time, or none; or so many days after the task began.
        case setExpiry(Timestamp?)
        case setExpiryAfter(days: Int64)
        case addToBundle(UUID)
        case removeFromBundle
    }

    /// As the request names them, with the parameters each of them has.
    static let operations: [String: Set<String>] = [
        "delete": [], "move": ["targetPoolId", "targetBundleId"], "rename": NameTemplate.names,
        "setExpiry": ["expiredAt", "expiresInDays"],
        "addToBundle": ["targetBundleId"], "removeFromBundle": [],
    ]

    var name: String
    var operation: Operation
    /// nil: all files that the selection names.
    var ids: [String]?
    var selection: FileSelection
    /// Only says what would happen. Wins over `confirm`.
    var isDryRun: Bool

    /// Throws `INVALID_REQUEST`, and `CONFIRMATION_REQUIRED` where neither `confirm` nor `dryRun` is true.
    init(_ values: [String: JSONValue]) throws(DriveError) {
        let outer = try TaskParameters(values, known: ["operationType", "targetIds", "operationParameters"])
        guard let name = try outer.text("operationType", maximumBytes: 64), let own = Self.operations[name] else {
            throw TaskParameters.invalid("operationType", "must be one of \(Self.operations.keys.sorted().joined(separator: ", "))")
        }
        if let parameters = outer["operationParameters"], parameters.object == nil {
            throw TaskParameters.invalid("operationParameters", "must be an object")
        }
        let inner = try TaskParameters(
            outer["operationParameters"]?.object ?? [:], known: FileSelection.names.union(own).union(["confirm", "dryRun"]))
        self.name = name
        ids = try outer.ids("targetIds")
        selection = try FileSelection(inner)
        guard ids != nil || !selection.isEmpty else {
            throw TaskParameters.invalid("targetIds", "or a filter must say which files are meant")
        }
        operation = try Self.operation(name, inner)
        isDryRun = try inner.flag("dryRun")
        let isConfirmed = try inner.flag("confirm")
        guard isDryRun || isConfirmed else {
            throw DriveError(
                .confirmationRequired,
                "An operation on many files needs confirm: true among its operationParameters, or dryRun: true to see what it would do.",
                details: ["rule": "confirm"])
        }
    }

    private static func operation(_ name: String, _ parameters: TaskParameters) throws(DriveError) -> Operation {
        switch name {
        case "move": return .move(pool: try parameters.required("targetPoolId"), bundle: try parameters.uuid("targetBundleId"))
        case "rename": return .rename(try NameTemplate(parameters))
        case "addToBundle": return .addToBundle(try parameters.required("targetBundleId"))
        case "removeFromBundle": return .removeFromBundle
        case "setExpiry":
            let days = try parameters.number("expiresInDays", in: 1...36_500)
            // A null is a value here: no expiry.
            let isGiven = parameters.values["expiredAt"] != nil
            guard isGiven != (days != nil) else {
                throw TaskParameters.invalid("expiredAt", "or expiresInDays must say when (one of them; a null expiredAt: never)")
            }
            if let days { return .setExpiryAfter(days: days) }
            return .setExpiry(try parameters.time("expiredAt"))
        default: return .delete
        }
    }

    /// Where its files are to be.
    var aim: FileMover.Aim {
        switch operation {
        case .move(let pool, let bundle): FileMover.Aim(poolId: pool, bundleId: bundle.map { .some($0) })
        case .addToBundle(let bundle): FileMover.Aim(bundleId: .some(bundle))
        default: FileMover.Aim()
        }
    }
}
