import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation
import Synchronization

/// What a crash left.
extension Housekeeping {
    /// A one-request upload ends with its process: its reservation goes back.
    func endBrokenDirectUploads() async throws {
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
    func reclaimUnpublished() async throws {
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
    func removeOrphanedStaging() async throws -> Int {
        var removed = 0
        for (store, name) in try await orphanedStaging() {
            try await store.removeStaging(name)
            removed += 1
        }
        return removed
    }

    /// While uploads come and go a file may be older than its row: only what had none at two sweeps running goes.
    func removeStagingOrphanedTwice() async throws -> Int {
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
}
