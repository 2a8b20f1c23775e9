import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// A blob as its row tells: the bytes of one content in one pool.
struct BlobRow: Sendable, Hashable {
    var checksum: String
    var poolId: UUID
    /// Bytes.
    var size: Int64
    var path: String
    var isMarkedDamaged: Bool

    init(_ row: SQLRow) throws {
        checksum = try row.text("checksum")
        poolId = try row.uuid("pool_id")
        size = try row.int64("file_size")
        path = try row.text("storage_path")
        isMarkedDamaged = try row.optionalTimestamp("damaged_at") != nil
    }

    static func find(_ checksum: String, pool: UUID, in sql: any SQLSession) throws -> BlobRow? {
        try sql.first("SELECT * FROM file_checksums WHERE checksum = $1 AND pool_id = $2", [.text(checksum), .uuid(pool)])
            .map(BlobRow.init)
    }

    /// Marks bytes that were found damaged, as `FileService.recordDamage` does: who uploads the same content mends them.
    func recordDamage(file: String?, by caller: Caller, surroundings: Surroundings, in sql: any SQLSession) throws {
        let changed = try sql.execute(
            """
            UPDATE file_checksums SET damaged_at = $4 WHERE checksum = $1 AND pool_id = $2 AND storage_path = $3 AND damaged_at IS NULL
            """, [.text(checksum), .uuid(poolId), .text(path), .timestamp(surroundings.now())])
        guard changed == 1 else { return }
        try AuditTrail.append(
            "file.damaged", on: "file", id: file, by: caller,
            details: ["hash": .string(checksum), "poolId": .string(poolId.lowercaseString)], surroundings: surroundings, in: sql)
    }

    /// Moves `count` references to another pool, where the bytes have arrived; part of the transaction that moves the files.
    /// Those here go later, by housekeeping's collection. Throws `StaleLook` where what was looked at has changed.
    func moveReferences(
        _ count: Int, to target: UUID, by arrival: BlobArrival, task: String, now: Timestamp, in sql: any SQLSession
    ) throws {
        let count = Int64(count)
        // Always the same row first, so that moves there and back do not wait for each other in a circle.
        if poolId.uuidString < target.uuidString {
            try give(count, now: now, in: sql)
            try take(count, into: target, by: arrival, task: task, now: now, in: sql)
        } else {
            try take(count, into: target, by: arrival, task: task, now: now, in: sql)
            try give(count, now: now, in: sql)
        }
    }

    private func give(_ count: Int64, now: Timestamp, in sql: any SQLSession) throws {
        let changed = try sql.execute(
            """
            UPDATE file_checksums SET reference_count = reference_count - $3,
                unreferenced_at = CASE WHEN reference_count = $3 THEN $4 ELSE unreferenced_at END
            WHERE checksum = $1 AND pool_id = $2
            """, [.text(checksum), .uuid(poolId), .integer(count), .timestamp(now)])
        guard changed == 1 else { throw StaleLook() }
    }

    private func take(
        _ count: Int64, into target: UUID, by arrival: BlobArrival, task: String, now: Timestamp, in sql: any SQLSession
    ) throws {
        switch arrival {
        case .present(let path):
            let changed = try sql.execute(
                """
                UPDATE file_checksums SET reference_count = reference_count + $4, unreferenced_at = NULL
                WHERE checksum = $1 AND pool_id = $2 AND storage_path = $3 AND damaged_at IS NULL
                """, [.text(checksum), .uuid(target), .text(path), .integer(count)])
            guard changed == 1 else { throw StaleLook() }
        case .copied(let path, let crc32c, let damaged):
            guard try BlobIntent.claim(path, pool: target, task: task, in: sql) else { throw StaleLook() }
            if let damaged, try replace(damaged, in: target, by: path, crc32c: crc32c, adding: count, in: sql) {
                return try BlobIntent.note(damaged, pool: target, task: nil, now: now, in: sql)
            }
            let row = try sql.first(
                """
                INSERT INTO file_checksums (checksum, pool_id, file_size, storage_path, crc32c, reference_count, first_seen_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                ON CONFLICT (checksum, pool_id) DO UPDATE SET reference_count = file_checksums.reference_count + $6, unreferenced_at = NULL
                RETURNING storage_path, damaged_at
                """,
                [
                    .text(checksum), .uuid(target), .integer(size), .text(path), .integer(Int64(crc32c)), .integer(count), .timestamp(now),
                ])
            guard try row?.optionalTimestamp("damaged_at") == nil else { throw StaleLook() }
            // Somebody published the same bytes meanwhile: these are surplus.
            if try row?.text("storage_path") != path { try BlobIntent.note(path, pool: target, task: nil, now: now, in: sql) }
        }
    }

    private func replace(
        _ damaged: String, in target: UUID, by path: String, crc32c: UInt32, adding count: Int64, in sql: any SQLSession
    ) throws -> Bool {
        try sql.execute(
            """
            UPDATE file_checksums SET storage_path = $4, crc32c = $5, damaged_at = NULL, reference_count = reference_count + $6,
                unreferenced_at = NULL WHERE checksum = $1 AND pool_id = $2 AND storage_path = $3
            """, [.text(checksum), .uuid(target), .text(damaged), .text(path), .integer(Int64(crc32c)), .integer(count)]) == 1
    }
}

/// How a pool came to have a blob's bytes.
enum BlobArrival: Sendable {
    /// It had them, at this path, and they were read and found right.
    case present(path: String)
    /// They were copied, flushed and read back at a path that the task has noted; in place of damaged ones where there were any.
    case copied(path: String, crc32c: UInt32, replacing: String?)

    /// Bytes that were copied for it.
    func copiedBytes(of blob: BlobRow) -> Int64 {
        if case .copied = self { blob.size } else { 0 }
    }
}
