import Synchronization
import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// How an upload list is filtered, sorted and cut.
public struct UploadListQuery: Sendable {
    public enum Sort: String, Sendable, CaseIterable {
        case fileName = "filename", fileSize = "filesize", createdAt, updatedAt, lastActivity

        var column: String {
            switch self {
            case .fileName: "u.file_name_folded"
            case .fileSize: "u.file_size"
            case .createdAt: "u.created_at"
            case .updatedAt: "u.updated_at"
            case .lastActivity: "u.last_activity"
            }
        }
    }

    public var status: TaskStatus?
    public var sort = Sort.lastActivity
    public var descending = true
    public var offset = 0
    public var limit = 50

    public init() {}
}

/// `GET …/tasks/{taskId}/details`.
public struct UploadDetails: Codable, Sendable {
    public var task: UploadSummary
    public var pool: Pool?
    public var bundle: FileBundle?
    /// Bytes per second over the last ten seconds; 0 where nothing came.
    public var currentSpeed: Double
    /// nil where nothing comes.
    public var estimatedSecondsRemaining: Double?
    public var startedAt: Timestamp
    public var sessionExpiresAt: Timestamp
}

extension UploadService {
    func find(_ taskId: String, account: UUID) async throws -> UploadRecord {
        let record = try await database.read { sql in try UploadRecord.find(taskId, account: account, in: sql) }
        guard let record else { throw Self.notFound(taskId) }
        return record
    }

    /// The upload's row, for who checks a session token.
    public func record(_ taskId: String, account: UUID) async throws -> UploadRecord {
        try await find(taskId, account: account)
    }

    public func list(_ query: UploadListQuery, account: UUID) async throws -> Page<UploadSummary> {
        try await database.read { sql in
            var condition = "u.account_id = $1"
            var arguments: [SQLValue] = [.uuid(account)]
            if let status = query.status {
                arguments.append(.text(status.rawValue))
                condition += " AND t.status = $2"
            }
            let total =
                try sql.first("SELECT COUNT(*) AS total FROM \(UploadRecord.tables) WHERE \(condition)", arguments)?.int("total") ?? 0
            let direction = query.descending ? "DESC" : "ASC"
            let count = arguments.count
            let rows = try sql.query(
                """
                SELECT \(UploadRecord.columns) FROM \(UploadRecord.tables) WHERE \(condition)
                ORDER BY \(query.sort.column) \(direction), u.task_id LIMIT $\(count + 1) OFFSET $\(count + 2)
                """, arguments + [.int(query.limit), .int(query.offset)])
            return Page(items: try rows.map { try UploadRecord(row: $0).summary }, total: total)
        }
    }

    public func progress(_ taskId: String, account: UUID) async throws -> UploadProgress {
        let record = try await find(taskId, account: account)
        let verified = open(taskId, account)?.verifiedBytes ?? record.hashedBytes
        return UploadProgress(
            taskId: taskId, status: record.status, progress: record.progress, chunksUploaded: record.chunksUploaded,
            chunksTotal: record.plan.count, bytesUploaded: record.bytesUploaded, bytesTotal: record.plan.fileSize,
            bytesVerified: max(verified, record.status == .completed ? record.plan.fileSize : 0), lastActivity: record.lastActivity)
    }

    /// What a client needs to go on: opens the upload, so that chunks lost in a power failure are not listed.
    public func resume(_ taskId: String, account: UUID) async throws -> (record: UploadRecord, uploadedChunks: [Int]) {
        let record = try await find(taskId, account: account)
        if record.status == .completed { return (record, Array(0..<record.plan.count)) }
        if record.status.isTerminal { throw UploadSession.closedError(record.status, taskId: taskId) }
        return try await withSession(taskId, account: account) { session in
            (record, session.withState { $0.ledger.receivedIndexes })
        }
    }

    public func details(_ taskId: String, account: UUID) async throws -> UploadDetails {
        let record = try await find(taskId, account: account)
        let speed = open(taskId, account)?.speed ?? 0
        let remaining = Double(record.plan.fileSize - record.bytesUploaded)
        let bundleId = record.bundleId
        let bundle = try await database.read { sql in
            try bundleId.flatMap { try FileRow.bundle($0, account: account, in: sql) }
        }
        let estimate: Double? = record.status.isTerminal ? nil : speed > 0 ? remaining / speed : nil
        return UploadDetails(
            task: record.summary, pool: try? await pools.open(record.poolId).pool, bundle: bundle, currentSpeed: speed,
            estimatedSecondsRemaining: estimate, startedAt: record.createdAt, sessionExpiresAt: record.sessionExpiresAt)
    }

    public func statistics(account: UUID) async throws -> UploadStatistics {
        var recent = UploadListQuery()
        recent.limit = 10
        let activity = try await list(recent, account: account).items
        return try await database.read { sql in
            let rows = try sql.query(
                """
                SELECT t.status AS status, COUNT(*) AS tasks, COALESCE(SUM(u.bytes_uploaded), 0) AS bytes,
                    COALESCE(SUM(t.progress), 0) AS progress
                FROM \(UploadRecord.tables) WHERE u.account_id = $1 GROUP BY t.status
                """, [.uuid(account)])
            var counts: [String: Int] = [:]
            var bytes: Int64 = 0
            var progress = 0.0
            for row in rows {
                counts[try row.text("status")] = try row.int("tasks")
                bytes += try row.int64("bytes")
                progress += try row.double("progress")
            }
            let total = counts.values.reduce(0, +)
            func count(_ statuses: TaskStatus...) -> Int { statuses.reduce(0) { $0 + (counts[$1.rawValue] ?? 0) } }
            return UploadStatistics(
                totalTasks: total, inProgressTasks: count(.pending, .inProgress, .paused), completedTasks: count(.completed),
                failedTasks: count(.failed, .cancelled), expiredTasks: count(.expired), totalUploadedBytes: bytes,
                averageProgress: total == 0 ? 0 : (progress / Double(total) * 100).rounded() / 100, recentActivity: activity)
        }
    }

    /// Removes the caller's failed, cancelled and expired uploads from the lists. Returns how many.
    public func cleanUp(by caller: Caller) async throws -> Int {
        let surroundings = surroundings
        return try await database.write { sql in
            let ended: [SQLValue] = [
                .uuid(caller.accountId), .text(TaskStatus.failed.rawValue), .text(TaskStatus.cancelled.rawValue),
                .text(TaskStatus.expired.rawValue),
                .text(TaskType.fileUpload.rawValue),
            ]
            let condition = "account_id = $1 AND status IN ($2, $3, $4) AND type = $5"
            try sql.execute("DELETE FROM upload_tasks WHERE task_id IN (SELECT task_id FROM tasks WHERE \(condition))", ended)
            let removed = try sql.execute("DELETE FROM tasks WHERE \(condition)", ended)
            try AuditTrail.append(
                "upload.cleanup", on: "account", id: caller.accountId.lowercaseString, by: caller,
                details: ["removed": .integer(Int64(removed))],
                surroundings: surroundings, in: sql)
            return removed
        }
    }

    private func open(_ taskId: String, _ account: UUID) -> (any OpenUpload)? {
        sessions.withLock { sessions in
            if case .open(let session) = sessions[SessionKey(taskId: taskId, account: account)] { return session }
            return nil
        }
    }
}
