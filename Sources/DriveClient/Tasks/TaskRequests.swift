import DriveModel
import Foundation

extension CreateTaskRequest {
    /// Moves files to another pool, another bundle, or both; nil leaves them where they are in that respect.
    public static func fileMove(_ fileIds: [String], toPool pool: UUID?, toBundle bundle: UUID?) -> CreateTaskRequest {
        var parameters: [String: JSONValue] = ["fileIds": .array(fileIds.map { .string($0) })]
        parameters["targetPoolId"] = pool.map { .init($0) }
        parameters["targetBundleId"] = bundle.map { .init($0) }
        return CreateTaskRequest(type: .fileMove, parameters: parameters)
    }

    /// Moves all that a pool holds to another one, while both are in use; for administrators.
    public static func storageMigration(from source: UUID, to target: UUID) -> CreateTaskRequest {
        CreateTaskRequest(type: .storageMigration, parameters: ["sourcePoolId": .init(source), "targetPoolId": .init(target)])
    }

    /// Changes many files, by their ids or by a filter.
    public static func bulk(_ operation: BulkOperation) -> CreateTaskRequest {
        var parameters: [String: JSONValue] = [
            "operationType": .string(operation.type.rawValue), "operationParameters": .object(operation.parameters),
        ]
        if !operation.targetIds.isEmpty { parameters["targetIds"] = .array(operation.targetIds.map { .string($0) }) }
        return CreateTaskRequest(type: .bulkOperation, parameters: parameters)
    }
}

/// What a BulkOperation does, and to which files.
public struct BulkOperation: Hashable, Sendable {
    /// Its name in `operationType`.
    public enum Kind: String, Sendable, CaseIterable {
        case delete, move, rename, setExpiry, addToBundle, removeFromBundle
    }

    /// By what files are chosen where no ids are given: those that fit all that is set. Sizes in bytes.
    public struct Filter: Hashable, Sendable {
        public var olderThanDays: Int?
        /// A pattern of names.
        public var name: String?
        /// A media type, also `image/*`.
        public var contentType: String?
        public var minSize: Int64?
        public var maxSize: Int64?
        public var bundleId: UUID?
        public var poolId: UUID?

        public init(
            olderThanDays: Int? = nil, name: String? = nil, contentType: String? = nil, minSize: Int64? = nil, maxSize: Int64? = nil,
            bundleId: UUID? = nil, poolId: UUID? = nil
        ) {
            self.olderThanDays = olderThanDays
            self.name = name
            self.contentType = contentType
            self.minSize = minSize
            self.maxSize = maxSize
            self.bundleId = bundleId
            self.poolId = poolId
        }
    }

    /// What the files become; each operation reads its own fields.
    public struct Change: Hashable, Sendable {
        public var poolId: UUID?
        public var bundleId: UUID?
        public var newName: String?
        public var find: String?
        public var replaceWith: String?
        public var expiredAt: Timestamp?
        public var expiresInDays: Int?
        /// `setExpiry`: they never go; wins over the other two.
        public var neverExpires: Bool

        public init(
            poolId: UUID? = nil, bundleId: UUID? = nil, newName: String? = nil, find: String? = nil, replaceWith: String? = nil,
            expiredAt: Timestamp? = nil, expiresInDays: Int? = nil, neverExpires: Bool = false
        ) {
            self.poolId = poolId
            self.bundleId = bundleId
            self.newName = newName
            self.find = find
            self.replaceWith = replaceWith
            self.expiredAt = expiredAt
            self.expiresInDays = expiresInDays
            self.neverExpires = neverExpires
        }
    }

    /// Whether it is done or only told what it would do; the server asks for one of both.
    public enum Mode: Hashable, Sendable {
        case dryRun, confirmed
    }

    public var type: Kind
    public var targetIds: [String]
    public var filter: Filter
    public var change: Change
    public var mode: Mode

    public init(_ type: Kind, targetIds: [String] = [], filter: Filter = Filter(), change: Change = Change(), mode: Mode) {
        self.type = type
        self.targetIds = targetIds
        self.filter = filter
        self.change = change
        self.mode = mode
    }

    /// `operationParameters` of the request.
    var parameters: [String: JSONValue] {
        var parameters: [String: JSONValue] = [mode == .dryRun ? "dryRun" : "confirm": true]
        parameters["olderThanDays"] = filter.olderThanDays.map { .integer(Int64($0)) }
        parameters["name"] = filter.name.map { .string($0) }
        parameters["contentType"] = filter.contentType.map { .string($0) }
        parameters["minSize"] = filter.minSize.map { .integer($0) }
        parameters["maxSize"] = filter.maxSize.map { .integer($0) }
        parameters["bundleId"] = filter.bundleId.map { .init($0) }
        parameters["poolId"] = filter.poolId.map { .init($0) }
        parameters["targetPoolId"] = change.poolId.map { .init($0) }
        parameters["targetBundleId"] = change.bundleId.map { .init($0) }
        parameters["newName"] = change.newName.map { .string($0) }
        parameters["find"] = change.find.map { .string($0) }
        parameters["replaceWith"] = change.replaceWith.map { .string($0) }
        if change.neverExpires {
            // A null is a value here.
            parameters["expiredAt"] = .some(.null)
            return parameters
        }
        parameters["expiredAt"] = change.expiredAt.map { .string($0.description) }
        parameters["expiresInDays"] = change.expiresInDays.map { .integer(Int64($0)) }
        return parameters
    }
}

extension JSONValue {
    /// In lower case, as all of the API writes UUIDs.
    fileprivate init(_ id: UUID) {
        self = .string(id.lowercaseString)
    }
}
