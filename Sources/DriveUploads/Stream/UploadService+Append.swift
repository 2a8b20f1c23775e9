import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import Foundation
import Logging

extension UploadService {
    /// Adds a body to an upload. Whatever ends the body early, what came is kept, unless a digest was promised.
    ///
    /// Throws besides those of `stream`: `OFFSET_MISMATCH`, `LENGTH_MISMATCH`, `LENGTH_EXCEEDED`, `UPLOAD_COMPLETED`,
    /// `UPLOAD_TAKEN_OVER`, `BODY_INTERRUPTED`, `CHECKSUM_MISMATCH`, `HASH_MISMATCH`, `PAYLOAD_TOO_LARGE` (the limit of
    /// one request).
    public func append<Body: StreamBody>(
        _ body: Body, to taskId: String, _ append: StreamAppend, by caller: Caller
    ) async throws -> StreamUpload {
        let record = try await streamRecord(taskId, over: append.face, account: caller.accountId)
        if record.status == .completed || Concatenation.isFinal(record) { return try await appendToEnded(record, append, body) }
        if record.status == .paused { throw record.refusal(as: .paused) }
        if let limit = append.limit, let length = append.contentLength, length > limit { throw Self.overLimit(limit) }
        do {
            return try await withStream(taskId, account: caller.accountId) { session in
                try await awaitCompletion(of: session)
                let writer = try await beginWriting(body, at: append.offset, in: session)
                await append.begun?()
                let outcome = await self.carry(body, append, as: writer, in: session, by: caller)
                return try await self.conclude(outcome, append, in: session, by: caller)
            }
        } catch let error as DriveError where error.code == .uploadCompleted {
            // It was completed between the look and the right to write.
            let now = try await streamRecord(taskId, account: caller.accountId)
            guard now.status == .completed, record.status != .completed else { throw error }
            return try await appendToEnded(now, append, body)
        }
    }

    /// Waits while the upload is being completed: who comes meanwhile wants to know how it ended.
    /// Throws `UPLOAD_BUSY` where it takes longer than a client should wait.
    func awaitCompletion(of session: StreamSession) async throws {
        guard let completion = session.withState({ $0.completion }) else { return }
        if await completion.ends(within: settings.takeoverPatience) { return }
        try Task.checkCancellation()
        throw DriveError(
            .uploadBusy, "The upload is being completed; ask again.", details: ["taskId": .string(session.taskId)], retryAfter: 1)
    }

    private func beginWriting<Body: StreamBody>(
        _ body: Body, at offset: Int64, in session: StreamSession
    ) async throws -> StreamWriter {
        do {
            return try await session.beginWriting(at: offset, interrupt: body.interrupt, patience: settings.takeoverPatience)
        } catch var error as DriveError where error.code == .offsetMismatch {
            error.details["expiresAt"] = status(of: session).expiresAt.map { .string("\($0)") }
            throw error
        }
    }

    /// An upload that is complete takes an empty body at its end, as a client sends it that missed the answer.
    private func appendToEnded<Body: StreamBody>(
        _ record: UploadRecord, _ append: StreamAppend, _ body: Body
    ) async throws -> StreamUpload {
        guard record.status == .completed, !Concatenation.isFinal(record) else { throw record.refusal(as: .completed) }
        if let length = append.length, length != record.plan.fileSize {
            throw Self.lengthMismatch(length, known: record.plan.fileSize)
        }
        if append.offset == record.plan.fileSize, try await isEmpty(body, append) {
            return try await stream(record.taskId, by: .system(for: record.accountId))
        }
        if append.offset != record.plan.fileSize, record.face == UploadFace.tus {
            throw StreamSession.mismatch(append.offset, kept: record.plan.fileSize)
        }
        throw record.refusal(as: .completed)
    }

    /// A body of no told length is empty where its end is the first thing that comes.
    private func isEmpty<Body: StreamBody>(_ body: Body, _ append: StreamAppend) async throws -> Bool {
        if let length = append.contentLength { return length == 0 }
        var body = body
        return try await body.next() == nil
    }

    /// What one body brought: the digest of all kept bytes, and why the body ended where it did not end well.
    private struct Outcome: Sendable {
        var kept: FileDigest
        /// What was noted of it while the body came, which is kept whatever follows.
        var noted: FileDigest
        var failure: (any Error)?
    }

    private func carry<Body: StreamBody>(
        _ body: Body, _ append: StreamAppend, as writer: StreamWriter, in session: StreamSession, by caller: Caller
    ) async -> Outcome {
        let before = session.withState { $0.digest }
        let outcome: Outcome
        do {
            let limit = try await prepare(append, in: session, by: caller)
            if body.isProvisional {
                try await mark(pendingFrom: append.offset, of: session)
            } else if session.withState({ $0.isPendingNoted }), let error = await checkpoint(before, of: session, clearing: true) {
                throw error
            }
            outcome = await transfer(body, append, limit: limit, from: before, as: writer.id, in: session, by: caller)
        } catch {
            outcome = Outcome(kept: before, noted: before, failure: error)
        }
        return await settle(outcome, append, before: before, isProvisional: body.isProvisional, writer: writer, in: session)
    }

    /// Settles the upload's length as far as the request tells it, and makes room. Returns how many bytes the body may have.
    private func prepare(_ append: StreamAppend, in session: StreamSession, by caller: Caller) async throws -> Int64 {
        var declared = append.length
        // Where the body would end; no sum of numbers that clients send may overflow.
        let bodyEnd = append.contentLength.map { $0 > Int64.max - append.offset ? Int64.max : append.offset + $0 }
        if append.ending == .atEnd, let bodyEnd {
            if let declared, declared != bodyEnd { throw Self.lengthMismatch(declared, known: bodyEnd) }
            declared = bodyEnd
        }
        if let declared { try await declare(declared, in: session, by: caller) }
        let length = session.withState { $0.ledger.length }
        let end = length ?? settings.maximumFileSize
        if let bodyEnd, bodyEnd > end {
            if length == nil { try checkLength(bodyEnd) }
            throw Self.exceeded(length: end)
        }
        if length == nil, let bodyEnd { try await reserve(bodyEnd, in: session) }
        return min(end - append.offset, append.limit ?? .max)
    }

    private func transfer<Body: StreamBody>(
        _ body: Body, _ append: StreamAppend, limit: Int64, from before: FileDigest, as id: StreamLedger.WriterID,
        in session: StreamSession, by caller: Caller
    ) async -> Outcome {
        let writer = ChunkWriter(
            file: session.file, io: io, start: append.offset, digests: ChunkDigests(wholeFile: before, body: body.likelyDigests))
        let isProvisional = body.isProvisional
        let interval = settings.checkpointInterval
        var noted = (digest: before, at: ContinuousClock.now)
        var reached = before.byteCount
        var transfer = BodyTransfer(
            body: body, writer: writer, pieces: pieces,
            hooks: .init(
                advance: { end, written in
                    try await self.reserve(end, in: session)
                    guard let digest = written.wholeFile else { return }
                    let count = digest.byteCount - reached
                    reached = digest.byteCount
                    let now = ContinuousClock.now
                    if count > 0 {
                        session.withState { state in
                            state.speed.add(count, at: now)
                            if !isProvisional { state.ledger.reach(digest.byteCount, writer: id) }
                        }
                    }
                    let fresh = digest.byteCount - noted.digest.byteCount
                    guard !isProvisional, fresh > 0, fresh >= self.settings.checkpointBytes || now - noted.at >= interval else { return }
                    noted = (digest, now)
                    if await self.checkpoint(digest, of: session) == nil { await append.progress?(digest.byteCount) }
                },
                keepsWhatCame: !isProvisional))
        var failure: (any Error)?
        do {
            try await transfer.run(limit: limit) { _ in
                append.limit == limit ? Self.overLimit(limit) : Self.exceeded(length: append.offset + limit)
            }
            if let count = append.contentLength, transfer.writer.written != count {
                throw Self.interrupted(transfer.writer.digests.wholeFile ?? before)
            }
            try await verify(transfer.body, transfer.writer.digests, from: append.offset, in: session)
            // While nobody else may write: from here on no body is longer.
            if append.ending == .atEnd {
                try await declare((transfer.writer.digests.wholeFile ?? before).byteCount, in: session, by: caller)
            }
        } catch {
            failure = error
        }
        let kept = transfer.writer.digests.wholeFile ?? before
        session.withState { $0.speed.add(kept.byteCount - reached, at: .now) }
        return Outcome(kept: kept, noted: noted.digest, failure: failure)
    }

    private func verify<Body: StreamBody>(
        _ body: Body, _ digests: ChunkDigests, from offset: Int64, in session: StreamSession
    ) async throws {
        let expected = try body.expectedDigests()
        guard !expected.isEmpty else { return }
        var digests = digests
        let end = digests.wholeFile?.byteCount ?? offset
        try await complete(&digests, for: expected, of: session.file, range: offset..<end)
        for digest in expected where digests.value(of: digest.algorithm) != digest.value {
            throw DriveError(
                .checksumMismatch, "The bytes do not match the \(digest.algorithm.rawValue) sent with them; none of them is kept.",
                details: ["algorithm": .string(digest.algorithm.rawValue), "offset": .integer(offset)])
        }
    }

    /// Keeps what counts, drops what does not, notes the place in the rows, and lets the next writer in.
    private func settle(
        _ outcome: Outcome, _ append: StreamAppend, before: FileDigest, isProvisional: Bool, writer: StreamWriter,
        in session: StreamSession
    ) async -> Outcome {
        var outcome = outcome
        if outcome.failure != nil {
            // Of a body that is longer than it may be nobody can tell which bytes are meant: it must not make the upload whole.
            if (outcome.failure as? DriveError)?.code == .lengthExceeded { outcome.kept = outcome.noted }
            if isProvisional { outcome.kept = before }
            await cutOff(session, at: outcome.kept.byteCount)
        }
        let isWhole = session.withState { $0.ledger.length == outcome.kept.byteCount }
        let isPart = session.withState { Concatenation.isPartial($0.record) }
        // What is published right now needs no note of how far it came.
        let isAboutToComplete = isWhole && !isPart && append.ending != .never && outcome.failure == nil
        // Over the IETF protocol the length does not say that the upload is to end: that is noted, should publishing fail.
        let isEnded = isAboutToComplete && append.ending == .atEnd
        if !isAboutToComplete || isProvisional || isEnded,
            let error = await checkpoint(outcome.kept, of: session, clearing: isProvisional, ending: isEnded)
        {
            if isProvisional, outcome.failure == nil {
                // After a restart these bytes would be cut off: they are not told as kept.
                outcome = Outcome(kept: before, noted: before, failure: error)
                await cutOff(session, at: before.byteCount)
            } else if session.face == UploadFace.resumable {
                // An offset that is told has to survive everything.
                outcome.failure = outcome.failure ?? error
            }
        }
        let isTakenOver = writer.isTakenOver
        session.finish(writer, keeping: outcome.kept)
        if let failure = outcome.failure { outcome.failure = meaning(of: failure, isTakenOver: isTakenOver, kept: outcome.kept, session) }
        if isWhole, isPart { wakeAssembly(ofPart: session.taskId, account: session.accountId) }
        return outcome
    }

    /// Behind the kept bytes may lie others: refused ones, or half a write. The room that was promised stays.
    private func cutOff(_ session: StreamSession, at end: Int64) async {
        let reserved = session.withState { $0.record.plan.fileSize }
        do {
            try await io.run {
                guard try session.file.size() > end else { return }
                try session.file.truncate(to: end)
                try session.file.preallocate(reserved, keepSize: true)
            }
        } catch {
            logger.error("a staged file cannot be cut off", metadata: ["task": "\(session.taskId)", "error": "\(error)"])
        }
    }

    /// What the client is told of a body that ended early.
    private func meaning(of error: any Error, isTakenOver: Bool, kept: FileDigest, _ session: StreamSession) -> any Error {
        if session.withState({ $0.closedAs }) != nil {
            var error = session.closedError()
            error.details["endedMeanwhile"] = .bool(true)
            return error
        }
        if isTakenOver, !(error is StorageError) {
            return DriveError(
                .uploadTakenOver, "Another request for this upload came; what this one brought is kept.",
                details: ["taskId": .string(session.taskId)])
        }
        if let error = error as? StorageError {
            logger.error("an upload cannot be written", metadata: ["task": "\(session.taskId)", "error": "\(error)"])
            return error.asDriveError
        }
        if error is DriveError || error is DatabaseError { return error }
        return Self.interrupted(kept)
    }

    /// After the body: completes the upload where the request means it.
    private func conclude(
        _ outcome: Outcome, _ append: StreamAppend, in session: StreamSession, by caller: Caller
    ) async throws -> StreamUpload {
        if let failure = outcome.failure { throw failure }
        let mayComplete = session.withState { state in
            append.ending != .never && state.ledger.isWhole && !Concatenation.isPartial(state.record)
        }
        guard mayComplete else { return status(of: session) }
        return completed(session.record, try await complete(session, by: caller))
    }

    /// Completes a whole upload, once for all who ask; it goes on where a caller's connection breaks.
    func complete(_ session: StreamSession, by caller: Caller) async throws -> CloudFile {
        let completion = session.withState { state -> Task<CloudFile, any Error> in
            if let running = state.completion { return running }
            let task = Task {
                defer { session.withState { $0.completion = nil } }
                return try await self.publishWhole(session, by: caller)
            }
            state.completion = task
            return task
        }
        return try await completion.value
    }

    private func publishWhole(_ session: StreamSession, by caller: Caller) async throws -> CloudFile {
        switch session.withState({ $0.ledger.beginCompleting() }) {
        case .closed: throw session.closedError()
        case .incomplete(let offset, let length):
            throw DriveError(
                .uploadIncomplete, "\(offset) of \(length.map(String.init) ?? "an unknown number of") bytes are here.",
                details: ["taskId": .string(session.taskId), "offset": .integer(offset)])
        case .proceed: break
        }
        var succeeded = false
        defer { session.withState { [succeeded] in $0.ledger.endCompleting(succeeded: succeeded) } }
        let (record, digest) = session.withState { ($0.record, $0.digest) }
        let hash = digest.hexDigest()
        if let expected = record.hash, expected != hash {
            // Nothing can mend it: the same bytes would come again.
            try await end(
                session.taskId, as: .failed, message: "Its bytes do not have the announced SHA-256.", code: "HASH_MISMATCH", by: caller)
            throw DriveError(
                .hashMismatch, "The received bytes do not have the announced SHA-256; nothing was published. Upload the file again.",
                details: ["taskId": .string(session.taskId), "expectedHash": .string(expected), "actualHash": .string(hash)])
        }
        do {
            // Room beyond the bytes goes back to the disk.
            try await staging { try await io.run { try session.file.truncate(to: digest.byteCount) } }
            let file = try await publish(
                StagedFile(record: record, file: session.file, pool: session.pool, digest: digest, flush: session.flush), by: caller)
            succeeded = true
            session.withState { $0.closedAs = .completed }
            forget(session.taskId, account: session.accountId)
            return file
        } catch {
            await checkpoint(digest, of: session)
            throw error
        }
    }

    // MARK: Refusals

    static func exceeded(length: Int64) -> DriveError {
        DriveError(
            .lengthExceeded, "The upload has \(length) bytes; this body has more.", details: ["length": .integer(length)])
    }

    static func lengthMismatch(_ length: Int64, known: Int64) -> DriveError {
        DriveError(
            .lengthMismatch, "The request says that the upload has \(length) bytes; it has \(known).",
            details: ["length": .integer(known), "providedLength": .integer(length)])
    }

    private static func overLimit(_ limit: Int64) -> DriveError {
        DriveError(
            .payloadTooLarge, "One request brings at most \(limit) bytes; send the rest with further ones.",
            details: ["limit": .integer(limit)])
    }

    private static func interrupted(_ kept: FileDigest) -> DriveError {
        DriveError(
            .bodyInterrupted, "The body broke off or stood still; \(kept.byteCount) bytes are kept. Ask for the offset and go on.",
            details: ["offset": .integer(kept.byteCount)], retryAfter: 1)
    }
}
