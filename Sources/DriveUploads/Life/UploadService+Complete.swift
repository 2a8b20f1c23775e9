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
        let session = try await session(taskId, account: caller.accountId)
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
                throw DriveError(.fileNotFound, "The upload was completed, and its file was deleted since.", details: ["fileId": .string(fileId)])
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
        let hash = session.withState { $0.frontier }.hexDigest()
        if let expected = session.record.hash, expected != hash { throw try await mismatch(session, expected: expected, actual: hash) }
        let file = try await publish(session, hash: hash, by: caller)
        succeeded = true
        session.withState { $0.closedAs = .completed }
        forget(session.record.taskId)
        return .file(file)
    }

    /// Waits for the hash to reach the end; false where it takes longer than a caller should wait.
    private func verify(_ session: UploadSession) async throws -> Bool {
        let size = session.record.plan.fileSize
        let deadline = ContinuousClock.now + settings.verificationPatience
        while session.withState({ $0.frontier.byteCount }) < size {
            if let failure = session.withState({ state -> StorageError? in
                defer { state.followerFailure = nil }
                return state.followerFailure
            }) {
                throw failure.asDriveError
            }
            startFollower(session)
            guard let follower = session.withState({ $0.follower }) else { continue }
            let ended = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    await Self.value(of: follower)
                    return true
                }
                group.addTask {
                    try? await Task.sleep(until: deadline, clock: .continuous)
                    return false
                }
                defer { group.cancelAll() }
                return await group.next() ?? false
            }
            if !ended { return false }
        }
        return true
    }

    /// Awaits a task, but no longer than the awaiting one is wanted.
    private static func value(of task: Task<Void, Never>) async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let waiter = Task {
            await task.value
            continuation.finish()
        }
        for await _ in stream {}
        waiter.cancel()
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
    private func publish(_ session: UploadSession, hash: String, by caller: Caller) async throws -> CloudFile {
        let record = session.record
        let publication = Publication(
            fileId: surroundings.newIdentifier(), taskId: record.taskId, accountId: record.accountId, name: record.fileName,
            size: record.plan.fileSize, contentType: record.contentType, hash: hash, pool: try await pools.open(record.poolId).pool,
            bundleId: record.bundleId, expiredAt: record.expiredAt, reservedBytes: record.reservedBytes, preallocated: true,
            legacyEvents: record.legacyEvents, now: surroundings.now())
        let path = try await staging { try await session.pool.newBlobPath() }
        let surroundings = surroundings
        // The intent commits while the data is flushed.
        async let shared: CloudFile? = database.write { sql in
            if let file = try publication.shareExisting(by: caller, surroundings: surroundings, in: sql) { return file }
            try BlobIntent.note(path, pool: record.poolId, task: record.taskId, now: publication.now, in: sql)
            return nil
        }
        do {
            try await io.run { try session.file.sync() }
        } catch {
            _ = try? await shared
            // The kernel may have dropped the pages: these bytes are not trusted any more, and no second flush is tried.
            logger.error("flushing an upload failed", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
            try await end(record.taskId, as: .failed, message: "The disk failed while the file was flushed; upload it again.", code: "STORAGE_FAILED", by: caller)
            throw (error as? StorageError)?.asDriveError ?? error
        }
        if let file = try await shared {
            await removeStaging(of: record, in: session.pool)
            return file
        }
        do {
            try await session.pool.publish(staging: record.stagingName, as: path)
        } catch let error as StorageError {
            // A cancel that came first took the staging file.
            let status = try await find(record.taskId, account: record.accountId).status
            if status.isTerminal {
                await collect(path, pool: record.poolId, store: session.pool)
                throw UploadSession.closedError(status, taskId: record.taskId)
            }
            logger.error("publishing failed", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
            await unpublish(path, to: record.stagingName, store: session.pool, pool: record.poolId)
            throw error.asDriveError
        }
        do {
            let (file, surplus) = try await database.write { sql in
                try publication.commit(path: path, by: caller, surroundings: surroundings, in: sql)
            }
            if surplus { await collect(path, pool: record.poolId, store: session.pool) }
            return file
        } catch let error as DriveError {
            // Cancel or expiry came first: the bytes are nobody's.
            await collect(path, pool: record.poolId, store: session.pool)
            throw error
        } catch {
            // Not published: the bytes go back to where the next attempt looks for them.
            await unpublish(path, to: record.stagingName, store: session.pool, pool: record.poolId)
            throw error
        }
    }

    /// Undoes a rename whose transaction failed, unless the transaction did take effect.
    func unpublish(_ path: String, to staging: String, store: LocalPool, pool: UUID) async {
        do {
            let published = try await database.read { sql in
                try sql.first(
                    "SELECT storage_path FROM file_checksums WHERE pool_id = $1 AND storage_path = $2", [.uuid(pool), .text(path)]) != nil
            }
            if published { return }
            try await store.unpublish(path, to: staging)
            try await database.write { sql in try BlobIntent.clear(path, pool: pool, in: sql) }
        } catch {
            // The intent row stays, and the next start or sweep decides by it.
            logger.error("a publication could not be undone; its intent stays", metadata: ["path": "\(path)", "error": "\(error)"])
        }
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
