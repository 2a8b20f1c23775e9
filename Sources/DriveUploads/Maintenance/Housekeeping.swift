import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation
import Logging
import Synchronization

/// What a sweep did.
public struct SweepReport: Codable, Hashable, Sendable {
    public var expiredUploads = 0
    public var expiredFiles = 0
    public var expiredBundles = 0
    public var collectedBlobs = 0
    public var settledIntents = 0
    public var removedStaging = 0
    public var prunedRows = 0
    public var closedSessions = 0

    /// A sweep that found all in order.
    public static let nothing = SweepReport()
}

/// Expiry, collection and clean-up. Each step is small, repeatable, and safe to stop anywhere.
public final class Housekeeping: Sendable {
    /// Rows taken in one transaction, so that nobody waits long for the writer.
    private static let batch = 200

    private let uploads: UploadService
    private let surroundings: Surroundings
    private let logger: Logger

    public init(uploads: UploadService, logger: Logger) {
        self.uploads = uploads
        self.surroundings = uploads.surroundings
        self.logger = logger
    }

    /// Before the first request: what a crash left is settled. The process owns its pools' folders by then.
    public func recover() async throws -> SweepReport {
        var report = SweepReport()
        report.settledIntents = try await settleIntents(olderThan: surroundings.now())
        try await endBrokenDirectUploads()
        report.removedStaging = try await removeOrphanedStaging()
        return report
    }

    /// One round of everything. A failing step is logged and does not stop the others.
    public func sweep() async -> SweepReport {
        var report = SweepReport()
        await step("expired uploads") { report.expiredUploads = try await self.expireUploads() }
        await step("expired bundles") { report.expiredBundles = try await self.expireBundles() }
        await step("expired files") { report.expiredFiles = try await self.expireFiles() }
        await step("blob collection") { report.collectedBlobs = try await self.collectBlobs() }
        await step("intents") { report.settledIntents = try await self.settleIntents(olderThan: self.surroundings.now() - .seconds(3600)) }
        await step("old rows") { report.prunedRows = try await self.pruneRows() }
        report.closedSessions = uploads.closeIdleSessions()
        return report
    }

    private func step(_ name: String, _ work: () async throws -> Void) async {
        do {
            try await work()
        } catch {
            logger.error("housekeeping failed and is tried again next time", metadata: ["step": "\(name)", "error": "\(error)"])
        }
    }

    // MARK: Expiry

    private func expireUploads() async throws -> Int {
        let now = surroundings.now()
        let cutoff = now - uploads.settings.staleAfter
        var ended = 0
        while true {
            let stale = try await uploads.database.read { sql in
                try sql.query(
                    """
                    SELECT task_id, account_id FROM upload_tasks
                    WHERE status = 0 AND (last_activity < $1 OR (expired_at IS NOT NULL AND expired_at < $2)) ORDER BY last_activity LIMIT $3
                    """, [.timestamp(cutoff), .timestamp(now), .int(Self.batch)]
                ).map { (try $0.text("task_id"), try $0.uuid("account_id")) }
            }
            for (taskId, account) in stale {
                let done = try await uploads.end(
                    taskId, as: .expired, message: "No activity for too long.", code: "TASK_EXPIRED", by: .system(for: account))
                if done { ended += 1 }
            }
            if stale.count < Self.batch { return ended }
        }
    }

    private func expireFiles() async throws -> Int {
        let now = surroundings.now()
        let surroundings = surroundings
        var removed = 0
        while true {
            let count = try await uploads.database.write { sql in
                let rows = try sql.query(
                    "SELECT id, account_id FROM files WHERE expired_at IS NOT NULL AND expired_at <= $1 LIMIT $2", [.timestamp(now), .int(Self.batch)])
                for row in rows {
                    let (id, account) = (try row.text("id"), try row.uuid("account_id"))
                    if try FileService.remove(id, account: account, now: now, in: sql) {
                        try AuditTrail.append(
                            "file.expire", on: "file", id: id, by: .system(for: account), surroundings: surroundings, in: sql)
                    }
                }
                return rows.count
            }
            removed += count
            if count < Self.batch { return removed }
        }
    }

    /// An expired bundle goes with its files: that is what its expiry is for.
    private func expireBundles() async throws -> Int {
        let now = surroundings.now()
        let surroundings = surroundings
        return try await uploads.database.write { sql in
            let rows = try sql.query(
                "SELECT id, account_id FROM bundles WHERE expired_at IS NOT NULL AND expired_at <= $1 LIMIT $2", [.timestamp(now), .int(Self.batch)])
            for row in rows {
                let (id, account) = (try row.uuid("id"), try row.uuid("account_id"))
                try BundleService.remove(id, account: account, withFiles: true, now: now, in: sql)
                try AuditTrail.append(
                    "bundle.expire", on: "bundle", id: id.uuidString.lowercased(), by: .system(for: account), surroundings: surroundings, in: sql)
            }
            return rows.count
        }
    }

    // MARK: Blobs

    /// Takes blobs without a file out of the table, noting their paths, then removes their bytes.
    private func collectBlobs() async throws -> Int {
        let now = surroundings.now()
        let cutoff = now - uploads.settings.blobGracePeriod
        var collected = 0
        while true {
            let paths = try await uploads.database.write { sql -> [(UUID, String)] in
                let rows = try sql.query(
                    "SELECT checksum, pool_id FROM file_checksums WHERE unreferenced_at IS NOT NULL AND unreferenced_at <= $1 LIMIT $2\(sql.dialect.forUpdate)",
                    [.timestamp(cutoff), .int(Self.batch)])
                var taken: [(UUID, String)] = []
                for row in rows {
                    let pool = try row.uuid("pool_id")
                    let gone = try sql.first(
                        "DELETE FROM file_checksums WHERE checksum = $1 AND pool_id = $2 AND reference_count = 0 RETURNING storage_path",
                        [.text(try row.text("checksum")), .uuid(pool)])
                    guard let path = try gone?.text("storage_path") else { continue }
                    try BlobIntent.note(path, pool: pool, task: nil, now: now, in: sql)
                    taken.append((pool, path))
                }
                return taken
            }
            for (pool, path) in paths { await uploads.collect(path, pool: pool, store: try await uploads.pools.open(pool).store) }
            collected += paths.count
            if paths.isEmpty { return collected }
        }
    }

    /// Intents whose writer is gone: where the path became a blob only the note goes, else the bytes go too.
    private func settleIntents(olderThan cutoff: Timestamp) async throws -> Int {
        let intents = try await uploads.database.read { sql in
            try sql.query(
                """
                SELECT i.pool_id, i.storage_path, b.checksum FROM blob_intents i
                LEFT JOIN file_checksums b ON b.pool_id = i.pool_id AND b.storage_path = i.storage_path WHERE i.created_at < $1
                """, [.timestamp(cutoff)]
            ).map { (pool: try $0.uuid("pool_id"), path: try $0.text("storage_path"), published: try $0.optionalText("checksum") != nil) }
        }
        for intent in intents {
            if intent.published {
                try await uploads.database.write { sql in try BlobIntent.clear(intent.path, pool: intent.pool, in: sql) }
            } else {
                await uploads.collect(intent.path, pool: intent.pool, store: try await uploads.pools.open(intent.pool).store)
            }
        }
        return intents.count
    }

    // MARK: After a crash

    /// A one-request upload ends with its process: its reservation goes back.
    private func endBrokenDirectUploads() async throws {
        let broken = try await uploads.database.read { sql in
            try sql.query("SELECT task_id, account_id FROM upload_tasks WHERE status = 0 AND face = $1", [.text(UploadFace.direct)])
                .map { (try $0.text("task_id"), try $0.uuid("account_id")) }
        }
        for (taskId, account) in broken {
            try await uploads.end(
                taskId, as: .failed, message: "The server stopped before the file was whole.", code: "BODY_TRUNCATED", by: .system(for: account))
        }
    }

    /// Staging files without a live upload, as a crash between the file and its rows leaves them.
    private func removeOrphanedStaging() async throws -> Int {
        let live = try await uploads.database.read { sql in
            Set(try sql.query("SELECT staging_path FROM upload_tasks WHERE status = 0").map { try $0.text("staging_path") })
        }
        var removed = 0
        for pool in try await uploads.pools.list() {
            let store = try await uploads.pools.open(pool.id).store
            for name in try await store.listStaging() where !live.contains(name) {
                try await store.removeStaging(name)
                removed += 1
            }
        }
        return removed
    }

    // MARK: Old rows

    private func pruneRows() async throws -> Int {
        let now = surroundings.now()
        let settings = uploads.settings
        var pruned = try await uploads.database.write { sql -> Int in
            var count = try sql.execute(
                "DELETE FROM idempotency_keys WHERE created_at < $1", [.timestamp(now - settings.idempotencyLifetime)])
            count += try sql.execute(
                """
                DELETE FROM upload_chunks WHERE session_id IN
                (SELECT u.id FROM upload_tasks u WHERE u.status <> 0 AND u.updated_at < $1 AND u.chunks_uploaded > 0
                 AND EXISTS (SELECT 1 FROM upload_chunks c WHERE c.session_id = u.id) LIMIT 50)
                """, [.timestamp(now)])
            return count
        }
        pruned += try await uploads.database.write { sql in
            try EventOutbox.prune(before: now - settings.eventRetention, limit: 10_000, in: sql)
        }
        pruned += try await uploads.database.write { sql in
            let old = "SELECT task_id FROM tasks WHERE completed_at IS NOT NULL AND completed_at < $1 ORDER BY completed_at LIMIT 2000"
            let cutoff: [SQLValue] = [.timestamp(now - settings.taskRetention)]
            try sql.execute("DELETE FROM upload_tasks WHERE task_id IN (\(old))", cutoff)
            return try sql.execute("DELETE FROM tasks WHERE task_id IN (\(old))", cutoff)
        }
        return pruned
    }
}

extension UploadService {
    /// Closes uploads nobody used for a while; they open again from their rows.
    func closeIdleSessions() -> Int {
        let cutoff = ContinuousClock.now - settings.cacheDuration
        return sessions.withLock { sessions in
            let idle = sessions.filter { entry in
                guard case .open(let session) = entry.value else { return false }
                return session.withState { !$0.ledger.hasClaims && $0.completion == nil && $0.follower == nil && $0.lastUse < cutoff }
            }
            for id in idle.keys { sessions[id] = nil }
            return idle.count
        }
    }
}
