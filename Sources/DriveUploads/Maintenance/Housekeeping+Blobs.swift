import DriveDatabase
import DriveModel
import DriveStorage
import DriveTasks
import Foundation

/// Bytes that no file has any more, or never had.
extension Housekeeping {
    /// Takes blobs without a file out of the table, noting their paths, then removes their bytes.
    func collectBlobs() async throws -> Int {
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
    func settleIntents() async throws -> Int {
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
}
