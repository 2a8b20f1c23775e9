import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// What ends because its time ran out: uploads, files and bundles.
extension Housekeeping {
    func expireUploads() async throws -> Int {
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

    func expireFiles() async throws -> Int {
        let now = now()
        let surroundings = surroundings
        return try await removeExpired("files", at: now) { row, account, sql in
            let id = try row.text("id")
            guard let removed = try FileService.remove(id, account: account, now: now, in: sql) else { return [] }
            try AuditTrail.append("file.expire", on: "file", id: id, by: .system(for: account), surroundings: surroundings, in: sql)
            return [FileEvents.deleted(removed, because: .expired, now: now)]
        }
    }

    /// An expired bundle goes with its files: that is what its expiry is for.
    func expireBundles() async throws -> Int {
        let now = now()
        let surroundings = surroundings
        // One at a time, so that uploads' rows come before those of usage in each transaction.
        return try await removeExpired("bundles", at: now, limit: 1) { row, account, sql in
            let id = try row.uuid("id")
            let removed = try BundleService.remove(id, account: account, withFiles: true, now: now, in: sql)
            try AuditTrail.append(
                "bundle.expire", on: "bundle", id: id.lowercaseString, by: .system(for: account), surroundings: surroundings, in: sql)
            return removed + [FileEvents.deleted(bundle: id, name: try row.text("name"), withFiles: true, because: .expired, now: now)]
        }
    }

    /// Removes the rows of a table whose time is over, in one order, and tells their owners.
    private func removeExpired(
        _ table: String, at now: Timestamp, limit: Int = Housekeeping.batch,
        _ remove: @escaping @Sendable (_ row: SQLRow, _ account: UUID, _ sql: any SQLSession) throws -> [DriveEvent]
    ) async throws -> Int {
        try await repeating(limit) { sql, limit in
            let rows = try sql.query(
                """
                SELECT id, account_id, name FROM \(table) WHERE expired_at IS NOT NULL AND expired_at <= $1
                ORDER BY account_id, id LIMIT $2
                """, [.timestamp(now), .int(limit)])
            var events: [OutboxEvent] = []
            for row in rows {
                let account = try row.uuid("account_id")
                events += try remove(row, account, sql).map { try $0.outboxEvent(of: account) }
            }
            try EventOutbox.append(events, now: now, in: sql)
            return rows.count
        }
    }
}
