import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Foundation
import Logging
import Synchronization

// Putting the parts of a concatenation together, behind the requests: step by step, each step noted.
extension UploadService {
    /// Starts to put a final upload together, where that is not under way.
    func assemble(_ record: UploadRecord) {
        assemblies.withLock { assemblies in
            guard !assemblies.isStopping else { return }
            guard assemblies.running[record.taskId] == nil else {
                // What changed meanwhile may be what the run has looked at already.
                assemblies.again.insert(record.taskId)
                return
            }
            assemblies.running[record.taskId] = Task {
                repeat {
                    await self.runAssembly(record)
                } while self.assemblies.withLock { assemblies in
                    if assemblies.again.remove(record.taskId) != nil, !assemblies.isStopping { return true }
                    assemblies.running[record.taskId] = nil
                    return false
                }
            }
        }
    }

    /// Ends what goes on without a request at its next step, and waits for it; the next start goes on with it.
    public func stop() async {
        let running = assemblies.withLock { assemblies in
            assemblies.isStopping = true
            return Array(assemblies.running.values)
        }
        for task in running { await task.value }
    }

    /// Whether a final upload is being put together now.
    func isAssembling(_ taskId: String) -> Bool {
        assemblies.withLock { $0.running[taskId] != nil }
    }

    /// A part has all its bytes: whoever waits for it may go on.
    func wakeAssembly(ofPart part: String, account: UUID) {
        Task {
            do {
                for final in try await finals(waitingFor: part, account: account) { assemble(final) }
            } catch {
                logger.error("a concatenation waits for the next look", metadata: ["part": "\(part)", "error": "\(error)"])
            }
        }
    }

    /// A part has gone: who waits for it waits in vain.
    func endFinals(ofPart part: String, account: UUID) async throws {
        for final in try await finals(waitingFor: part, account: account) {
            await fail(final, because: Self.refused("Its part \(part) has ended.", part: part))
        }
    }

    private func finals(waitingFor part: String, account: UUID) async throws -> [UploadRecord] {
        try await waitingFinals(
            """
            u.account_id = $1 AND u.length_deferred
            AND EXISTS (SELECT 1 FROM upload_parts p WHERE p.final_task_id = u.task_id AND p.part_task_id = $2)
            """, [.uuid(account), .text(part)])
    }

    /// Starts all final uploads that were left: at a start, and now and then.
    func resumeAssemblies() async throws {
        for final in try await waitingFinals("u.face = $1", [.text(UploadFace.tus)]) { assemble(final) }
    }

    private func waitingFinals(_ condition: String, _ arguments: [SQLValue]) async throws -> [UploadRecord] {
        try await database.read { sql in
            try sql.query(
                """
                SELECT \(UploadRecord.columns) FROM \(UploadRecord.tables) WHERE u.status = 0 AND u.concatenation IS NOT NULL
                AND u.concatenation <> '\(Concatenation.partial)' AND \(condition)
                """, arguments
            ).map(UploadRecord.init(row:))
        }
    }

    private func runAssembly(_ record: UploadRecord) async {
        do {
            // Somebody may have asked while the last run was ending: what it left is looked at anew.
            guard
                let current = try await database.read({ sql in
                    try UploadRecord.find(record.taskId, account: record.accountId, in: sql)
                }), !current.status.isTerminal
            else { return }
            try await assembleParts(of: current)
        } catch let error as DriveError where [.uploadGone, .taskExpired, .uploadCompleted, .hashMismatch].contains(error.code) {
            // It has ended meanwhile.
        } catch let error as DriveError
            where [.refused, .tooLarge].contains(error.code.category) || error.code == .invalidConcatenation
        {
            await fail(record, because: error)
        } catch let error as DriveError where error.code == .shuttingDown {
            logger.info("a concatenation goes on at the next start", metadata: ["task": "\(record.taskId)"])
        } catch {
            // A passing fault: the next look at the upload tries again.
            logger.error("a concatenation did not come to its end yet", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
        }
    }

    private func fail(_ record: UploadRecord, because error: DriveError) async {
        do {
            try await end(record.taskId, as: .failed, message: error.message, code: error.code.name, by: .system(for: record.accountId))
        } catch {
            logger.error("a concatenation cannot be ended", metadata: ["task": "\(record.taskId)", "error": "\(error)"])
        }
    }

    private func assembleParts(of record: UploadRecord) async throws {
        let (id, account) = (record.taskId, record.accountId)
        let caller = Caller.system(for: account)
        let parts = try await database.read { sql in try Self.parts(of: id, in: sql) }
        // Parts that were handed over before a crash are the file's already.
        if record.isLengthDeferred {
            let records = try await partRecords(parts, account: account)
            guard let length = Self.length(of: parts, records) else { return }
            for part in records.keys {
                let isWhole = try await withStream(part, account: account) { $0.withState { $0.ledger.isWhole && $0.writer == nil } }
                guard isWhole else { return }
            }
            try await makeRoom(for: record, length: length, parts: records)
            try await copy(parts, to: id, account: account, length: length)
            do {
                try await handOver(parts, records: records, to: record, length: length)
            } catch {
                // It may have been made all the same: what is open here is opened anew.
                for part in parts + [id] { forget(part, account: account) }
                throw error
            }
        }
        try await withStream(id, account: account) { session in
            _ = try await complete(session, by: caller)
        }
        await removeParts(parts, account: account)
    }

    /// Checks what can be checked before bytes are copied, and holds room for what the parts do not hold: those that stand in
    /// several places.
    private func makeRoom(for record: UploadRecord, length: Int64, parts: [String: UploadRecord]) async throws {
        try checkLength(length)
        let pool = try await pools.open(record.poolId).pool
        if let refusal = pool.policy.refusal(
            contentType: record.contentType, size: length, role: Caller.system(for: record.accountId).role.rawValue, poolName: pool.name)
        {
            throw refusal
        }
        let held = parts.values.reduce(Int64(0)) { $0 + $1.plan.fileSize }
        guard length > held else { return }
        try await withStream(record.taskId, account: record.accountId) { session in
            try await resize(session, to: length - held, isFinal: false)
        }
    }

    /// Copies the parts behind one another, by reference where the file system can, and hashes them on the way.
    private func copy(_ parts: [String], to final: String, account: UUID, length: Int64) async throws {
        try await withStream(final, account: account) { session in
            let writer = try await session.beginWriting(
                at: session.withState { $0.ledger.offset }, interrupt: {}, patience: settings.takeoverPatience)
            var digest = session.withState { $0.digest }
            var start: Int64 = 0
            let result: Result<Void, any Error>
            do {
                for part in parts {
                    try await withStream(part, account: account) { source in
                        let size = source.withState { $0.ledger.offset }
                        // The part's bytes are on the disk before the file that replaces them says so.
                        if digest.byteCount < start + size { try await flush(source, withName: false) }
                        while digest.byteCount < start + size {
                            if assemblies.withLock({ $0.isStopping }) {
                                throw DriveError(.shuttingDown, "The server stops; the concatenation goes on at its next start.")
                            }
                            digest = try await copyStep(from: source, partStart: start, size: size, to: session, after: digest)
                            guard session.withState({ $0.closedAs }) == nil else { throw session.closedError() }
                            await checkpoint(digest, of: session)
                        }
                        start += size
                    }
                }
                // From the hand-over on these are the only bytes: on the disk, by name, and in the rows.
                try await flush(session, withName: true)
                if let error = await checkpoint(digest, of: session, clearing: true) { throw error }
                result = digest.byteCount == length ? .success(()) : .failure(Self.refused("A part changed meanwhile.", part: final))
            } catch {
                result = .failure(error)
            }
            session.finish(writer, keeping: digest)
            try result.get()
        }
    }

    private func copyStep(
        from source: StreamSession, partStart: Int64, size: Int64, to session: StreamSession, after digest: FileDigest
    ) async throws -> FileDigest {
        let position = digest.byteCount
        let count = min(size - (position - partStart), settings.checkpointBytes)
        return try await staging {
            try await io.run {
                let range = position - partStart..<position - partStart + count
                guard try session.file.copy(range, of: source.file, to: position) == count else { throw StorageError("copy_file_range", 5) }
            }
            let copied = try await RangeHasher.hash(session.file, range: position..<position + count, continuing: digest, io: io) { _, _ in
                session.withState { $0.closedAs } == nil
            }
            guard let copied else { throw session.closedError() }
            return copied
        }
    }

    /// In one transaction the parts end and what they reserved becomes the file's: nothing is counted twice.
    private func handOver(
        _ parts: [String], records: [String: UploadRecord], to record: UploadRecord, length: Int64
    ) async throws {
        let (final, account) = (record.taskId, record.accountId)
        let pool = try await pools.open(record.poolId).pool
        let (settings, now, surroundings, tasks) = (settings, surroundings.now(), surroundings, tasks)
        let updated = try await database.write { sql -> UploadRecord? in
            for part in records.values {
                let changed = try sql.execute(
                    "UPDATE upload_tasks SET status = 1, updated_at = $2, hash_state = NULL WHERE task_id = $1 AND status = 0",
                    [.text(part.taskId), .timestamp(now)])
                guard changed == 1 else { throw Self.refused("The part \(part.taskId) has ended meanwhile.", part: part.taskId) }
                let results: [String: JSONValue] = ["concatenatedInto": .string(final)]
                try sql.execute(
                    """
                    UPDATE tasks SET status = $2, progress = 100, results = $3, last_activity = $4, updated_at = $4, completed_at = $4
                    WHERE task_id = $1
                    """,
                    [.text(part.taskId), .text(TaskStatus.completed.rawValue), .encoded(results), .timestamp(now)])
                try QuotaLedger.settle(
                    QuotaLedger.Demand(charge: part.reservedBytes, bytes: part.plan.fileSize), charged: 0, files: 0, for: account, in: sql)
                try QuotaLedger.closeBytes(part.plan.fileSize, pool: part.poolId, sql: sql)
                try tasks?.clientTaskEnded(part.taskId, as: .completed, in: sql)
                try EventOutbox.append(
                    UploadEvents.concatenated(part.taskId, into: final, now: now), account: account, now: now, in: sql)
                try AuditTrail.append(
                    "upload.concatenate", on: "upload", id: part.taskId, by: .system(for: account),
                    details: ["into": .string(final)], surroundings: surroundings, in: sql)
            }
            return try Self.resize(record, to: length, isFinal: true, in: pool, settings: settings, sql: sql)
        }
        try await withStream(final, account: account) { session in
            session.withState { state in
                if let updated { state.record = updated }
                _ = state.ledger.declare(length)
            }
        }
        for part in parts { forget(part, account: account) }
    }

    private func removeParts(_ parts: [String], account: UUID) async {
        for part in Set(parts) {
            guard let record = try? await find(part, account: account), let store = try? await pools.open(record.poolId).store else {
                continue
            }
            await removeStaging(of: record, in: store)
        }
    }
}
