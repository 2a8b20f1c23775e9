import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// Rows that were kept long enough.
extension Housekeeping {
    /// How long the server's own tasks are shown after their end.
    private static let serverTaskRetention = Duration.seconds(86_400)

    func pruneRows() async throws -> Int {
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
    func repeating(
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
