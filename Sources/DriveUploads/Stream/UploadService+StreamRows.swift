import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation
import Logging

// What a stream upload writes into its rows, and how it is opened from them.
extension UploadService {
    /// An upload of unknown length reserves room in steps of at least so many bytes.
    private static let reservationStep: Int64 = 64 << 20

    /// Notes in the rows how far the upload has come. Where it cannot be noted now, nothing is lost while the machine runs: the
    /// file's size tells it too, and the next note makes up for it.
    ///
    /// Over the IETF protocol an offset is a promise that survives everything, so the bytes are flushed first.
    /// - Parameters:
    ///   - clearing: whether provisional bytes have become kept ones, or went.
    ///   - ending: whether the body that brought the last of these bytes was to end the upload.
    /// - Returns: why it was not noted; nil where it was.
    @discardableResult
    func checkpoint(
        _ digest: FileDigest, of session: StreamSession, clearing: Bool = false, ending: Bool = false
    ) async -> (any Error)? {
        let (record, segments, length) = session.withState { ($0.record, $0.segments, $0.ledger.length) }
        guard session.withState({ $0.closedAs }) == nil else { return session.closedError() }
        guard clearing || ending || digest.byteCount > segments.end else { return nil }
        var extended = segments
        let row = extended.extend(to: digest, length: length ?? 0)
        let now = surroundings.now()
        let bytes = extended.end
        do {
            if record.face == UploadFace.resumable, row != nil { try await flush(session, withName: segments.count == 0) }
            let note = try await database.write { [extended] sql in
                let changed = try sql.execute(
                    """
                    UPDATE upload_tasks SET bytes_uploaded = $2, hashed_bytes = $3, hash_state = $4, pending_from = NULL, last_activity = $5,
                        updated_at = $5\(ending ? ", is_ended = $6" : "") WHERE task_id = $1 AND status = 0
                    """,
                    [
                        .text(record.taskId), .integer(bytes), .integer(digest.byteCount), .blob(digest.savedState()), .timestamp(now),
                    ] + (ending ? [.bool(true)] : []))
                guard changed == 1 else { throw try ProgressNote.ended(record, in: sql) }
                if let row {
                    try sql.execute(
                        """
                        INSERT INTO upload_chunks (session_id, chunk_index, chunk_size, checksum, uploaded_at) VALUES ($1, $2, $3, $4, $5)
                        ON CONFLICT (session_id, chunk_index) DO UPDATE SET chunk_size = $3, checksum = $4, uploaded_at = $5
                        """,
                        [.uuid(record.id), .int(row.index), .integer(row.size), .text(CRC32C.hex(row.crc32c)), .timestamp(now)])
                }
                let progress = length.map { UploadRecord.progress(bytes: extended.end, of: $0, status: .inProgress) } ?? 0
                return try ProgressNote.write(progress, chunks: 0, of: record, now: now, in: sql)
            }
            note.tell(tasks)
            session.withState { state in
                state.segments = extended
                state.lastActivity = now
                state.isPendingNoted = false
                if ending { state.isEnded = true }
            }
            return nil
        } catch let error as DriveError where [.uploadGone, .taskExpired, .uploadCompleted].contains(error.code) {
            return error
        } catch {
            logger.error("how far an upload came cannot be noted", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
            return error
        }
    }

    /// Flushes the staged bytes, and with `withName` the folder's entry of them. Where a flush fails the kernel may have dropped
    /// the bytes, and no later flush proves anything: the upload has failed.
    func flush(_ session: StreamSession, withName: Bool) async throws {
        do {
            try await session.flush.run(session.file, io: io)
            if withName { try await session.pool.syncStaging() }
        } catch {
            endDamaged(session.record, message: "The disk failed while the bytes were flushed; upload the file again.")
            throw (error as? StorageError)?.asDriveError ?? error
        }
    }

    /// Ends an upload whose bytes are lost. Not at once: who ends an upload waits for its opening, and for its writer.
    private func endDamaged(_ record: UploadRecord, message: String) {
        logger.error("an upload has lost bytes", metadata: ["task": "\(record.taskId)", "reason": "\(message)"])
        Task {
            do {
                try await self.end(
                    record.taskId, as: .failed, message: message, code: "STORAGE_FAILED", by: .system(for: record.accountId))
            } catch {
                logger.error("an upload that lost bytes cannot be ended", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
            }
        }
    }

    /// Notes that bytes come which count only if a digest matches: after a crash they are cut off.
    func mark(pendingFrom offset: Int64, of session: StreamSession) async throws {
        let (taskId, now) = (session.taskId, surroundings.now())
        _ = try await database.write { sql in
            try sql.execute(
                "UPDATE upload_tasks SET pending_from = $2, last_activity = $3 WHERE task_id = $1 AND status = 0",
                [.text(taskId), .integer(offset), .timestamp(now)])
        }
        session.withState { state in
            state.isPendingNoted = true
            state.lastActivity = now
        }
    }

    /// Declares how many bytes the upload has. Throws `LENGTH_MISMATCH`, `FILE_TOO_LARGE`, and the quota's and the pool's
    /// refusals.
    func declare(_ length: Int64, in session: StreamSession, by caller: Caller) async throws {
        try checkLength(length)
        let (known, offset) = session.withState { ($0.ledger.length, $0.ledger.offset) }
        if let known {
            guard known == length else { throw Self.lengthMismatch(length, known: known) }
            return
        }
        guard length >= offset else { throw Self.lengthMismatch(length, known: offset) }
        let record = session.record
        let pool = try await pools.open(record.poolId).pool
        if let refusal = pool.policy.refusal(
            contentType: record.contentType, size: length, role: caller.role.rawValue, poolName: pool.name)
        {
            throw refusal
        }
        try await resize(session, to: length, isFinal: true)
    }

    /// Makes sure that bytes up to `end` are within the quota and have room on the disk.
    func reserve(_ end: Int64, in session: StreamSession) async throws {
        let (reserved, isDeferred) = session.withState { ($0.record.plan.fileSize, $0.record.isLengthDeferred) }
        guard isDeferred, end > reserved else { return }
        try checkLength(end)
        // Ahead of the bytes, so that not every piece costs a transaction; where no more is to be had, as far as needed.
        let ahead = min(max(end, reserved + Self.reservationStep), settings.maximumFileSize)
        do {
            try await resize(session, to: ahead, isFinal: false)
        } catch let error as DriveError
            where ahead > end && [.quotaExceeded, .tooManyOpenUploads, .poolPolicy, .storageFull].contains(error.code)
        {
            try await resize(session, to: end, isFinal: false)
        }
    }

    /// Changes what the upload holds, and its length where that is final.
    func resize(_ session: StreamSession, to size: Int64, isFinal: Bool) async throws {
        let record = session.record
        let pool = try await pools.open(record.poolId).pool
        let settings = settings
        let updated = try await database.write { sql in
            try Self.resize(record, to: size, isFinal: isFinal, in: pool, settings: settings, sql: sql)
        }
        session.withState { state in
            if let updated { state.record = updated }
            if isFinal { _ = state.ledger.declare(size) }
        }
        try await staging { try await io.run { try session.file.preallocate(size, keepSize: true) } }
    }

    /// The part of a transaction that changes what an open upload holds. What it held is read under the row's lock: an earlier
    /// change may have been made whose answer got lost.
    ///
    /// Throws what an ended upload answers, and the quota's and the pool's refusals.
    static func resize(
        _ record: UploadRecord, to size: Int64, isFinal: Bool, in pool: Pool, settings: UploadSettings, sql: any SQLSession
    ) throws -> UploadRecord? {
        let row = try sql.first(
            "SELECT file_size, reserved_bytes FROM upload_tasks WHERE task_id = $1 AND status = 0\(sql.dialect.forUpdate)",
            [.text(record.taskId)])
        guard let row else { throw try ProgressNote.ended(record, in: sql) }
        let held = QuotaLedger.Demand(charge: try row.int64("reserved_bytes"), bytes: try row.int64("file_size"))
        let charge = pool.policy.charge(for: size)
        try sql.execute(
            """
            UPDATE upload_tasks SET file_size = $2, reserved_bytes = $3, length_deferred = $4, chunk_size = $5, chunks_count = $6
            WHERE task_id = $1 AND status = 0
            """,
            [.text(record.taskId), .integer(size), .integer(charge), .bool(!isFinal), .integer(max(1, size)), .int(size > 0 ? 1 : 0)])
        try QuotaLedger.resize(
            from: held, to: QuotaLedger.Demand(charge: charge, bytes: size), for: record.accountId, settings: settings, in: sql)
        if size >= held.bytes {
            try QuotaLedger.openBytes(size - held.bytes, in: pool, sql: sql)
        } else {
            try QuotaLedger.closeBytes(held.bytes - size, pool: record.poolId, sql: sql)
        }
        return try UploadRecord.find(record.taskId, account: record.accountId, in: sql)
    }

    // MARK: Opening

    /// Opens a stream upload from its rows: its file's size tells how far it came where the machine has not been started
    /// anew since; else its rows do, as far as the file's bytes match them.
    func loadStream(_ record: UploadRecord) async throws -> StreamSession {
        guard !record.status.isTerminal else { throw record.refusal(as: record.status) }
        let opened = try await pools.open(record.poolId)
        let size = record.plan.fileSize
        var file = try await opened.store.openStaging(record.stagingName, size: size)
        if file == nil, try await reclaim(record, store: opened.store) {
            file = try await opened.store.openStaging(record.stagingName, size: size)
        }
        let rows = try await database.read { sql in
            try sql.query(
                "SELECT chunk_index, chunk_size, checksum FROM upload_chunks WHERE session_id = $1 ORDER BY chunk_index",
                [.uuid(record.id)]
            ).map { (index: try $0.int("chunk_index"), size: try $0.int64("chunk_size"), checksum: try $0.text("checksum")) }
        }
        var segments = StreamSegments()
        for row in rows {
            let crc = UInt32(row.checksum, radix: 16) ?? 0
            guard segments.append(.init(index: row.index, start: segments.end, size: row.size, crc32c: crc)) else { break }
        }
        let isSameBoot = record.bootId == bootId && file != nil
        guard let file = try await orNew(file, of: record, in: opened.store) else {
            throw DriveError(.storageFailed, "The upload's staging file cannot be opened.", retryAfter: 5)
        }
        if !isSameBoot { segments = try await trusted(segments: rows, of: record, in: file) }
        let written = try await staging { try await io.run { try file.size() } }
        var end = isSameBoot ? written : segments.end
        if let pending = record.pendingFrom { end = min(end, pending) }
        if !record.isLengthDeferred { end = min(end, size) }
        if end < segments.end { segments = try await trusted(segments: rows, of: record, in: file, upTo: end) }
        try await loseNothingPromised(record, end: end)
        let digest = try await hash(
            file, upTo: end, of: record, isSaved: end >= record.hashedBytes && (isSameBoot || segments.end == record.bytesUploaded))
        let cut = end
        if written > end { try await staging { try await io.run { try file.truncate(to: cut) } } }
        try await staging { try await io.run { try file.preallocate(size, keepSize: true) } }
        try await noteRecovery(of: record, segments: segments, isSameBoot: isSameBoot)
        let session = StreamSession(record: record, file: file, pool: opened.store, digest: digest, segments: segments)
        let isPromise = record.face == UploadFace.resumable || record.pendingFrom != nil
        if let error = await checkpoint(digest, of: session, clearing: record.pendingFrom != nil), isPromise { throw error }
        return session
    }

    private func orNew(_ file: OpenFile?, of record: UploadRecord, in store: LocalPool) async throws -> OpenFile? {
        if let file { return file }
        return try await staging { try await store.createStaging(record.stagingName, size: record.plan.fileSize, keepSize: true) }
    }

    /// The rows whose bytes are what they were, from the first one on.
    private func trusted(
        segments rows: [(index: Int, size: Int64, checksum: String)], of record: UploadRecord, in file: OpenFile, upTo end: Int64 = .max
    ) async throws -> StreamSegments {
        var trusted = StreamSegments()
        let size = try await staging { try await io.run { try file.size() } }
        for row in rows {
            let range = trusted.end..<trusted.end + row.size
            guard range.upperBound <= min(size, end) else { break }
            do {
                let crc = try await RangeHasher.crc32c(file, range: range, io: io)
                guard CRC32C.hex(crc) == row.checksum,
                    trusted.append(.init(index: row.index, start: range.lowerBound, size: row.size, crc32c: crc))
                else { break }
            } catch let error as StorageError {
                logger.error("a staged file cannot be read", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
                break
            }
        }
        return trusted
    }

    /// An offset that was told over the IETF protocol never shrinks (draft, section 4.1.1): an upload that lost such bytes,
    /// on a disk that lied about its flush, ends.
    private func loseNothingPromised(_ record: UploadRecord, end: Int64) async throws {
        guard record.face == UploadFace.resumable, end < record.bytesUploaded else { return }
        endDamaged(record, message: "Bytes that were kept are gone from the disk.")
        throw record.refusal(as: .failed)
    }

    private func hash(_ file: OpenFile, upTo end: Int64, of record: UploadRecord, isSaved: Bool) async throws -> FileDigest {
        var digest = FileDigest()
        if isSaved, let state = record.hashState, let saved = FileDigest(savedState: state), saved.byteCount == record.hashedBytes,
            saved.byteCount <= end
        {
            digest = saved
        }
        guard digest.byteCount < end else { return digest }
        let range = digest.byteCount..<end
        return try await staging { [digest] in
            try await RangeHasher.hash(file, range: range, continuing: digest, io: io) { _, _ in true } ?? digest
        }
    }

    private func noteRecovery(of record: UploadRecord, segments: StreamSegments, isSameBoot: Bool) async throws {
        let bootId = bootId
        guard !isSameBoot || segments.end < record.bytesUploaded else { return }
        if segments.end < record.bytesUploaded {
            logger.warning(
                "bytes of an upload did not survive the machine's restart and are asked for again",
                metadata: ["task": "\(record.taskId)", "lost": "\(record.bytesUploaded - segments.end)", "kept": "\(segments.end)"])
        }
        try await database.write { sql in
            try sql.execute("UPDATE upload_tasks SET boot_id = $2 WHERE task_id = $1", [.text(record.taskId), .text(bootId)])
            guard segments.end < record.bytesUploaded else { return }
            try sql.execute(
                "DELETE FROM upload_chunks WHERE session_id = $1 AND chunk_index >= $2", [.uuid(record.id), .int(segments.count)])
            try sql.execute(
                "UPDATE upload_tasks SET bytes_uploaded = $2, hashed_bytes = 0, hash_state = NULL WHERE task_id = $1",
                [.text(record.taskId), .integer(segments.end)])
        }
    }
}
