import Logging
import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation

/// The answer to complete.
public enum CompleteOutcome: Sendable {
    case file(CloudFile)
    /// Bytes that came out of order are still being hashed; 0 to 100. The same call again gives the file.
    case verifying(progress: Double)
}

extension UploadService {
    /// Completes an upload: all ranges there, size, SHA-256, flush, rename, flush the folder, one transaction.
    ///
    /// Merges nothing, copies nothing, and reads no byte that was hashed on its way in. Any number of calls at once,
    /// and later ones, give the same file. Throws `UPLOAD_INCOMPLETE`, `HASH_MISMATCH`, and storage's errors.
    public func complete(_ taskId: String, by caller: Caller) async throws -> CompleteOutcome {
        if let file = try await finishedFile(taskId, account: caller.accountId) { return .file(file) }
        do {
            return try await completeOpen(taskId, by: caller)
        } catch let error as DriveError where error.code == .taskClosed || error.code == .chunkAlreadyUploaded {
            // Another completion ended between the look and the claim.
            if let file = try await finishedFile(taskId, account: caller.accountId) { return .file(file) }
            throw error
        }
    }

    private func completeOpen(_ taskId: String, by caller: Caller) async throws -> CompleteOutcome {
        try await withSession(taskId, account: caller.accountId) { session in
            // One completion for all callers; it goes on where a caller's connection breaks.
            let completion = session.withState { state -> Task<CompleteOutcome, any Error> in
                if let running = state.completion { return running }
                let task = Task {
                    defer { session.withState { $0.completion = nil } }
                    return try await self.finish(session, by: caller)
                }
                state.completion = task
                return task
            }
            return try await completion.value
        }
    }

    private func finishedFile(_ taskId: String, account: UUID) async throws -> CloudFile? {
        try await database.read { sql -> CloudFile? in
            guard let record = try UploadRecord.find(taskId, account: account, in: sql) else { throw Self.notFound(taskId) }
            guard record.status == .completed, let fileId = record.fileId else {
                if record.status.isTerminal || record.status == .paused {
                    throw UploadSession.closedError(record.status, taskId: taskId)
                }
                return nil
            }
            guard let file = try FileRow.find(fileId, account: account, in: sql) else {
                throw DriveError(
                    .fileNotFound, "The upload was completed, and its file was deleted since.", details: ["fileId": .string(fileId)])
            }
            return file
        }
    }

    private func finish(_ session: UploadSession, by caller: Caller) async throws -> CompleteOutcome {
        switch session.withState({ $0.ledger.beginCompleting() }) {
        case .closed: throw session.closedError()
        case .missing(let indexes): throw Self.incomplete(indexes, of: session.record)
        case .proceed: break
        }
        var succeeded = false
        defer { session.withState { [succeeded] in $0.ledger.endCompleting(succeeded: succeeded) } }
        guard try await verify(session) else {
            let verified = session.withState { $0.verifiedBytes }
            return .verifying(progress: Double(verified) / Double(max(1, session.record.plan.fileSize)) * 100)
        }
        let digest = session.withState { $0.frontier }
        let hash = digest.hexDigest()
        if let expected = session.record.hash, expected != hash { throw try await mismatch(session, expected: expected, actual: hash) }
        let staged = StagedFile(record: session.record, file: session.file, pool: session.pool, digest: digest, flush: session.flush)
        let file = try await publish(staged, by: caller)
        succeeded = true
        session.withState { $0.closedAs = .completed }
        forget(session.record.taskId, account: session.record.accountId)
        return .file(file)
    }

    /// Waits for the hash to reach the end; false where it takes longer than a caller should wait.
    private func verify(_ session: UploadSession) async throws -> Bool {
        let size = session.record.plan.fileSize
        let deadline = ContinuousClock.now + settings.verificationPatience
        while session.withState({ $0.frontier.byteCount }) < size {
            if session.withState({ $0.closedAs }) != nil { throw session.closedError() }
            if let failure = session.withState({ state -> StorageError? in
                defer { state.followerFailure = nil }
                return state.followerFailure
            }) {
                throw failure.asDriveError
            }
            startFollower(session)
            guard let follower = session.withState({ $0.follower }) else { continue }
            guard await follower.ends(within: deadline - .now) else { return false }
        }
        return true
    }

    static func incomplete(_ missing: [Int], of record: UploadRecord) -> DriveError {
        DriveError(
            .uploadIncomplete, "\(missing.count) of \(record.plan.count) chunks are missing; send them, then complete again.",
            details: [
                "taskId": .string(record.taskId), "missingCount": .integer(Int64(missing.count)),
                "missingChunks": .array(missing.prefix(1000).map { .integer(Int64($0)) }),
            ])
    }

    private func mismatch(_ session: UploadSession, expected: String, actual: String) async throws -> DriveError {
        let id = session.record.id
        let chunks = try await database.read { sql in
            try sql.query(
                "SELECT chunk_index, checksum FROM upload_chunks WHERE session_id = $1 ORDER BY chunk_index LIMIT 10000", [.uuid(id)]
            ).map { row -> JSONValue in
                ["index": .integer(try row.int64("chunk_index")), "checksum": .string(try row.text("checksum"))]
            }
        }
        return DriveError(
            .hashMismatch,
            "The received bytes do not have the announced SHA-256; nothing was published. Compare the chunks' CRC-32C and send wrong ones again with ?replace=true.",
            details: [
                "taskId": .string(session.record.taskId), "expectedHash": .string(expected), "actualHash": .string(actual),
                "chunks": .array(chunks),
            ])
    }

    /// Flush, rename, flush the folder, commit. Where the account or another has the same bytes in the pool already,
    /// the blob gets one more reference and the staging file goes.
    func publish(_ staged: StagedFile, by caller: Caller) async throws -> CloudFile {
        let (record, digest, pool) = (staged.record, staged.digest, staged.pool)
        let hash = digest.hexDigest()
        let publication = Publication(
            fileId: surroundings.newIdentifier(), taskId: record.taskId, accountId: record.accountId, name: record.fileName,
            size: digest.byteCount, contentType: record.contentType, hash: hash, crc32c: digest.crc32c,
            pool: try await pools.open(record.poolId).pool, expiredAt: record.expiredAt, reservedBytes: record.reservedBytes,
            preallocated: true, legacyEvents: record.legacyEvents, defaultQuota: settings.defaultQuota, now: surroundings.now(),
            tasks: tasks)
        let path = try await staging { try await pool.newBlobPath() }
        let surroundings = surroundings
        // The intent commits while the data is flushed.
        async let shared: CloudFile? = database.write { sql in
            if let file = try publication.shareExisting(by: caller, surroundings: surroundings, in: sql) { return file }
            try BlobIntent.note(path, pool: record.poolId, task: record.taskId, now: publication.now, in: sql)
            return nil
        }
        do {
            try await flush(staged)
        } catch {
            // Somebody's same bytes were in the pool already: then these were not needed.
            if let file = try? await shared {
                await removeStaging(of: record, in: pool)
                return file
            }
            // The kernel may have dropped the pages: these bytes are not trusted any more, and no second flush is tried.
            try await end(
                record.taskId, as: .failed, message: "The disk failed while the file was flushed; upload it again.", code: "STORAGE_FAILED",
                by: caller)
            throw error
        }
        if let file = try await shared {
            if let damaged = try await damagedBlob(hash, size: file.size, pool: record.poolId, store: pool) {
                try await database.write { sql in
                    try BlobIntent.note(path, pool: record.poolId, task: record.taskId, now: publication.now, in: sql)
                }
                try await staging { try await pool.publish(staging: record.stagingName, as: path) }
                try await replace(damaged, by: path, hash: hash, pool: record.poolId)
            } else {
                await removeStaging(of: record, in: pool)
            }
            return file
        }
        do {
            try await rename(record, to: path, in: pool)
            let (file, surplus) = try await database.write { sql in
                try publication.commit(path: path, by: caller, surroundings: surroundings, in: sql)
            }
            if surplus { await settleSurplus(path, hash: hash, size: file.size, pool: record.poolId, store: pool) }
            return file
        } catch {
            return try await settleFailedPublication(of: record, at: path, in: pool, after: error)
        }
    }

    /// The path of the pool's blob of this content where its bytes are missing, have another length, or were found damaged
    /// by somebody who read them; nil where all is well.
    private func damagedBlob(_ hash: String, size: Int64, pool: UUID, store: LocalPool) async throws -> String? {
        let blob = try await database.read { sql in
            try sql.first(
                "SELECT storage_path, damaged_at FROM file_checksums WHERE checksum = $1 AND pool_id = $2", [.text(hash), .uuid(pool)]
            ).map { (path: try $0.text("storage_path"), isDamaged: try $0.optionalTimestamp("damaged_at") != nil) }
        }
        guard let path = blob?.path else { return nil }
        if blob?.isDamaged == true { return path }
        do {
            return try await store.open(path).size() == size ? nil : path
        } catch let error as StorageError where error.isMissing {
            return path
        }
    }

    /// Points a blob at fresh bytes; the damaged ones are noted for collection.
    private func replace(_ damaged: String, by path: String, hash: String, pool: UUID) async throws {
        logger.error("a damaged blob was replaced by the same content uploaded anew", metadata: ["path": "\(damaged)"])
        let now = surroundings.now()
        try await database.write { sql in
            let changed = try sql.execute(
                "UPDATE file_checksums SET storage_path = $4, damaged_at = NULL WHERE checksum = $1 AND pool_id = $2 AND storage_path = $3",
                [.text(hash), .uuid(pool), .text(damaged), .text(path)])
            guard changed == 1 else { return }
            try BlobIntent.clear(path, pool: pool, in: sql)
            try BlobIntent.note(damaged, pool: pool, task: nil, now: now, in: sql)
        }
    }

    /// Bytes that were published beside the same content: they go, unless the ones before them are damaged.
    func settleSurplus(_ path: String, hash: String, size: Int64, pool: UUID, store: LocalPool) async {
        do {
            if let damaged = try await damagedBlob(hash, size: size, pool: pool, store: store) {
                return try await replace(damaged, by: path, hash: hash, pool: pool)
            }
        } catch {
            logger.warning("surplus bytes stay until the next sweep", metadata: ["path": "\(path)", "error": "\(error)"])
            return
        }
        await collect(path, pool: pool, store: store)
    }

    /// Flushes the staged bytes, once: after a failure nothing is tried with them again.
    private func flush(_ staged: StagedFile) async throws {
        do {
            try await staged.flush.run(staged.file, io: io)
        } catch {
            logger.error("flushing an upload failed", metadata: ["task": "\(staged.record.taskId)", "error": "\(error)"])
            throw (error as? StorageError)?.asDriveError ?? error
        }
    }

    private func rename(_ record: UploadRecord, to path: String, in store: LocalPool) async throws {
        do {
            try await store.publish(staging: record.stagingName, as: path)
        } catch let error as StorageError where error.isMissing {
            // An attempt before this one moved the bytes and could not move them back: look where its intent says.
            guard try await reclaim(record, store: store) else { throw error }
            try await store.publish(staging: record.stagingName, as: path)
        }
    }

    /// What becomes of the bytes at a blob's path whose publication failed. The answer waits for a commit that may still
    /// be on its way: it is read under the upload's row lock.
    private func settleFailedPublication(
        of record: UploadRecord, at path: String, in store: LocalPool, after error: any Error
    ) async throws -> CloudFile {
        let status = try await database.write { sql -> TaskStatus? in
            let row = try sql.first(
                "SELECT status FROM upload_tasks WHERE task_id = $1\(sql.dialect.forUpdate)", [.text(record.taskId)])
            guard try row?.int64("status") != 0 else { return .inProgress }
            return try UploadRecord.find(record.taskId, account: record.accountId, in: sql)?.status
        }
        switch status {
        case .completed?:
            if let file = try await finishedFile(record.taskId, account: record.accountId) { return file }
        case .inProgress?:
            // The bytes go back to where the next attempt looks for them.
            logger.error("publishing failed", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
            _ = try await reclaim(record, store: store)
        default:
            // Cancel or expiry came first: the bytes are nobody's.
            await collect(path, pool: record.poolId, store: store)
            throw record.refusal(as: status ?? .cancelled)
        }
        throw (error as? StorageError)?.asDriveError ?? error
    }

    /// Moves the bytes of an open upload, which a publication that did not end left at a blob's path, back to staging.
    /// False where there are none.
    func reclaim(_ record: UploadRecord, store: LocalPool) async throws -> Bool {
        let paths = try await database.read { sql in
            try sql.query(
                """
                SELECT i.storage_path FROM blob_intents i WHERE i.task_id = $1 AND i.pool_id = $2 AND NOT EXISTS
                (SELECT 1 FROM file_checksums b WHERE b.pool_id = i.pool_id AND b.storage_path = i.storage_path)
                """, [.text(record.taskId), .uuid(record.poolId)]
            ).map { try $0.text("storage_path") }
        }
        var found = false
        for path in paths {
            if try await store.unpublish(path, to: record.stagingName) { found = true }
            try await database.write { sql in try BlobIntent.clear(path, pool: record.poolId, in: sql) }
        }
        return found
    }

    /// Removes bytes that no row points to, then the intent that names them.
    func collect(_ path: String, pool: UUID, store: LocalPool) async {
        do {
            try await store.remove(path)
            try await database.write { sql in try BlobIntent.clear(path, pool: pool, in: sql) }
        } catch {
            logger.warning("surplus bytes stay until the next sweep", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }

    func removeStaging(of record: UploadRecord, in store: LocalPool) async {
        do {
            try await store.removeStaging(record.stagingName)
        } catch {
            logger.warning("a staging file stays until the next sweep", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
        }
    }
}
