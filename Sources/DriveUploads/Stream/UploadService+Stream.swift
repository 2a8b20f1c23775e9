import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation
import Logging
import Synchronization

extension UploadService {
    /// Creates an upload whose bytes come as one stream. Over tus a length of 0 completes it at once, unless it is a part.
    ///
    /// Throws `DriveError` naming the rule that refused.
    public func createStream(_ request: NewStream, by caller: Caller) async throws -> StreamUpload {
        let (draft, store) = try await streamDraft(request, by: caller)
        let size = draft.plan.fileSize
        let room = settings
        try await database.read { sql in
            try QuotaLedger.expectRoom(for: draft.demand, account: caller.accountId, settings: room, in: sql)
        }
        let file = try await staging { try await store.createStaging(draft.taskId, size: size, keepSize: true) }
        let surroundings = surroundings
        let record: UploadRecord?
        do {
            record = try await database.write { sql in
                try draft.insert(by: caller, opensBytes: true, settings: room, surroundings: surroundings, in: sql)
                return try UploadRecord.find(draft.taskId, account: caller.accountId, in: sql)
            }
        } catch {
            try? await store.removeStaging(draft.taskId)
            throw error
        }
        guard let record else { throw Self.notFound(draft.taskId) }
        keep(StreamSession(record: record, file: file, pool: store, digest: FileDigest(), segments: StreamSegments()))
        return try await withStream(record.taskId, account: caller.accountId) { session in
            guard request.length == 0, request.face == UploadFace.tus, !request.isPartial else { return status(of: session) }
            return completed(record, try await complete(session, by: caller))
        }
    }

    /// Checks everything that can be checked before the first byte.
    func streamDraft(
        _ request: NewStream, concatenation: String? = nil, by caller: Caller
    ) async throws -> (UploadDraft, LocalPool) {
        let taskId = surroundings.newIdentifier()
        let fileName = try request.fileName.map { name throws(DriveError) in try FileName.validated(name) } ?? taskId
        let contentType = try Self.contentType(request.contentType)
        let hash = try Self.hash(request.hash)
        let now = surroundings.now()
        try Self.checkExpiry(request.expiredAt, now: now)
        if let length = request.length { try checkLength(length) }
        let opened = try await pools.open(request.poolId)
        if let refusal = opened.pool.policy.refusal(
            contentType: contentType, size: request.length ?? 0, role: caller.role.rawValue, poolName: opened.pool.name)
        {
            throw refusal
        }
        try await checkBundle(request.bundleId, account: caller.accountId)
        let size = request.length ?? 0
        var draft = UploadDraft(
            id: surroundings.newUUID(), taskId: taskId, fileName: fileName, contentType: contentType,
            plan: ChunkPlan(fileSize: size, chunkSize: max(1, size)), pool: opened.pool, bundleId: request.bundleId, hash: hash ?? "",
            expiredAt: request.expiredAt ?? opened.pool.policy.defaultExpirySeconds.map { now + .seconds($0) },
            legacyEvents: settings.legacyUploadEvents, face: request.face, bootId: bootId, now: now,
            sessionExpiresAt: now + settings.sessionLifetime)
        draft.isLengthDeferred = request.length == nil
        draft.metadata = request.metadata
        draft.concatenation = concatenation ?? (request.isPartial ? Concatenation.partial : nil)
        return (draft, opened.store)
    }

    func checkLength(_ length: Int64) throws(DriveError) {
        guard length <= settings.maximumFileSize else {
            throw DriveError(
                .fileTooLarge, "The upload has \(length) bytes; this server takes files up to \(settings.maximumFileSize) bytes.",
                details: ["maxFileSize": .integer(settings.maximumFileSize)])
        }
    }

    /// What is kept of an upload. Ends the request that still sends to it, keeping its bytes, because a client asks only
    /// once it has given its old connection up; a whole upload whose publication failed is published again.
    ///
    /// - Parameter face: the protocol that asks; an upload of another one is none. nil: any.
    /// Throws `TASK_NOT_FOUND`, `UPLOAD_GONE`, `TASK_EXPIRED`, `UPLOAD_BUSY`.
    public func stream(_ taskId: String, over face: String? = nil, by caller: Caller) async throws -> StreamUpload {
        let record = try await streamRecord(taskId, over: face, account: caller.accountId)
        if let ended = try await endedStatus(of: record) { return ended }
        if Concatenation.isFinal(record) {
            assemble(record)
            return try await assemblingStatus(of: record)
        }
        do {
            return try await withStream(taskId, account: caller.accountId) { session in
                _ = try await session.settledOffset(patience: settings.takeoverPatience)
                try await awaitCompletion(of: session)
                if session.withState({ $0.closedAs }) != nil { throw session.closedError() }
                try await keepPromise(session)
                let mustComplete = session.withState {
                    $0.ledger.isWhole && ($0.record.face == UploadFace.tus || $0.isEnded) && !Concatenation.isPartial($0.record)
                }
                guard mustComplete else { return status(of: session) }
                return completed(session.record, try await complete(session, by: caller))
            }
        } catch let error as DriveError where error.code == .uploadCompleted {
            // It was completed between the look and the load.
            if let ended = try await endedStatus(of: try await streamRecord(taskId, account: caller.accountId)) { return ended }
            throw error
        }
    }

    /// An offset told over the IETF protocol is on the disk and in the rows.
    private func keepPromise(_ session: StreamSession) async throws {
        guard session.face == UploadFace.resumable else { return }
        let (digest, noted) = session.withState { ($0.digest, $0.segments.end) }
        guard noted < digest.byteCount, await checkpoint(digest, of: session) != nil else { return }
        throw DriveError(
            .uploadBusy, "The offset cannot be promised now; ask again.", details: ["taskId": .string(session.taskId)], retryAfter: 1)
    }

    /// Throws what a request meets that would add to an upload which is not there, or takes nothing any more.
    public func expectOpenStream(_ taskId: String, over face: String? = nil, by caller: Caller) async throws {
        let record = try await streamRecord(taskId, over: face, account: caller.accountId)
        if Concatenation.isFinal(record) { throw record.refusal(as: .completed) }
        if record.status.isTerminal { throw record.refusal(as: record.status) }
    }

    /// Ends an upload for its owner: an unfinished one frees what it holds; of a finished one the upload's address ends,
    /// and with `removingFile` the file goes too. Throws `TASK_NOT_FOUND`, `UPLOAD_GONE`.
    public func terminateStream(
        _ taskId: String, over face: String? = nil, removingFile: Bool, by caller: Caller
    ) async throws {
        let record = try await streamRecord(taskId, over: face, account: caller.accountId)
        if !record.status.isTerminal {
            let ended = try await end(taskId, as: .cancelled, message: "Ended by its owner.", code: nil, by: caller)
            if ended { return }
        }
        let now = surroundings.now()
        let surroundings = surroundings
        let current = try await find(taskId, account: caller.accountId)
        guard current.status == .completed else { throw current.refusal(as: current.status) }
        try await database.write { sql in
            let changed = try sql.execute(
                "UPDATE upload_tasks SET deleted_at = $3, updated_at = $3 WHERE task_id = $1 AND account_id = $2 AND deleted_at IS NULL",
                [.text(taskId), .uuid(caller.accountId), .timestamp(now)])
            guard changed == 1 else { throw Self.deleted(taskId) }
            if removingFile, let fileId = current.fileId,
                let removed = try FileService.remove(fileId, account: caller.accountId, now: now, in: sql)
            {
                try AuditTrail.append("file.delete", on: "file", id: fileId, by: caller, surroundings: surroundings, in: sql)
                try EventOutbox.append(
                    [FileEvents.deleted(removed, because: .deleted, now: now)], account: caller.accountId, now: now, in: sql)
            }
        }
    }

    // MARK: Looks

    /// The upload's row. Throws `TASK_NOT_FOUND` also for another's and for one that came through another door, each of which
    /// promises something else; `UPLOAD_GONE` for a deleted one.
    func streamRecord(_ taskId: String, over face: String? = nil, account: UUID) async throws -> UploadRecord {
        // What is open here needs no look into the database.
        let known = openStream(taskId, account: account)
        let record: UploadRecord
        if let known { record = known } else { record = try await find(taskId, account: account) }
        guard UploadFace.isStream(record.face), face == nil || face == record.face else { throw Self.notFound(taskId) }
        guard record.deletedAt == nil else { throw Self.deleted(taskId) }
        return record
    }

    /// The row of an upload that is open in this process and takes bytes.
    private func openStream(_ taskId: String, account: UUID) -> UploadRecord? {
        let entry = sessions.withLock { $0[SessionKey(taskId: taskId, account: account)] }
        guard case .open(let open)? = entry, let session = open as? StreamSession else { return nil }
        return session.withState { $0.closedAs == nil ? $0.record : nil }
    }

    static func deleted(_ taskId: String) -> DriveError {
        DriveError(.uploadGone, "The upload was ended by its owner.", details: ["taskId": .string(taskId)])
    }

    /// The state of an upload that has come to its end; nil while it has not. Throws what a failed one answers.
    private func endedStatus(of record: UploadRecord) async throws -> StreamUpload? {
        guard record.status.isTerminal else { return nil }
        guard record.status == .completed else { throw record.refusal(as: record.status) }
        // A part that became a piece of another upload is no file.
        guard let fileId = record.fileId else {
            guard try await isPieceOfAnUpload(record) else {
                throw DriveError(
                    .uploadGone, "The upload that this part became a piece of is gone; create a new one.",
                    details: ["taskId": .string(record.taskId)])
            }
            return self.status(of: record, offset: record.plan.fileSize, phase: .receiving)
        }
        let (account, id) = (record.accountId, fileId)
        let file = try await database.read { sql in try FileRow.find(id, account: account, in: sql) }
        // A client that remembers the upload would take its state for that of the file.
        guard let file else {
            throw DriveError(
                .uploadGone, "The upload was completed, and its file was deleted since; create a new one.",
                details: ["taskId": .string(record.taskId), "fileId": .string(fileId)])
        }
        return self.status(of: record, offset: record.plan.fileSize, phase: .completed(file))
    }

    func status(of session: StreamSession) -> StreamUpload {
        let (record, offset, activity) = session.withState { ($0.record, $0.ledger.offset, $0.lastActivity) }
        return status(of: record, offset: offset, phase: .receiving, lastActivity: activity)
    }

    func completed(_ record: UploadRecord, _ file: CloudFile) -> StreamUpload {
        var upload = status(of: record, offset: file.size, phase: .completed(file))
        upload.length = file.size
        return upload
    }

    func status(
        of record: UploadRecord, offset: Int64, phase: StreamUpload.Phase, lastActivity: Timestamp? = nil
    ) -> StreamUpload {
        var expiry: Timestamp?
        if case .completed = phase {
        } else {
            let isWhole = !record.isLengthDeferred && offset == record.plan.fileSize
            expiry = expiresAt(record, isWhole: isWhole, lastActivity: lastActivity ?? record.lastActivity)
        }
        return StreamUpload(
            taskId: record.taskId, phase: phase, offset: offset, length: record.isLengthDeferred ? nil : record.plan.fileSize,
            metadata: record.metadata, concatenation: record.concatenation, expiresAt: expiry)
    }

    /// When housekeeping would end the upload if nothing more came. A whole part waits for its siblings.
    private func expiresAt(_ record: UploadRecord, isWhole: Bool, lastActivity: Timestamp) -> Timestamp {
        var expiry = record.createdAt + settings.maximumAge
        if !(isWhole && Concatenation.isPartial(record)) { expiry = min(expiry, lastActivity + settings.staleAfter) }
        if let end = record.expiredAt { expiry = min(expiry, end) }
        return expiry
    }

    /// As `withSession`, for an upload that comes as a stream.
    func withStream<Result>(
        _ taskId: String, account: UUID, _ body: (StreamSession) async throws -> Result
    ) async throws -> Result {
        let open = try await session(taskId, account: account)
        defer { open.endUse() }
        guard let session = open as? StreamSession else { throw Self.notFound(taskId) }
        return try await body(session)
    }
}
