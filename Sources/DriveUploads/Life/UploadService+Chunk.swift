import Logging
import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation

extension UploadService {
    /// Receives one chunk: claim, write and checksum as it streams, then the row that acknowledges it.
    ///
    /// - Parameters:
    ///   - length: the body's bytes where the request tells them for the chunk alone.
    ///   - replace: gives a kept chunk up first; for a chunk that complete found to be wrong.
    /// - Throws: `DriveError`; nothing of a refused chunk is kept.
    public func receiveChunk<Body: ChunkBody>(
        _ index: Int, of taskId: String, body: Body, length: Int64?, replace: Bool = false, by caller: Caller
    ) async throws -> ChunkReply {
        try await withSession(taskId, account: caller.accountId) { session in
            try await receiveChunk(index, in: session, body: body, length: length, replace: replace)
        }
    }

    private func receiveChunk<Body: ChunkBody>(
        _ index: Int, in session: UploadSession, body: Body, length: Int64?, replace: Bool
    ) async throws -> ChunkReply {
        let plan = session.record.plan
        if let size = plan.size(of: index), let length, length != size { throw Self.wrongSize(length, expected: size, index: index) }
        if replace { try await discard(index, of: session) }
        let claim = try await session.claim(index, patience: settings.claimPatience)
        do {
            guard let size = plan.size(of: index) else { throw session.closedError() }
            let (digests, epoch) = try await write(body, size: size, claim: claim, session: session)
            let reply = try await acknowledge(index, size: size, digests: digests, epoch: epoch, session: session, claim: claim)
            guard session.finish(claim, accepted: true, hash: digests.wholeFile.map { ($0, epoch) }) else { throw session.closedError() }
            startFollower(session)
            return reply
        } catch {
            session.finish(claim, accepted: false)
            if let error = error as? StorageError {
                logger.error(
                    "a chunk cannot be written", metadata: ["task": "\(session.record.taskId)", "chunk": "\(index)", "error": "\(error)"])
                throw error.asDriveError
            }
            throw error
        }
    }

    static func wrongSize(_ size: Int64, expected: Int64, index: Int) -> DriveError {
        DriveError(
            .chunkSizeMismatch, "Chunk \(index) has \(expected) bytes; \(size > expected ? "more" : "\(size)") were sent.",
            details: ["chunkIndex": .integer(Int64(index)), "expectedSize": .integer(expected)])
    }

    private func write<Body: ChunkBody>(
        _ body: Body, size: Int64, claim: ChunkClaim, session: UploadSession
    ) async throws -> (ChunkDigests, epoch: UInt64) {
        let offset = session.record.plan.offset(of: claim.index)
        // Bytes at the frontier are hashed as they stream past; others by the follower.
        let (frontier, epoch) = session.withState { state in
            (state.frontier.byteCount == offset && state.follower == nil ? state.frontier : nil, state.epoch)
        }
        let writer = ChunkWriter(
            file: session.file, io: io, start: offset,
            digests: ChunkDigests(wholeFile: frontier, body: body.likelyDigests))
        var transfer = BodyTransfer(
            body: body, writer: writer, pieces: pieces,
            hooks: .init(
                heard: { session.heard(claim) }, willWrite: { guard claim.beginWrite() else { throw self.takenOver(claim, session) } },
                didWrite: { claim.endWrite() }))
        try await transfer.run(limit: size) { Self.wrongSize($0, expected: size, index: claim.index) }
        let written = transfer.writer.written
        guard written == size else { throw Self.wrongSize(written, expected: size, index: claim.index) }
        let expected = try transfer.body.expectedDigests()
        var digests = transfer.writer.digests
        try await complete(&digests, for: expected, of: session.file, range: offset..<offset + size)
        try Self.check(expected, against: digests, index: claim.index)
        return (digests, epoch)
    }

    private func takenOver(_ claim: ChunkClaim, _ session: UploadSession) -> DriveError {
        if session.withState({ $0.closedAs }) != nil { return session.closedError() }
        return DriveError(
            .chunkTakenOver, "Chunk \(claim.index) was silent for too long, and another request sends it now.",
            details: ["chunkIndex": .integer(Int64(claim.index))])
    }

    /// Computes what was promised after the bytes, or of an algorithm nobody foresaw, from the written bytes: they are
    /// still in the page cache, mostly.
    func complete(
        _ digests: inout ChunkDigests, for expected: [ExpectedDigest], of file: OpenFile, range: Range<Int64>
    ) async throws {
        for digest in expected where digests.value(of: digest.algorithm) == nil {
            digests.body.append(try await RangeHasher.digest(file, range: range, with: digest.algorithm, io: io))
        }
    }

    static func check(_ expected: [ExpectedDigest], against digests: ChunkDigests, index: Int?) throws(DriveError) {
        for digest in expected {
            guard digests.value(of: digest.algorithm) == digest.value else {
                let what = index.map { "Chunk \($0)" } ?? "The file"
                throw DriveError(
                    .chunkDigestMismatch, "\(what) does not match the digest sent with it; nothing of it is kept. Send it again.",
                    details: ["chunkIndex": index.map { .integer(Int64($0)) } ?? .null, "checksum": .string(CRC32C.hex(digests.crc32c))])
            }
        }
    }

    /// Writes the row that acknowledges a chunk. When this returns the chunk survives a killed process.
    private func acknowledge(
        _ index: Int, size: Int64, digests: ChunkDigests, epoch: UInt64, session: UploadSession, claim: ChunkClaim
    ) async throws -> ChunkReply {
        let record = session.record
        let now = surroundings.now()
        let checksum = CRC32C.hex(digests.crc32c)
        let hash = session.withState { state in state.epoch == epoch ? digests.wholeFile ?? state.frontier : state.frontier }
        // From here nobody takes the claim over, and cancel and expiry wait until the row is there or refused.
        guard session.withState({ $0.ledger.commit(index, claim: claim.id) }), claim.beginWrite() else { throw takenOver(claim, session) }
        defer { claim.endWrite() }
        let note = try await database.write { sql in
            let isNew =
                try sql.execute(
                    """
                    INSERT INTO upload_chunks (session_id, chunk_index, chunk_size, checksum, uploaded_at) VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (session_id, chunk_index) DO NOTHING
                    """, [.uuid(record.id), .int(index), .integer(size), .text(checksum), .timestamp(now)]) == 1
            if !isNew {
                // It was committed by an attempt whose answer got lost with the database's connection.
                try sql.execute(
                    "UPDATE upload_chunks SET checksum = $3, uploaded_at = $4 WHERE session_id = $1 AND chunk_index = $2",
                    [.uuid(record.id), .int(index), .text(checksum), .timestamp(now)])
            }
            let row = try sql.first(
                """
                UPDATE upload_tasks SET chunks_uploaded = chunks_uploaded + $6, bytes_uploaded = bytes_uploaded + $2, hashed_bytes = $3,
                    hash_state = $4, last_activity = $5, updated_at = $5 WHERE task_id = $1 AND status = 0
                RETURNING chunks_uploaded, bytes_uploaded
                """,
                [
                    .text(record.taskId), .integer(isNew ? size : 0), .integer(hash.byteCount), .blob(hash.savedState()),
                    .timestamp(now), .int(isNew ? 1 : 0),
                ])
            guard let row else { throw try ProgressNote.ended(record, in: sql) }
            let chunks = try row.int("chunks_uploaded")
            let progress = UploadRecord.progress(bytes: try row.int64("bytes_uploaded"), of: record.plan.fileSize, status: .inProgress)
            return try ProgressNote.write(progress, chunks: chunks, of: record, now: now, in: sql)
        }
        note.tell(tasks)
        return ChunkReply(
            taskId: record.taskId, chunkIndex: index, size: size, checksum: checksum, chunksUploaded: note.chunks,
            chunksTotal: record.plan.count, progress: note.progress)
    }

    /// Gives a kept chunk up, so that other bytes can take its place. The hash begins anew.
    private func discard(_ index: Int, of session: UploadSession) async throws {
        let record = session.record
        guard let size = record.plan.size(of: index), session.withState({ $0.ledger.isReceived(index) }) else { return }
        guard session.withState({ $0.ledger.beginDiscarding(index) }) else {
            throw DriveError(.chunkInProgress, "Another chunk is being sent; replace a chunk when none is.", retryAfter: 1)
        }
        do {
            try await database.write { sql in
                let deleted = try sql.execute(
                    "DELETE FROM upload_chunks WHERE session_id = $1 AND chunk_index = $2", [.uuid(record.id), .int(index)])
                guard deleted == 1 else { return }
                try sql.execute(
                    """
                    UPDATE upload_tasks SET chunks_uploaded = chunks_uploaded - 1, bytes_uploaded = bytes_uploaded - $2, hashed_bytes = 0,
                        hash_state = NULL WHERE task_id = $1
                    """, [.text(record.taskId), .integer(size)])
            }
        } catch {
            session.withState { $0.ledger.endDiscarding(gone: false) }
            throw error
        }
        // One step: no writer and no follower meets the old hash beside the new ledger.
        session.withState { state in
            state.ledger.endDiscarding(gone: true)
            state.epoch += 1
            state.frontier = FileDigest()
            state.verifiedBytes = 0
        }
    }
}
