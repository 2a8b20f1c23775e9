import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
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

    mutating func add(_ count: Int, of step: Housekeeping.Step) {
        switch step {
        case .expireUploads: expiredUploads += count
        case .expireBundles: expiredBundles += count
        case .expireFiles: expiredFiles += count
        case .collectBlobs: collectedBlobs += count
        case .settleIntents: settledIntents += count
        case .removeStaging: removedStaging += count
        case .resumeConcatenations: break
        case .removeOldRows: prunedRows += count
        }
    }
}

/// Expiry, collection and clean-up. Each step is small, repeatable, and safe to stop anywhere.
public final class Housekeeping: Sendable {
    /// Rows taken in one transaction, so that nobody waits long for the writer.
    private static let batch = 200
    /// How long the server's own tasks are shown after their end.
    private static let serverTaskRetention = Duration.seconds(86_400)

    private let uploads: UploadService
    private let surroundings: Surroundings
    private let logger: Logger
    private let steady: @Sendable () -> ContinuousClock.Instant
    /// The start, by both clocks.
    private let start: (wall: Timestamp, steady: ContinuousClock.Instant)
    /// Staging files that had no upload at the last sweep.
    private let suspects = Mutex<Set<String>>([])

    /// - Parameter steady: a clock that nobody sets, to tell a jump of the wall clock from time that passed.
    public init(uploads: UploadService, logger: Logger, steady: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.uploads = uploads
        self.surroundings = uploads.surroundings
        self.logger = logger
        self.steady = steady
        start = (uploads.surroundings.now(), steady())
    }

    /// The time of day, but never further ahead than the time that passed since the start allows: a wall clock that
    /// jumps forward expires nothing. One that jumps back delays.
    private func now() -> Timestamp {
        min(surroundings.now(), start.wall + (steady() - start.steady) + .seconds(300))
    }

    /// Before the first request: what a crash left is settled. The process owns its pools' folders by then.
    public func recover() async throws -> SweepReport {
        var report = SweepReport()
        try await endBrokenDirectUploads()
        try await reclaimUnpublished()
        report.settledIntents = try await settleIntents()
        report.removedStaging = try await removeOrphanedStaging()
        try await uploads.resumeAssemblies()
        return report
    }

    /// What housekeeping consists of; each is a recurring task of its own.
    public enum Step: String, CaseIterable, Sendable {
        case expireUploads = "expire-uploads"
        case expireBundles = "expire-bundles"
        case expireFiles = "expire-files"
        case collectBlobs = "collect-blobs"
        case settleIntents = "settle-intents"
        case removeStaging = "remove-staging"
        case resumeConcatenations = "resume-concatenations"
        case removeOldRows = "remove-old-rows"

        var title: String {
            switch self {
            case .expireUploads: "Expire unfinished uploads"
            case .expireBundles: "Expire bundles"
            case .expireFiles: "Expire files"
            case .collectBlobs: "Remove bytes without a file"
            case .settleIntents: "Settle unfinished publications"
            case .removeStaging: "Remove orphaned temporary files"
            case .resumeConcatenations: "Resume concatenations"
            case .removeOldRows: "Remove old rows"
            }
        }
    }

    /// Runs one step; returns how many things it settled.
    public func run(_ step: Step) async throws -> Int {
        switch step {
        case .expireUploads: return try await expireUploads()
        case .expireBundles: return try await expireBundles()
        case .expireFiles: return try await expireFiles()
        case .collectBlobs: return try await collectBlobs()
        case .settleIntents: return try await settleIntents()
        case .removeStaging: return try await removeStagingOrphanedTwice()
        case .resumeConcatenations:
            try await uploads.resumeAssemblies()
            return 0
        case .removeOldRows: return try await pruneRows()
        }
    }

    /// Closes uploads nobody used for a while: a matter of this process's memory alone.
    public func closeIdleSessions() -> Int { uploads.closeIdleSessions() }

    /// One round of every step, at once. A failing step is logged and does not stop the others.
    public func sweep() async -> SweepReport {
        var report = SweepReport()
        for step in Step.allCases {
            do {
                report.add(try await run(step), of: step)
            } catch {
                logger.error(
                    "housekeeping failed and is tried again next time", metadata: ["step": "\(step.rawValue)", "error": "\(error)"])
            }
        }
        report.closedSessions = closeIdleSessions()
        return report
    }

    // MARK: Expiry

    private func expireUploads() async throws -> Int {
        let now = now()
        let cutoff = now - uploads.settings.staleAfter
        let oldest = now - uploads.settings.maximumAge
        var ended = 0
        while true {
            let stale = try await uploads.database.read { sql in
                try sql.query(
                    """
                    SELECT task_id, account_id, CASE WHEN created_at < $4 OR (expired_at IS NOT NULL AND expired_at < $2) THEN 1 ELSE 0 END
                        AS is_over FROM upload_tasks
                    WHERE status = 0 AND (created_at < $4 OR (expired_at IS NOT NULL AND expired_at < $2) OR (last_activity < $1
                        AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.task_id = upload_tasks.task_id AND t.status = 'Paused')
                        AND NOT (concatenation IS NOT NULL AND concatenation = $5 AND NOT length_deferred AND bytes_uploaded = file_size)))
                    ORDER BY last_activity LIMIT $3
                    """,
                    // A part that has all its bytes waits for its siblings.
                    [.timestamp(cutoff), .timestamp(now), .int(Self.batch), .timestamp(oldest), .text(Concatenation.partial)]
                ).map { (try $0.text("task_id"), try $0.uuid("account_id"), try $0.int64("is_over") == 1) }
            }
            for (taskId, account, isOver) in stale {
                // Ending others may have taken a while: who came back meanwhile is not ended.
                let done = try await uploads.end(
                    taskId, as: .expired, message: "No activity for too long.", code: "TASK_EXPIRED", idleSince: isOver ? nil : cutoff,
                    by: .system(for: account))
                if done { ended += 1 }
            }
            if stale.count < Self.batch { return ended }
        }
    }

    private func expireFiles() async throws -> Int {
        let now = now()
        let surroundings = surroundings
        var removed = 0
        while true {
            let count = try await uploads.database.write { sql in
                let rows = try sql.query(
                    "SELECT id, account_id FROM files WHERE expired_at IS NOT NULL AND expired_at <= $1 ORDER BY account_id, id LIMIT $2",
                    [.timestamp(now), .int(Self.batch)])
                var events: [OutboxEvent] = []
                for row in rows {
                    let (id, account) = (try row.text("id"), try row.uuid("account_id"))
                    guard let removed = try FileService.remove(id, account: account, now: now, in: sql) else { continue }
                    try AuditTrail.append(
                        "file.expire", on: "file", id: id, by: .system(for: account), surroundings: surroundings, in: sql)
                    events.append(try FileEvents.deleted(removed, because: .expired, now: now).outboxEvent(of: account))
                }
                try EventOutbox.append(events, now: now, in: sql)
                return rows.count
            }
            removed += count
            if count < Self.batch { return removed }
        }
    }

    /// An expired bundle goes with its files: that is what its expiry is for.
    private func expireBundles() async throws -> Int {
        let now = now()
        let surroundings = surroundings
        return try await uploads.database.write { sql in
            let rows = try sql.query(
                "SELECT id, account_id, name FROM bundles WHERE expired_at IS NOT NULL AND expired_at <= $1 ORDER BY account_id, id LIMIT $2",
                [.timestamp(now), .int(Self.batch)])
            var events: [OutboxEvent] = []
            for row in rows {
                let (id, account) = (try row.uuid("id"), try row.uuid("account_id"))
                let removed = try BundleService.remove(id, account: account, withFiles: true, now: now, in: sql)
                try AuditTrail.append(
                    "bundle.expire", on: "bundle", id: id.lowercaseString, by: .system(for: account), surroundings: surroundings,
                    in: sql)
                let end = FileEvents.deleted(bundle: id, name: try row.text("name"), withFiles: true, because: .expired, now: now)
                events += try (removed + [end]).map { try $0.outboxEvent(of: account) }
            }
            try EventOutbox.append(events, now: now, in: sql)
            return rows.count
        }
    }

    // MARK: Blobs

    /// Takes blobs without a file out of the table, noting their paths, then removes their bytes.
    private func collectBlobs() async throws -> Int {
        let now = now()
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

    /// Intents whose upload or task has ended: where the path became a blob only the note goes, else the bytes go too. Those
    /// of open uploads and of tasks that wait, run or are paused are theirs.
    private func settleIntents() async throws -> Int {
        let isOver = """
            NOT EXISTS (SELECT 1 FROM tasks t WHERE t.task_id = blob_intents.task_id
                AND t.status IN (\(TaskStatus.open.map { "'\($0.rawValue)'" }.joined(separator: ", "))))
            """
        let intents = try await uploads.database.read { sql in
            try sql.query(
                """
                SELECT blob_intents.pool_id, blob_intents.storage_path, b.checksum FROM blob_intents
                LEFT JOIN file_checksums b ON b.pool_id = blob_intents.pool_id AND b.storage_path = blob_intents.storage_path
                WHERE \(isOver)
                """
            ).map { (pool: try $0.uuid("pool_id"), path: try $0.text("storage_path"), published: try $0.optionalText("checksum") != nil) }
        }
        for intent in intents {
            if intent.published {
                try await uploads.database.write { sql in try BlobIntent.clear(intent.path, pool: intent.pool, in: sql) }
                continue
            }
            // An ended upload never publishes later; an ended task may be begun anew, and then finds that the path is not its
            // own any more.
            let isTaken = try await uploads.database.write { sql in
                try sql.execute(
                    """
                    UPDATE blob_intents SET task_id = NULL WHERE pool_id = $1 AND storage_path = $2 AND \(isOver) AND NOT EXISTS
                    (SELECT 1 FROM file_checksums b WHERE b.pool_id = blob_intents.pool_id AND b.storage_path = blob_intents.storage_path)
                    """, [.uuid(intent.pool), .text(intent.path)]) == 1
            }
            guard isTaken else { continue }
            await uploads.collect(intent.path, pool: intent.pool, store: try await uploads.pools.open(intent.pool).store)
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
                taskId, as: .failed, message: "The server stopped before the file was whole.", code: "BODY_TRUNCATED",
                by: .system(for: account))
        }
    }

    /// Bytes of open uploads that were moved to a blob's path by a publication that did not end go back to staging.
    private func reclaimUnpublished() async throws {
        let records = try await uploads.database.read { sql in
            try sql.query(
                """
                SELECT \(UploadRecord.columns) FROM \(UploadRecord.tables) WHERE u.status = 0 AND u.face <> $1
                AND EXISTS (SELECT 1 FROM blob_intents i WHERE i.task_id = u.task_id)
                """, [.text(UploadFace.direct)]
            ).map(UploadRecord.init(row:))
        }
        for record in records { _ = try await uploads.reclaim(record, store: try await uploads.pools.open(record.poolId).store) }
    }

    /// Staging files without a live upload, as a crash between the file and its rows leaves them.
    private func removeOrphanedStaging() async throws -> Int {
        var removed = 0
        for (store, name) in try await orphanedStaging() {
            try await store.removeStaging(name)
            removed += 1
        }
        return removed
    }

    /// While uploads come and go a file may be older than its row: only what had none at two sweeps running goes.
    private func removeStagingOrphanedTwice() async throws -> Int {
        let orphans = try await orphanedStaging()
        let before = suspects.withLock { suspects in
            defer { suspects = Set(orphans.map(\.name)) }
            return suspects
        }
        var removed = 0
        for (store, name) in orphans where before.contains(name) {
            try await store.removeStaging(name)
            removed += 1
        }
        return removed
    }

    private func orphanedStaging() async throws -> [(store: LocalPool, name: String)] {
        var files: [(store: LocalPool, name: String)] = []
        for pool in try await uploads.pools.list() {
            let store = try await uploads.pools.open(pool.id).store
            files += try await store.listStaging().map { (store, $0) }
        }
        // The rows are read after the files: an upload that began in between has its row by now.
        let live = try await uploads.database.read { sql in
            Set(try sql.query("SELECT staging_path FROM upload_tasks WHERE status = 0").map { try $0.text("staging_path") })
        }
        return files.filter { !live.contains($0.name) }
    }

    // MARK: Old rows

    private func pruneRows() async throws -> Int {
        let now = now()
        let settings = uploads.settings
        var pruned = try await uploads.database.write { sql in
            try sql.execute("DELETE FROM idempotency_keys WHERE created_at < $1", [.timestamp(now - settings.idempotencyLifetime)])
        }
        pruned += try await repeating(1000) { sql, limit in
            try sql.execute(
                "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2)",
                [.timestamp(now - settings.auditRetention), .int(limit)])
        }
        pruned += try await repeating(1000) { sql, limit in
            try EventOutbox.prune(before: now - settings.eventRetention, limit: limit, in: sql)
        }
        pruned += try await repeating(1000) { sql, limit in
            try RingDirectory.pruneNotifications(before: now - settings.notificationRetention, limit: limit, in: sql)
        }
        pruned += try await uploads.database.write { sql in
            try sql.execute(
                "DELETE FROM upload_parts WHERE NOT EXISTS (SELECT 1 FROM upload_tasks u WHERE u.task_id = upload_parts.final_task_id)")
        }
        // Chunks of ended uploads; driven from the chunks, so that ended uploads without any are not looked at.
        pruned += try await repeating(20) { sql, limit in
            let ended = try sql.query(
                """
                SELECT DISTINCT c.session_id FROM upload_chunks c JOIN upload_tasks u ON u.id = c.session_id
                WHERE u.status <> 0 LIMIT $1
                """, [.int(limit)])
            for row in ended { try sql.execute("DELETE FROM upload_chunks WHERE session_id = $1", [.uuid(try row.uuid("session_id"))]) }
            return ended.count
        }
        pruned += try await repeating(200) { sql, limit in
            try TaskEngine.removeEnded(
                before: now - settings.taskRetention, ofServerBefore: now - Self.serverTaskRetention, limit: limit, in: sql)
        }
        return pruned
    }

    /// Repeats a step in transactions of at most `limit` rows until one finds fewer.
    private func repeating(
        _ limit: Int, _ step: @escaping @Sendable (any SQLSession, Int) throws -> Int
    ) async throws -> Int {
        var total = 0
        while true {
            let count = try await uploads.database.write { sql in try step(sql, limit) }
            total += count
            if count < limit { return total }
        }
    }
}
