import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveStorage
import Foundation
import Logging

/// Files after their upload: look-up, list, rename, metadata, delete. Every query goes through the owner.
public final class FileService: Sendable {
    let database: any Database
    let pools: PoolDirectory
    let surroundings: Surroundings

    private let logger = Logger(label: "Drive.Storage.Files")

    public init(database: any Database, pools: PoolDirectory, surroundings: Surroundings = .system) {
        self.database = database
        self.pools = pools
        self.surroundings = surroundings
    }

    static func notFound(_ id: String) -> DriveError {
        DriveError(.fileNotFound, "There is no file with this id.", details: ["fileId": .string(id)])
    }

    /// A file of this account. Throws `FILE_NOT_FOUND`, also for another's and for an expired one.
    public func file(_ id: String, account: UUID) async throws -> CloudFile {
        let file = try await database.read { sql in try FileRow.find(id, account: account, in: sql) }
        guard let file, file.expiredAt.map({ $0 > surroundings.now() }) ?? true else { throw Self.notFound(id) }
        return file
    }

    /// A file, its opened bytes and their CRC-32C, for who reads all of them. The bytes' length is checked against the row, so that a damaged blob is an error
    /// and never a short success.
    public func open(_ id: String, account: UUID) async throws -> (file: CloudFile, content: OpenFile, crc32c: UInt32) {
        let found = try await database.read { sql -> (CloudFile, String, Int64)? in
            guard
                let row = try sql.first(
                    """
                    SELECT f.*, b.storage_path, b.crc32c FROM files f JOIN file_checksums b ON b.checksum = f.hash AND b.pool_id = f.pool_id
                    WHERE f.id = $1 AND f.account_id = $2
                    """, [.text(id), .uuid(account)])
            else { return nil }
            return (try FileRow.cloudFile(row), try row.text("storage_path"), try row.int64("crc32c"))
        }
        guard let (file, path, crc32c) = found, file.expiredAt.map({ $0 > surroundings.now() }) ?? true else { throw Self.notFound(id) }
        do {
            let content = try await pools.open(file.poolId).store.open(path)
            guard try content.size() == file.size else { throw StorageError("fstat", 5) }
            return (file, content, UInt32(truncatingIfNeeded: crc32c))
        } catch let error as StorageError {
            logger.error("a blob cannot be opened", metadata: ["file": "\(id)", "path": "\(path)", "error": "\(error)"])
            guard error.isMissing || error.call == "fstat" else { throw error.asDriveError }
            throw DriveError(
                .blobDamaged, "The stored bytes of this file cannot be read whole; the operator's log has the reason.",
                details: ["fileId": .string(id), "reason": .string(error.call)])
        }
    }

    /// Keeps a trace of stored bytes that turned out to be damaged while they were read. Never fails: the reader has its
    /// error already.
    public func recordDamage(of file: CloudFile, seenBy caller: Caller) async {
        let surroundings = surroundings
        do {
            // Also where the reader's task is cancelled, as its connection is about to be cut.
            try await Task { [database] in
                try await database.write { sql in
                    // Who uploads the same content again mends it.
                    try sql.execute(
                        "UPDATE file_checksums SET damaged_at = $3 WHERE checksum = $1 AND pool_id = $2 AND damaged_at IS NULL",
                        [.text(file.hash), .uuid(file.poolId), .timestamp(surroundings.now())])
                    try AuditTrail.append(
                        "file.damaged", on: "file", id: file.id, by: caller,
                        details: ["hash": .string(file.hash), "poolId": .string(file.poolId.lowercaseString)],
                        surroundings: surroundings, in: sql)
                }
            }.value
        } catch {
            logger.error("a damaged file could not be recorded", metadata: ["file": "\(file.id)", "error": "\(error)"])
        }
    }

    /// What a change may touch; `nil` leaves a field as it is.
    public struct Change: Sendable {
        public var name: String?
        public var userMeta: [String: JSONValue]?
        public var bundleId: UUID??
        public var expiredAt: Timestamp??

        public init(name: String? = nil, userMeta: [String: JSONValue]? = nil, bundleId: UUID?? = nil, expiredAt: Timestamp?? = nil) {
            self.name = name
            self.userMeta = userMeta
            self.bundleId = bundleId
            self.expiredAt = expiredAt
        }
    }

    /// Bytes of user metadata a file has at most.
    static let maximumMetaBytes = 16_384

    public func update(_ id: String, change: Change, by caller: Caller) async throws -> CloudFile {
        let name = try change.name.map { try FileName.validated($0) }
        let meta = try change.userMeta.map { try DriveJSON.text($0) }
        if let meta, meta.utf8.count > Self.maximumMetaBytes {
            throw DriveError(
                .invalidRequest, "userMeta has at most \(Self.maximumMetaBytes) bytes as JSON.", details: ["rule": "userMeta"])
        }
        if let userMeta = change.userMeta, userMeta.holdsNUL {
            throw DriveError(.invalidRequest, "userMeta must not hold the character U+0000.", details: ["rule": "userMeta"])
        }
        let surroundings = surroundings
        let now = surroundings.now()
        if case .some(.some(let expiry)) = change.expiredAt { try UploadService.checkExpiry(expiry, now: now) }
        return try await database.write { sql in
            guard
                let row = try sql.first(
                    "SELECT * FROM files WHERE id = $1 AND account_id = $2\(sql.dialect.forUpdate)", [.text(id), .uuid(caller.accountId)])
            else { throw Self.notFound(id) }
            let before = try FileRow.cloudFile(row)
            var file = before
            if let name { file.name = name }
            if let bundle = change.bundleId {
                if let bundle, try FileRow.bundle(bundle, account: caller.accountId, in: sql) == nil {
                    throw DriveError(.notFound, "There is no bundle with this id.", details: ["rule": "bundleId"])
                }
                file.bundleId = bundle
            }
            if let userMeta = change.userMeta { file.userMeta = userMeta }
            if let expiry = change.expiredAt { file.expiredAt = expiry }
            file.updatedAt = now
            try sql.execute(
                """
                UPDATE files SET name = $3, name_folded = $8, user_meta = $4, bundle_id = $5, expired_at = $6, updated_at = $7
                WHERE id = $1 AND account_id = $2
                """,
                [
                    .text(id), .uuid(caller.accountId), .text(file.name), .encoded(file.userMeta), .uuid(file.bundleId),
                    .timestamp(file.expiredAt), .timestamp(now), .text(FileName.folded(file.name)),
                ])
            try AuditTrail.append("file.update", on: "file", id: id, by: caller, surroundings: surroundings, in: sql)
            if let event = FileEvents.updated(from: before, to: file) {
                try EventOutbox.append([event], account: caller.accountId, now: now, in: sql)
            }
            return file
        }
    }

    public func delete(_ id: String, by caller: Caller) async throws {
        let surroundings = surroundings
        let now = surroundings.now()
        try await database.write { sql in
            guard let removed = try Self.remove(id, account: caller.accountId, now: now, in: sql) else { throw Self.notFound(id) }
            try AuditTrail.append("file.delete", on: "file", id: id, by: caller, surroundings: surroundings, in: sql)
            try EventOutbox.append(
                [FileEvents.deleted(removed, because: .deleted, now: now)], account: caller.accountId, now: now, in: sql)
        }
    }

    /// What a removed file was.
    struct Removed {
        var id: String
        var name: String
        /// Bytes.
        var size: Int64
    }

    /// Removes a file's row, its reference and its charge; the bytes go after the grace period. Nil where there is none. Who
    /// calls tells its owner.
    static func remove(_ id: String, account: UUID, now: Timestamp, in sql: any SQLSession) throws -> Removed? {
        guard
            let row = try sql.first(
                "DELETE FROM files WHERE id = $1 AND account_id = $2 RETURNING hash, pool_id, charged_bytes, name, size",
                [.text(id), .uuid(account)])
        else { return nil }
        try sql.execute(
            """
            UPDATE file_checksums SET reference_count = reference_count - 1,
                unreferenced_at = CASE WHEN reference_count = 1 THEN $3 ELSE unreferenced_at END
            WHERE checksum = $1 AND pool_id = $2
            """, [.text(try row.text("hash")), .uuid(try row.uuid("pool_id")), .timestamp(now)])
        try QuotaLedger.release(charged: try row.int64("charged_bytes"), files: 1, for: account, in: sql)
        return Removed(id: id, name: try row.text("name"), size: try row.int64("size"))
    }

    // MARK: Lists

    public struct ListQuery: Sendable {
        public enum Sort: String, Sendable, CaseIterable {
            case name, size, createdAt, updatedAt

            var column: String {
                switch self {
                case .name: "name_folded"
                case .size: "size"
                case .createdAt: "created_at"
                case .updatedAt: "updated_at"
                }
            }
        }

        /// A part of the name, in any case and script (`FileName.folded`).
        public var search: String?
        public var bundleId: UUID?
        public var sort = Sort.createdAt
        public var descending = true
        public var offset = 0
        public var limit = 50

        public init() {}
    }

    public func list(_ query: ListQuery, account: UUID) async throws -> Page<CloudFile> {
        let now = surroundings.now()
        if query.search?.unicodeScalars.contains("\0") == true {
            throw DriveError(.invalidRequest, "query must not hold the character U+0000.", details: ["rule": "query"])
        }
        // No name is longer, in any normal form; SQLite takes no pattern beyond 50,000 bytes.
        if let search = query.search, search.utf8.count > FileName.maximumBytes * 16 {
            throw DriveError(
                .invalidRequest, "query has at most \(FileName.maximumBytes * 16) bytes.", details: ["rule": "query"])
        }
        return try await database.read { sql in
            var condition = "account_id = $1 AND (expired_at IS NULL OR expired_at > $2)"
            var arguments: [SQLValue] = [.uuid(account), .timestamp(now)]
            if let search = query.search, !search.isEmpty {
                let escaped = FileName.folded(search).replacing("\\", with: "\\\\").replacing("%", with: "\\%").replacing("_", with: "\\_")
                arguments.append(.text("%\(escaped)%"))
                condition += " AND name_folded LIKE $\(arguments.count) ESCAPE '\\'"
            }
            if let bundle = query.bundleId {
                arguments.append(.uuid(bundle))
                condition += " AND bundle_id = $\(arguments.count)"
            }
            let total = try sql.first("SELECT COUNT(*) AS total FROM files WHERE \(condition)", arguments)?.int("total") ?? 0
            let count = arguments.count
            let rows = try sql.query(
                """
                SELECT * FROM files WHERE \(condition) ORDER BY \(query.sort.column) \(query.descending ? "DESC" : "ASC"), id
                LIMIT $\(count + 1) OFFSET $\(count + 2)
                """, arguments + [.int(query.limit), .int(query.offset)])
            return Page(items: try rows.map(FileRow.cloudFile), total: total)
        }
    }

    // MARK: Billing

    public func quota(account: UUID, default defaultQuota: Int64?) async throws -> QuotaReply {
        try await database.read { sql in
            let row = try sql.first("SELECT used_bytes, reserved_bytes FROM account_usage WHERE account_id = $1", [.uuid(account)])
            return QuotaReply(
                quotaBytes: try QuotaLedger.limit(of: account, default: defaultQuota, in: sql),
                usedBytes: try row?.int64("used_bytes") ?? 0,
                reservedBytes: try row?.int64("reserved_bytes") ?? 0)
        }
    }

    public func usage(account: UUID) async throws -> UsageReply {
        try await database.read { sql in
            let rows = try sql.query(
                """
                SELECT f.pool_id AS pool_id, p.name AS name, COUNT(*) AS files, COALESCE(SUM(f.size), 0) AS bytes,
                    COALESCE(SUM(f.charged_bytes), 0) AS charged
                FROM files f JOIN pools p ON p.id = f.pool_id WHERE f.account_id = $1 GROUP BY f.pool_id, p.name ORDER BY p.name
                """, [.uuid(account)])
            let pools = try rows.map { row in
                UsageReply.PoolUsage(
                    poolId: try row.uuid("pool_id"), poolName: try row.text("name"), fileCount: try row.int64("files"),
                    totalBytes: try row.int64("bytes"), chargedBytes: try row.int64("charged"))
            }
            let usage = try sql.first("SELECT reserved_bytes FROM account_usage WHERE account_id = $1", [.uuid(account)])
            return UsageReply(
                fileCount: pools.reduce(0) { $0 + $1.fileCount }, totalBytes: pools.reduce(0) { $0 + $1.totalBytes },
                chargedBytes: pools.reduce(0) { $0 + $1.chargedBytes }, reservedBytes: try usage?.int64("reserved_bytes") ?? 0, pools: pools
            )
        }
    }
}
