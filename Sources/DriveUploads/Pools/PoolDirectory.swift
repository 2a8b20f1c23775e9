import DriveDatabase
import DriveModel
import DriveStorage
import Foundation
import Logging
import Synchronization

/// The pools: their rows, and the opened folders behind them.
public final class PoolDirectory: Sendable {
    /// A pool with the folder it stands for.
    public struct Opened: Sendable {
        public let pool: Pool
        public let store: LocalPool
    }

    private struct Known {
        var pools: [UUID: (pool: Pool, path: String)] = [:]
        var stores: [UUID: LocalPool] = [:]
        var readAt: ContinuousClock.Instant?
    }

    /// How long rows are believed; an edit takes effect within this time on every instance.
    private static let freshness = Duration.seconds(1)

    private let database: any Database
    private let io: IOPool
    private let faults: Faults
    private let surroundings: Surroundings
    private let logger: Logger
    private let dataFolder: String
    private let staging: String?
    private let directFrom: Int64
    private let exclusive: Bool
    private let known = Mutex(Known())

    /// - Parameters:
    ///   - dataFolder: where relative pool paths begin.
    ///   - exclusive: false for a look beside the process that owns the pools.
    ///   - staging: `STORAGE_UPLOADS_PATH`, for the pools on its file system; nil keeps staging inside each pool.
    ///   - directFrom: bytes from which an upload is written around the page cache.
    public init(
        database: any Database, io: IOPool, faults: Faults, surroundings: Surroundings, dataFolder: String, staging: String?,
        directFrom: Int64 = .max, exclusive: Bool = true, logger: Logger
    ) {
        self.database = database
        self.io = io
        self.faults = faults
        self.surroundings = surroundings
        self.dataFolder = dataFolder
        self.staging = staging
        self.directFrom = directFrom
        self.exclusive = exclusive
        self.logger = logger
    }

    /// Makes the default pool where there is none, and opens the folder of every pool.
    public func start(preferred: UUID?) async throws {
        let now = surroundings.now()
        let newId = preferred ?? surroundings.newUUID()
        let missing = try await database.write { sql in
            if let preferred, try sql.first("SELECT id FROM pools WHERE id = $1", [.uuid(preferred)]) != nil {
                try sql.execute("UPDATE pools SET is_default = $1 WHERE is_default = $2", [.bool(false), .bool(true)])
                try sql.execute("UPDATE pools SET is_default = $1 WHERE id = $2", [.bool(true), .uuid(preferred)])
            }
            let current = try sql.first("SELECT id FROM pools WHERE is_default = $1", [.bool(true)])?.uuid("id")
            if let preferred, let current, current != preferred {
                throw DriveError(
                    .invalidRequest, "STORAGE_PREFERRED_REMOTE names no pool of this server.", details: ["rule": "STORAGE_PREFERRED_REMOTE"]
                )
            }
            return current == nil
        }
        if missing {
            let store = try makeStore(newId, path: "pools/default", isNew: true)
            try await database.write { sql in
                try Self.insert(
                    id: newId, name: "default", path: "pools/default", isDefault: true, policy: PoolPolicy(), now: now, in: sql)
            }
            known.withLock { $0.stores[newId] = store }
            try await refresh(force: true)
        }
        for pool in try await list() { _ = try await open(pool.id) }
        if let staging, let path = known.withLock({ $0.pools.values.first { $0.pool.isDefault }?.path }) {
            guard try FileSystem.device(of: staging) == FileSystem.device(of: folder(path)) else {
                throw DriveError(
                    .invalidRequest,
                    "STORAGE_UPLOADS_PATH (\(staging)) lies on another file system than the default pool; publishing is a rename and cannot cross it.",
                    details: ["rule": "STORAGE_UPLOADS_PATH"])
            }
        }
    }

    public func list() async throws -> [Pool] {
        try await refresh(force: false)
        return known.withLock { $0.pools.values.map(\.pool) }.sorted { $0.name < $1.name }
    }

    /// The pool with this id, or the default one. Throws `NOT_FOUND`.
    public func open(_ id: UUID?) async throws -> Opened {
        try await refresh(force: false)
        let found = known.withLock { known -> (pool: Pool, path: String)? in
            if let id { return known.pools[id] }
            return known.pools.values.first { $0.pool.isDefault }
        }
        guard let found else { throw DriveError(.notFound, "There is no pool with this id.", details: ["rule": "poolId"]) }
        if let store = known.withLock({ $0.stores[found.pool.id] }) { return Opened(pool: found.pool, store: store) }
        let store = try makeStore(found.pool.id, path: found.path, isNew: false)
        let first = known.withLock { known in
            let first = known.stores[found.pool.id] ?? store
            known.stores[found.pool.id] = first
            return first
        }
        return Opened(pool: found.pool, store: first)
    }

    /// Makes a pool. Throws `INVALID_REQUEST`, `CONFLICT` where the name is taken or the folder belongs to a pool.
    public func create(name: String, path: String?, policy: PoolPolicy) async throws -> Pool {
        try Self.validate(name: name, policy: policy)
        let id = surroundings.newUUID()
        let now = surroundings.now()
        let path = path ?? "pools/\(id.lowercaseString)"
        // Before the folder is made; the unique name decides a race.
        if try await list().contains(where: { $0.name == name }) { throw DriveError(.conflict, "A pool named \(name) exists already.") }
        try expectUnclaimed(path)
        let store = try makeStore(id, path: path, isNew: true)
        // Before the row: who sees the row finds the folder opened.
        known.withLock { $0.stores[id] = store }
        do {
            try await database.write { sql in
                try Self.insert(id: id, name: name, path: path, isDefault: false, policy: policy, now: now, in: sql)
            }
        } catch let error as DatabaseError {
            known.withLock { $0.stores[id] = nil }
            if case .uniqueViolation = error.kind { throw DriveError(.conflict, "A pool named \(name) exists already.") }
            throw error
        }
        try await refresh(force: true)
        return Pool(id: id, name: name, kind: "local", isDefault: false, policy: policy, createdAt: now, updatedAt: now)
    }

    /// Changes a pool's name and policy, and makes it the default one where asked. Throws `NOT_FOUND`, `CONFLICT`.
    public func update(_ id: UUID, name: String, policy: PoolPolicy, makeDefault: Bool) async throws -> Pool {
        try Self.validate(name: name, policy: policy)
        let now = surroundings.now()
        let types = try DriveJSON.text(policy.acceptTypes)
        do {
            try await database.write { sql in
                if makeDefault {
                    try sql.execute("UPDATE pools SET is_default = $1 WHERE is_default = $2", [.bool(false), .bool(true)])
                    try sql.execute("UPDATE pools SET is_default = $1 WHERE id = $2", [.bool(true), .uuid(id)])
                }
                let changed = try sql.execute(
                    """
                    UPDATE pools SET name = $2, accept_types = $3, max_file_size = $4, allow_anonymous = $5, require_role = $6,
                        cost_multiplier = $7, default_expiry_seconds = $8, max_open_bytes = $9, updated_at = $10 WHERE id = $1
                    """,
                    [
                        .uuid(id), .text(name), .json(types), .integer(policy.maxFileSize), .bool(policy.allowAnonymous),
                        .text(policy.requireRole), .double(policy.costMultiplier), .integer(policy.defaultExpirySeconds),
                        .integer(policy.maxOpenBytes), .timestamp(now),
                    ])
                guard changed == 1 else { throw DriveError(.notFound, "There is no pool with this id.") }
            }
        } catch let error as DatabaseError {
            if case .uniqueViolation = error.kind { throw DriveError(.conflict, "A pool named \(name) exists already.") }
            throw error
        }
        try await refresh(force: true)
        return try await open(id).pool
    }

    /// A folder is one pool's: two in one, or one in the other, would take each other's bytes for their own.
    private func expectUnclaimed(_ path: String) throws(DriveError) {
        func real(_ path: String) -> String { URL(fileURLWithPath: folder(path)).resolvingSymlinksInPath().standardizedFileURL.path + "/" }
        let wanted = real(path)
        let others = known.withLock { known in known.pools.values.map { (name: $0.pool.name, path: real($0.path)) } }
        if let other = others.first(where: { wanted.hasPrefix($0.path) || $0.path.hasPrefix(wanted) }) {
            throw DriveError(
                .conflict,
                "The folder \(wanted.dropLast()) and that of pool \(other.name), \(other.path.dropLast()), are not apart; choose another.",
                details: ["rule": "path"])
        }
        // Another server's, or that of a pool whose row is gone.
        let names = (try? FileSystem.list(folder(path))) ?? []
        if let mark = names.first(where: { $0.hasPrefix("pool-") }) {
            throw DriveError(
                .conflict,
                "The folder \(wanted.dropLast()) is marked as another pool's by its file \(mark); choose another, or remove that file where its pool is gone.",
                details: ["rule": "path"])
        }
    }

    private func folder(_ path: String) -> String {
        path.hasPrefix("/") ? path : dataFolder + "/" + path
    }

    // MARK: Rows

    private func makeStore(_ id: UUID, path: String, isNew: Bool) throws -> LocalPool {
        let root = folder(path)
        do {
            if isNew { try FileSystem.makeFolder(root) }
            var stagingFolder: String?
            if let staging {
                try FileSystem.makeFolder(staging)
                // Publishing is a rename, which never crosses file systems.
                // A folder of its own for each pool, so that nobody else's files are taken for unfinished uploads.
                if try FileSystem.device(of: staging) == FileSystem.device(of: root) {
                    stagingFolder = staging + "/" + id.lowercaseString
                }
            }
            return try LocalPool(
                root: root, identity: id.lowercaseString, isNew: isNew, staging: stagingFolder, io: io, faults: faults,
                surroundings: surroundings, directFrom: directFrom, exclusive: exclusive)
        } catch {
            if error.call == "flock" {
                throw DriveError(
                    .poolInUse,
                    "Another drive process owns the pool folder \(root); stop it first, or give this one a data folder of its own.",
                    details: ["rule": "poolFolder"], retryAfter: 5)
            }
            if error.call == "pool" || error.isMissing {
                throw DriveError(
                    .storageFailed, "The folder \(root) is not the one of this pool: is its disk mounted?", details: ["rule": "poolFolder"],
                    retryAfter: 30)
            }
            logger.error("cannot open the pool's folder", metadata: ["path": "\(root)", "error": "\(error)"])
            throw error.asDriveError
        }
    }

    private func refresh(force: Bool) async throws {
        let fresh = known.withLock { known in known.readAt.map { ContinuousClock.now - $0 < Self.freshness } ?? false }
        if fresh, !force { return }
        let rows = try await database.read { sql in
            try sql.query("SELECT * FROM pools WHERE disabled_at IS NULL").map { row in
                (pool: try Self.pool(row), settings: try row.decoded("settings", as: [String: String].self))
            }
        }
        known.withLock { known in
            known.pools = Dictionary(
                rows.map { ($0.pool.id, (pool: $0.pool, path: $0.settings["path"] ?? "")) }, uniquingKeysWith: { first, _ in first })
            known.readAt = .now
        }
    }

    private static func pool(_ row: SQLRow) throws -> Pool {
        Pool(
            id: try row.uuid("id"), name: try row.text("name"), kind: try row.text("kind"), isDefault: try row.bool("is_default"),
            policy: PoolPolicy(
                acceptTypes: try row.decoded("accept_types"), maxFileSize: try row.optionalInt64("max_file_size"),
                allowAnonymous: try row.bool("allow_anonymous"), requireRole: try row.optionalText("require_role"),
                costMultiplier: try row.double("cost_multiplier"),
                defaultExpirySeconds: try row.optionalInt64("default_expiry_seconds"),
                maxOpenBytes: try row.optionalInt64("max_open_bytes")),
            createdAt: try row.timestamp("created_at"), updatedAt: try row.timestamp("updated_at"))
    }

    private static func insert(
        id: UUID, name: String, path: String, isDefault: Bool, policy: PoolPolicy, now: Timestamp, in sql: any SQLSession
    ) throws {
        try sql.execute(
            """
            INSERT INTO pools (id, name, kind, settings, is_default, accept_types, max_file_size, allow_anonymous, require_role,
                cost_multiplier, default_expiry_seconds, max_open_bytes, created_at, updated_at)
            VALUES ($1, $2, 'local', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
            """,
            [
                .uuid(id), .text(name), .encoded(["path": path]), .bool(isDefault), .encoded(policy.acceptTypes),
                .integer(policy.maxFileSize), .bool(policy.allowAnonymous), .text(policy.requireRole), .double(policy.costMultiplier),
                .integer(policy.defaultExpirySeconds), .integer(policy.maxOpenBytes), .timestamp(now),
            ])
    }

    private static func validate(name: String, policy: PoolPolicy) throws(DriveError) {
        guard !name.isEmpty, name.utf8.count <= 100, !name.unicodeScalars.contains(where: { $0.value < 32 }) else {
            throw DriveError(.invalidRequest, "A pool's name has 1 to 100 bytes.", details: ["rule": "name"])
        }
        guard policy.costMultiplier.isFinite, (0...1000).contains(policy.costMultiplier) else {
            throw DriveError(.invalidRequest, "costMultiplier must be 0 to 1000.", details: ["rule": "costMultiplier"])
        }
        for (rule, value) in [
            ("maxFileSize", policy.maxFileSize), ("defaultExpirySeconds", policy.defaultExpirySeconds),
            ("maxOpenBytes", policy.maxOpenBytes),
        ] {
            if let value, value <= 0 || value > 1 << 60 {
                throw DriveError(.invalidRequest, "\(rule) must be more than 0.", details: ["rule": .string(rule)])
            }
        }
        if let expiry = policy.defaultExpirySeconds, expiry > 100 * 366 * 86_400 {
            throw DriveError(.invalidRequest, "defaultExpirySeconds is at most a hundred years.", details: ["rule": "defaultExpirySeconds"])
        }
        guard policy.acceptTypes.count <= 100, policy.acceptTypes.allSatisfy({ $0.contains("/") && $0.utf8.count <= 128 }) else {
            throw DriveError(.invalidRequest, "acceptTypes are media types such as image/png or image/*.", details: ["rule": "acceptTypes"])
        }
    }
}
