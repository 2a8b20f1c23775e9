import DriveCrypto
import DriveDatabase
import DriveModel
import DriveStorage
import Foundation

/// One thing that should not be.
public struct Finding: Codable, Hashable, Sendable {
    /// A stable word: `blob.missing`, `blob.damaged`, `blob.orphaned`, `reference.count`, `usage`, `staging.orphaned`, `task.lease`, …
    public var kind: String
    public var subject: String
    public var message: String
    /// Whether `--repair` mended it.
    public var repaired: Bool
}

/// `drive check`: what must hold after every fault, recomputed from the rows and the bytes themselves.
public struct InvariantChecker: Sendable {
    private let database: any Database
    private let pools: PoolDirectory
    private let io: IOPool
    private let surroundings: Surroundings

    public init(database: any Database, pools: PoolDirectory, io: IOPool, surroundings: Surroundings = .system) {
        self.database = database
        self.pools = pools
        self.io = io
        self.surroundings = surroundings
    }

    /// Runs every check. With `repair`, what can be mended without losing a byte is mended: counts and sums are set to
    /// what is recomputed, bytes without a row are removed.
    public func run(repair: Bool) async throws -> [Finding] {
        var findings = try await database.checkIntegrity().map {
            Finding(kind: "database", subject: "database", message: $0, repaired: false)
        }
        findings += try await checkBlobs(repair: repair)
        findings += try await checkReferences(repair: repair)
        findings += try await checkUsage(repair: repair)
        findings += try await checkOpenBytes(repair: repair)
        findings += try await checkStaging(repair: repair)
        findings += try await checkTasks()
        findings += try await checkTaskEngine(repair: repair)
        return findings
    }

    private func checkTaskEngine(repair: Bool) async throws -> [Finding] {
        let invariants = TaskInvariants(now: surroundings.now(), repair: repair)
        if repair { return try await database.write { sql in try invariants.findings(in: sql) } }
        return try await database.read { sql in try invariants.findings(in: sql) }
    }

    private struct Blob: Sendable {
        var checksum: String
        var crc32c: UInt32
        var size: Int64
        var path: String
        /// Found damaged by somebody who read it.
        var isMarked: Bool
    }

    private func checkBlobs(repair: Bool) async throws -> [Finding] {
        var findings: [Finding] = []
        for pool in try await pools.list() {
            let store = try await pools.open(pool.id).store
            let (rows, intents) = try await database.read { sql in
                (
                    try sql.query(
                        "SELECT checksum, crc32c, file_size, storage_path, damaged_at FROM file_checksums WHERE pool_id = $1",
                        [.uuid(pool.id)]
                    )
                    .map {
                        Blob(
                            checksum: try $0.text("checksum"), crc32c: UInt32(truncatingIfNeeded: try $0.int64("crc32c")),
                            size: try $0.int64("file_size"), path: try $0.text("storage_path"),
                            isMarked: try $0.optionalTimestamp("damaged_at") != nil)
                    },
                    Set(
                        try sql.query("SELECT storage_path FROM blob_intents WHERE pool_id = $1", [.uuid(pool.id)]).map {
                            try $0.text("storage_path")
                        })
                )
            }
            for row in rows {
                switch await condition(of: row, in: store) {
                case .sound:
                    if repair, row.isMarked { try await mark(row, in: pool.id, damagedAt: nil) }
                case .damaged(let kind, let message):
                    if repair, !row.isMarked { try await mark(row, in: pool.id, damagedAt: surroundings.now()) }
                    findings.append(Finding(kind: kind, subject: row.path, message: message, repaired: false))
                case .wrongChecksum(let actual):
                    if repair {
                        _ = try await database.write { sql in
                            try sql.execute(
                                "UPDATE file_checksums SET crc32c = $3, damaged_at = NULL WHERE checksum = $1 AND pool_id = $2",
                                [.text(row.checksum), .uuid(pool.id), .integer(Int64(actual))])
                        }
                    }
                    findings.append(
                        Finding(
                            kind: "blob.checksum", subject: row.path,
                            message: "its CRC-32C is \(CRC32C.hex(actual)), its row says otherwise",
                            repaired: repair))
                }
            }
            let known = Set(rows.map(\.path)).union(intents)
            for path in try await store.list() where !known.contains(path) {
                if repair { try await store.remove(path) }
                findings.append(
                    Finding(kind: "blob.orphaned", subject: path, message: "bytes without a row in pool \(pool.name)", repaired: repair))
            }
        }
        return findings
    }

    /// A blob that is marked is replaced by the next upload of the same content.
    private func mark(_ blob: Blob, in pool: UUID, damagedAt time: Timestamp?) async throws {
        _ = try await database.write { sql in
            try sql.execute(
                "UPDATE file_checksums SET damaged_at = $3 WHERE checksum = $1 AND pool_id = $2 AND storage_path = $4",
                [.text(blob.checksum), .uuid(pool), .timestamp(time), .text(blob.path)])
        }
    }

    private enum Condition {
        case sound
        case damaged(kind: String, message: String)
        /// The bytes are right, their CRC-32C in the row is not.
        case wrongChecksum(UInt32)
    }

    private func condition(of blob: Blob, in store: LocalPool) async -> Condition {
        do {
            let size = blob.size
            let file = try await store.open(blob.path)
            guard try file.size() == size else {
                return .damaged(kind: "blob.damaged", message: "has \(try file.size()) bytes, its row says \(size)")
            }
            let hash = try await RangeHasher.hash(file, range: 0..<size, continuing: FileDigest(), io: io) { _, _ in true }
            guard let hash, hash.hexDigest() == blob.checksum else {
                return .damaged(kind: "blob.damaged", message: "its SHA-256 is not \(blob.checksum)")
            }
            return hash.crc32c == blob.crc32c ? .sound : .wrongChecksum(hash.crc32c)
        } catch let error as StorageError where error.isMissing {
            return .damaged(kind: "blob.missing", message: "a row without bytes")
        } catch {
            return .damaged(kind: "blob.unreadable", message: "\(error)")
        }
    }

    private func checkReferences(repair: Bool) async throws -> [Finding] {
        try await database.write { sql in
            let wrong = try sql.query(
                """
                SELECT b.checksum, b.pool_id, b.reference_count, (SELECT COUNT(*) FROM files f WHERE f.hash = b.checksum AND f.pool_id = b.pool_id) AS files
                FROM file_checksums b
                WHERE b.reference_count <> (SELECT COUNT(*) FROM files f WHERE f.hash = b.checksum AND f.pool_id = b.pool_id)
                    OR (b.reference_count = 0 AND b.unreferenced_at IS NULL) OR (b.reference_count <> 0 AND b.unreferenced_at IS NOT NULL)
                """)
            var findings: [Finding] = []
            for row in wrong {
                let (checksum, files) = (try row.text("checksum"), try row.int64("files"))
                if repair {
                    try sql.execute(
                        "UPDATE file_checksums SET reference_count = $3, unreferenced_at = $4 WHERE checksum = $1 AND pool_id = $2",
                        [
                            .text(checksum), .uuid(try row.uuid("pool_id")), .integer(files),
                            .timestamp(files == 0 ? Surroundings.system.now() : nil),
                        ])
                }
                findings.append(
                    Finding(
                        kind: "reference.count", subject: checksum,
                        message: "counts \(try row.int64("reference_count")) references, there are \(files)", repaired: repair))
            }
            let lost = try sql.query(
                """
                SELECT f.id FROM files f WHERE NOT EXISTS
                (SELECT 1 FROM file_checksums b WHERE b.checksum = f.hash AND b.pool_id = f.pool_id)
                """)
            for row in lost {
                findings.append(
                    Finding(kind: "file.blobless", subject: try row.text("id"), message: "a file without a blob row", repaired: false))
            }
            return findings
        }
    }

    private func checkUsage(repair: Bool) async throws -> [Finding] {
        try await database.write { sql in
            // An account with files or uploads has a usage row, else it would have no limit.
            let unknown = try sql.query(
                """
                SELECT DISTINCT x.account_id FROM (SELECT account_id FROM files UNION SELECT account_id FROM upload_tasks WHERE status = 0) x
                WHERE NOT EXISTS (SELECT 1 FROM account_usage a WHERE a.account_id = x.account_id)
                """
            ).map { try $0.uuid("account_id") }
            if repair {
                for account in unknown { try sql.execute("INSERT INTO account_usage (account_id) VALUES ($1)", [.uuid(account)]) }
            }
            let rows = try sql.query(
                """
                SELECT a.account_id, a.used_bytes, a.reserved_bytes, a.file_count, a.open_uploads, a.open_bytes,
                    (SELECT COALESCE(SUM(f.charged_bytes), 0) FROM files f WHERE f.account_id = a.account_id) AS used,
                    (SELECT COUNT(*) FROM files f WHERE f.account_id = a.account_id) AS files,
                    (SELECT COALESCE(SUM(u.reserved_bytes), 0) FROM upload_tasks u WHERE u.account_id = a.account_id AND u.status = 0) AS reserved,
                    (SELECT COUNT(*) FROM upload_tasks u WHERE u.account_id = a.account_id AND u.status = 0) AS uploads,
                    (SELECT COALESCE(SUM(u.file_size), 0) FROM upload_tasks u WHERE u.account_id = a.account_id AND u.status = 0) AS open_size
                FROM account_usage a
                """)
            var findings = unknown.map {
                Finding(kind: "usage", subject: $0.lowercaseString, message: "has no usage row", repaired: repair)
            }
            for row in rows {
                let pairs = [
                    ("used_bytes", "used"), ("reserved_bytes", "reserved"), ("file_count", "files"), ("open_uploads", "uploads"),
                    ("open_bytes", "open_size"),
                ]
                let wrong = try pairs.filter { try row.int64($0.0) != row.int64($0.1) }
                guard !wrong.isEmpty else { continue }
                let account = try row.uuid("account_id")
                if repair {
                    try sql.execute(
                        """
                        UPDATE account_usage SET used_bytes = $2, reserved_bytes = $3, file_count = $4, open_uploads = $5, open_bytes = $6
                        WHERE account_id = $1
                        """,
                        [.uuid(account)] + pairs.map { .integer(try row.int64($0.1)) })
                }
                for (column, computed) in wrong {
                    findings.append(
                        Finding(
                            kind: "usage", subject: account.lowercaseString,
                            message: "\(column) is \(try row.int64(column)), recomputed \(try row.int64(computed))", repaired: repair))
                }
            }
            return findings
        }
    }

    private func checkOpenBytes(repair: Bool) async throws -> [Finding] {
        try await database.write { sql in
            let rows = try sql.query(
                """
                SELECT p.id, p.name, p.open_bytes, (SELECT COALESCE(SUM(u.file_size), 0) FROM upload_tasks u
                    WHERE u.pool_id = p.id AND u.status = 0 AND u.face <> $1) AS computed FROM pools p
                """, [.text(UploadFace.direct)])
            return try rows.compactMap { row in
                let (stored, computed) = (try row.int64("open_bytes"), try row.int64("computed"))
                guard stored != computed else { return nil }
                if repair {
                    try sql.execute("UPDATE pools SET open_bytes = $2 WHERE id = $1", [.uuid(try row.uuid("id")), .integer(computed)])
                }
                return Finding(
                    kind: "pool.openBytes", subject: try row.text("name"), message: "open_bytes is \(stored), recomputed \(computed)",
                    repaired: repair)
            }
        }
    }

    private func checkStaging(repair: Bool) async throws -> [Finding] {
        let live = try await database.read { sql in
            Set(try sql.query("SELECT staging_path FROM upload_tasks WHERE status = 0").map { try $0.text("staging_path") })
        }
        var findings: [Finding] = []
        for pool in try await pools.list() {
            let store = try await pools.open(pool.id).store
            for name in try await store.listStaging() where !live.contains(name) {
                if repair { try await store.removeStaging(name) }
                findings.append(
                    Finding(kind: "staging.orphaned", subject: name, message: "a temporary file without a live upload", repaired: repair))
            }
        }
        return findings
    }

    /// The upload's derived columns agree with its task, and kept chunks with their count.
    private func checkTasks() async throws -> [Finding] {
        try await database.read { sql in
            var findings: [Finding] = []
            let rows = try sql.query(
                """
                SELECT u.task_id, u.status AS code, t.status AS word, u.chunks_uploaded, u.bytes_uploaded, u.face,
                    (SELECT COUNT(*) FROM upload_chunks c WHERE c.session_id = u.id) AS chunks,
                    (SELECT COALESCE(SUM(c.chunk_size), 0) FROM upload_chunks c WHERE c.session_id = u.id) AS bytes
                FROM upload_tasks u LEFT JOIN tasks t ON t.task_id = u.task_id
                """)
            for row in rows {
                let id = try row.text("task_id")
                guard let status = try row.optionalText("word").flatMap(TaskStatus.init(rawValue:)) else {
                    findings.append(Finding(kind: "task.missing", subject: id, message: "an upload without a task", repaired: false))
                    continue
                }
                let code = try row.int64("code")
                if status.uploadStatusCode != code {
                    findings.append(
                        Finding(kind: "task.status", subject: id, message: "status \(code) beside \(status.rawValue)", repaired: false))
                }
                if UploadFace.isStream(try row.text("face")) {
                    let (counted, bytes) = (try row.int64("bytes_uploaded"), try row.int64("bytes"))
                    if !status.isTerminal, counted != bytes {
                        findings.append(
                            Finding(kind: "task.bytes", subject: id, message: "counts \(counted) bytes, its rows \(bytes)", repaired: false)
                        )
                    }
                    continue
                }
                let (counted, chunks) = (try row.int64("chunks_uploaded"), try row.int64("chunks"))
                if !status.isTerminal, counted != chunks {
                    findings.append(
                        Finding(kind: "task.chunks", subject: id, message: "counts \(counted) chunks, there are \(chunks)", repaired: false)
                    )
                }
            }
            return findings
        }
    }
}
