import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation
import Logging
import Synchronization

// Concatenation (tus 1.0.0): a final upload is made of parts. The request writes rows alone; the bytes are put together
// afterwards, step by step, each step noted, so that it goes on after a restart. Until the file stands nothing says it does.
extension UploadService {
    /// Parts of one final upload, at most.
    public static let maximumParts = 10_000

    /// Makes a final upload of parts, in the order given; the same parts (and metadata) again give the same upload.
    /// Putting them together goes on after the answer, and after a restart.
    ///
    /// - Parameter text: the concatenation as it came, given back as it is.
    /// Throws `INVALID_CONCATENATION`, `TASK_NOT_FOUND`, and what `createStream` throws.
    public func concatenate(_ parts: [String], text: String, as request: NewStream, by caller: Caller) async throws -> StreamUpload {
        guard !parts.isEmpty, parts.count <= Self.maximumParts else {
            throw DriveError(
                .invalidConcatenation, "A final upload names 1 to \(Self.maximumParts) parts.", details: ["rule": "Upload-Concat"])
        }
        let (metadata, account) = (request.metadata, caller.accountId)
        if let known = try await database.read({ sql in try Self.existingFinal(of: parts, metadata: metadata, account: account, in: sql) })
        {
            return try await stream(known, by: caller)
        }
        var request = request
        request.length = nil
        request.isPartial = false
        let records = try await partRecords(parts, account: caller.accountId)
        request.poolId = request.poolId ?? parts.first.flatMap { records[$0]?.poolId }
        let (draft, _) = try await streamDraft(request, concatenation: text, by: caller)
        let (settings, surroundings) = (settings, surroundings)
        if let length = Self.length(of: parts, records) {
            // What would be refused later is refused now, while the client listens.
            try checkLength(length)
            let more = max(0, length - records.values.reduce(0) { $0 + $1.plan.fileSize })
            let demand = QuotaLedger.Demand(charge: draft.pool.policy.charge(for: more), bytes: more)
            if let refusal = draft.pool.policy.refusal(
                contentType: draft.contentType, size: length, role: caller.role.rawValue, poolName: draft.pool.name)
            {
                throw refusal
            }
            try await database.read { sql in try QuotaLedger.expectRoom(for: demand, account: account, settings: settings, in: sql) }
        }
        let record = try await database.write { sql -> UploadRecord? in
            // Two equal requests at once: the second one finds what the first one made.
            try Self.claim(parts, account: account, in: sql)
            if let known = try Self.existingFinal(of: parts, metadata: metadata, account: account, in: sql) {
                return try UploadRecord.find(known, account: account, in: sql)
            }
            try Self.expectUnclaimed(parts, in: sql)
            try draft.insert(by: caller, settings: settings, surroundings: surroundings, in: sql)
            for (position, part) in parts.enumerated() {
                try sql.execute(
                    "INSERT INTO upload_parts (final_task_id, position, part_task_id) VALUES ($1, $2, $3)",
                    [.text(draft.taskId), .int(position), .text(part)])
            }
            return try UploadRecord.find(draft.taskId, account: caller.accountId, in: sql)
        }
        guard let record else { throw Self.notFound(draft.taskId) }
        if record.status.isTerminal { return try await stream(record.taskId, by: caller) }
        assemble(record)
        // Small ones stand by then, and clients that never ask again learn of a refusal.
        _ = await assemblies.withLock { $0.running[record.taskId] }?.ends(within: settings.assemblyPatience)
        return try await stream(record.taskId, by: caller)
    }

    /// Whether the upload that a part's bytes were handed to is still there, or became a file.
    func isPieceOfAnUpload(_ part: UploadRecord) async throws -> Bool {
        let (id, account) = (part.taskId, part.accountId)
        return try await database.read { sql in
            try sql.first(
                """
                SELECT u.task_id FROM upload_parts p JOIN upload_tasks u ON u.task_id = p.final_task_id
                WHERE p.part_task_id = $1 AND u.account_id = $2 AND u.status IN (0, 1) AND u.deleted_at IS NULL LIMIT 1
                """, [.text(id), .uuid(account)]) != nil
        }
    }

    /// Locks the parts' rows, in one order for all. Throws where one has ended meanwhile.
    private static func claim(_ parts: [String], account: UUID, in sql: any SQLSession) throws {
        for part in Set(parts).sorted() {
            let row = try sql.first(
                "SELECT task_id FROM upload_tasks WHERE task_id = $1 AND account_id = $2\(sql.dialect.forUpdate)",
                [.text(part), .uuid(account)])
            guard row != nil else { throw refused("There is no part with the id \(part).", part: part) }
        }
    }

    /// Each part becomes a piece of one upload: its bytes are handed over.
    private static func expectUnclaimed(_ parts: [String], in sql: any SQLSession) throws {
        for part in Set(parts) {
            let open = try sql.first("SELECT status FROM upload_tasks WHERE task_id = $1", [.text(part)])
            let claimed = try sql.first(
                """
                SELECT p.final_task_id FROM upload_parts p JOIN upload_tasks u ON u.task_id = p.final_task_id
                WHERE p.part_task_id = $1 AND u.status = 0 LIMIT 1
                """, [.text(part)])
            guard try open?.int64("status") == 0, claimed == nil else {
                throw refused("The part \(part) was used by another upload, or has ended.", part: part)
            }
        }
    }

    /// A final upload of exactly these parts that was made before: a client repeats its request where the answer got lost.
    private static func existingFinal(of parts: [String], metadata: String?, account: UUID, in sql: any SQLSession) throws -> String? {
        guard let first = parts.first else { return nil }
        let candidates = try sql.query(
            """
            SELECT u.task_id, u.metadata FROM upload_parts p JOIN upload_tasks u ON u.task_id = p.final_task_id
            WHERE p.part_task_id = $1 AND p.position = 0 AND u.account_id = $2 AND u.status IN (0, 1) AND u.deleted_at IS NULL
            ORDER BY u.created_at
            """, [.text(first), .uuid(account)])
        for row in candidates where try row.optionalText("metadata") == metadata {
            let id = try row.text("task_id")
            if try Self.parts(of: id, in: sql) == parts { return id }
        }
        return nil
    }

    static func parts(of final: String, in sql: any SQLSession) throws -> [String] {
        try sql.query("SELECT part_task_id FROM upload_parts WHERE final_task_id = $1 ORDER BY position", [.text(final)])
            .map { try $0.text("part_task_id") }
    }

    /// The parts' rows by id. Throws where one is none of the caller's parts, or became a piece of another upload.
    func partRecords(_ parts: [String], account: UUID) async throws -> [String: UploadRecord] {
        let distinct = Set(parts)
        return try await database.read { sql in
            var records: [String: UploadRecord] = [:]
            for part in distinct {
                guard let record = try UploadRecord.find(part, account: account, in: sql), record.deletedAt == nil else {
                    throw Self.refused("There is no part with the id \(part).", part: part)
                }
                guard Concatenation.isPartial(record) else { throw Self.refused("The upload \(part) is not a partial one.", part: part) }
                guard !record.status.isTerminal else {
                    throw Self.refused("The part \(part) was used by another upload, or has ended.", part: part)
                }
                records[part] = record
            }
            return records
        }
    }

    static func refused(_ message: String, part: String) -> DriveError {
        DriveError(.invalidConcatenation, message, details: ["rule": "Upload-Concat", "part": .string(part)])
    }

    /// Bytes of all parts together; nil while one of them does not know its own.
    static func length(of parts: [String], _ records: [String: UploadRecord]) -> Int64? {
        var sum: Int64 = 0
        for part in parts {
            guard let record = records[part], !record.isLengthDeferred else { return nil }
            sum += record.plan.fileSize
        }
        return sum
    }

    /// What is told of a final upload that is not put together yet: no offset, and its length once it can be known.
    func assemblingStatus(of record: UploadRecord) async throws -> StreamUpload {
        let (id, account) = (record.taskId, record.accountId)
        let length = try await database.read { sql -> Int64? in
            let parts = try Self.parts(of: id, in: sql)
            let records = try Dictionary(
                uniqueKeysWithValues: Set(parts).compactMap { part in
                    try UploadRecord.find(part, account: account, in: sql).map { (part, $0) }
                })
            return Self.length(of: parts, records)
        }
        var upload = status(of: record, offset: 0, phase: .assembling)
        upload.length = length
        return upload
    }
}
