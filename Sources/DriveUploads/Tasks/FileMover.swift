import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Foundation

/// Moves single files of a task's account to another pool or bundle: the bytes first, then everything in one transaction,
/// so that a kill at any point leaves exactly one authoritative copy.
struct FileMover: Sendable {
    /// Where files are to be. What is nil stays as it is.
    struct Aim: Sendable {
        var poolId: UUID?
        /// `.some(nil)` takes them out of their bundle.
        var bundleId: UUID??
    }

    /// What was done with a file.
    struct Done: Sendable {
        /// Bytes of the file.
        var size: Int64
        /// Bytes that were copied for it.
        var copied: Int64
    }

    /// A file as one of a task's items.
    struct Step: Sendable {
        /// Its place among the items, from 0.
        var position: Int
        var resuming: BlobMover.Copy?
        /// The checkpoint while this copy is made for the file.
        var copying: @Sendable (BlobMover.Copy?) throws -> JSONValue
        /// The checkpoint once the file is done.
        var done: @Sendable (Done) throws -> JSONValue
        /// 0 to 100, where so many bytes of the file are done.
        var progress: @Sendable (Int64) -> Double
    }

    /// How often a file that changes while it is looked at is looked at again.
    private static let patience = 20

    let tools: FileTaskTools
    let blobs: BlobMover

    init(_ tools: FileTaskTools) {
        self.tools = tools
        blobs = BlobMover(tools)
    }

    /// Moves a file, or writes why it cannot be moved, with its item and the task's checkpoint. Throws what concerns the task
    /// and not the file alone: interruptions, storage that is full, a database that does not answer.
    func move(_ id: String, to aim: Aim, step: Step, for task: any TaskContext) async throws -> Done {
        let target = try await openTarget(aim)
        for _ in 0..<Self.patience {
            try task.checkInterruption()
            do {
                let (file, blob) = try await look(id, task: task)
                guard !Self.isThere(file, aim) else {
                    return try await finish(TaskItem(itemId: id, outcome: .skipped), Done(size: file.size, copied: 0), step, for: task)
                }
                guard let target, file.poolId != target.pool.id else {
                    return try await publish(file, from: nil, to: nil, aim: aim, step: step, for: task)
                }
                try await expectFit(file, in: target.pool, task: task)
                guard let blob else { throw ItemFailure(Self.blobless(file)) }
                let steps = BlobMover.Steps(resuming: step.resuming, checkpoint: step.copying) { bytes in
                    task.report(step.progress(bytes), message: "Moving \(file.name)")
                }
                let arrival = try await blobs.bring(blob, to: target, for: task, steps: steps)
                return try await publish(file, from: blob, to: (target.pool, arrival), aim: aim, step: step, for: task)
            } catch let failure as ItemFailure {
                return try await finish(failure.item(id), Done(size: 0, copied: 0), step, damaged: failure.damaged, for: task)
            } catch is StaleLook {
                continue
            }
        }
        throw TaskFailure(
            code: DriveError.Code.conflict.name, message: "A file changes again and again while it is moved.", isRetryable: true)
    }

    /// Opens the pool it is to be in; throws `NOT_FOUND` where it is gone.
    private func openTarget(_ aim: Aim) async throws -> PoolDirectory.Opened? {
        guard let poolId = aim.poolId else { return nil }
        return try await tools.pools.open(poolId)
    }

    private func look(_ id: String, task: any TaskContext) async throws -> (CloudFile, BlobRow?) {
        let (account, now) = (task.accountId, tools.surroundings.now())
        let found = try await tools.database.read { sql -> (CloudFile, BlobRow?)? in
            guard let file = try FileRow.find(id, account: account, in: sql), file.expiredAt.map({ $0 > now }) ?? true else { return nil }
            return (file, try BlobRow.find(file.hash, pool: file.poolId, in: sql))
        }
        guard let found else { throw ItemFailure(FileService.notFound(id)) }
        return found
    }

    static func isThere(_ file: CloudFile, _ aim: Aim) -> Bool {
        (aim.poolId.map { $0 == file.poolId } ?? true) && (aim.bundleId.map { $0 == file.bundleId } ?? true)
    }

    private static func blobless(_ file: CloudFile) -> DriveError {
        DriveError(.blobDamaged, "The file has no stored bytes.", details: ["fileId": .string(file.id)])
    }

    /// Before bytes are copied; the quota decides once more in the transaction.
    private func expectFit(_ file: CloudFile, in pool: Pool, task: any TaskContext) async throws {
        if let refusal = Self.refusal(of: file, in: pool) { throw ItemFailure(refusal) }
        let (account, settings, charge) = (task.accountId, tools.settings, pool.policy.charge(for: file.size))
        let refusal = try await tools.database.read { sql -> DriveError? in
            let row = try sql.first("SELECT charged_bytes FROM files WHERE id = $1", [.text(file.id)])
            let more = charge - (try row?.int64("charged_bytes") ?? charge)
            return try QuotaLedger.refusalOfGrowth(by: more, for: account, settings: settings, isLook: true, in: sql)
        }
        if let refusal { throw ItemFailure(refusal) }
    }

    /// The rule of a pool that refuses a file; who may use the pool was asked when the task was made.
    static func refusal(of file: CloudFile, in pool: Pool) -> DriveError? {
        pool.policy.refusal(
            contentType: file.contentType, size: file.size, role: AccountRole.admin.rawValue, poolName: pool.name)
    }

    /// The one transaction: references, file, charge, audit, item, checkpoint.
    private func publish(
        _ file: CloudFile, from blob: BlobRow?, to arrived: (pool: Pool, arrival: BlobArrival)?, aim: Aim, step: Step,
        for task: any TaskContext
    ) async throws -> Done {
        let done = Done(size: file.size, copied: blob.flatMap { arrived?.arrival.copiedBytes(of: $0) } ?? 0)
        let (surroundings, settings) = (tools.surroundings, tools.settings)
        let (caller, taskId, now) = (task.caller, task.taskId, tools.surroundings.now())
        let (pool, arrival) = (arrived?.pool, arrived?.arrival)
        try await task.commit(checkpoint: step.done(done), progress: step.progress(file.size), message: nil) { sql in
            let row = try sql.first(
                "SELECT * FROM files WHERE id = $1 AND account_id = $2\(sql.dialect.forUpdate)", [.text(file.id), .uuid(caller.accountId)])
            guard let row else { throw StaleLook() }
            let before = try FileRow.cloudFile(row)
            var current = before
            guard current.hash == file.hash, current.poolId == file.poolId else { throw StaleLook() }
            let bundleId = try Self.bundle(aim, of: current, account: caller.accountId, now: now, in: sql)
            let charged = try row.int64("charged_bytes")
            var charge = charged
            if let blob, let pool, let arrival {
                charge = pool.policy.charge(for: file.size)
                try blob.moveReferences(1, to: pool.id, by: arrival, task: taskId, now: now, in: sql)
                try BlobIntent.release(of: taskId, in: sql)
                current.poolId = pool.id
            }
            try sql.execute(
                "UPDATE files SET pool_id = $2, bundle_id = $3, charged_bytes = $4, updated_at = $5 WHERE id = $1",
                [.text(file.id), .uuid(current.poolId), .uuid(bundleId), .integer(charge), .timestamp(now)])
            (current.bundleId, current.updatedAt) = (bundleId, now)
            let usage: QuotaLedger.Usage?
            do {
                usage = try QuotaLedger.recharge(by: charge - charged, for: caller.accountId, settings: settings, in: sql)
            } catch let error as DriveError {
                throw ItemFailure(error)
            }
            try AuditTrail.append(
                "file.move", on: "file", id: file.id, by: caller, details: Self.details(from: file, to: current.poolId, bundle: bundleId),
                surroundings: surroundings, in: sql)
            try TaskItems.append([TaskItem(itemId: file.id, outcome: .succeeded)], startingAt: step.position, task: taskId, in: sql)
            let events = [
                Self.moved(from: before, to: current, now: now), FileEvents.updated(from: before, to: current),
                FileEvents.quotaWarning(usage, rise: charge - charged, default: settings.defaultQuota, now: now),
            ].compactMap { $0 }
            try EventOutbox.append(events, account: caller.accountId, now: now, in: sql)
        }
        return done
    }

    private static func moved(from old: CloudFile, to new: CloudFile, now: Timestamp) -> DriveEvent? {
        guard old.poolId != new.poolId else { return nil }
        return FileEvents.moved(new.id, name: new.name, from: old.poolId, to: new.poolId, now: now)
    }

    /// The bundle a file is to be in; one that is gone fails the file.
    private static func bundle(_ aim: Aim, of file: CloudFile, account: UUID, now: Timestamp, in sql: any SQLSession) throws -> UUID? {
        guard let wanted = aim.bundleId else { return file.bundleId }
        guard let wanted else { return nil }
        guard try FileRow.holdBundle(wanted, account: account, now: now, in: sql) else { throw ItemFailure(FileRow.noBundle) }
        return wanted
    }

    private static func details(from file: CloudFile, to pool: UUID, bundle: UUID?) -> [String: JSONValue] {
        var details: [String: JSONValue] = [
            "fromPoolId": .string(file.poolId.lowercaseString), "poolId": .string(pool.lowercaseString),
        ]
        if let bundle { details["bundleId"] = .string(bundle.lowercaseString) }
        return details
    }

    /// Writes what became of a file that was not moved.
    private func finish(
        _ item: TaskItem, _ done: Done, _ step: Step, damaged: BlobRow? = nil, for task: any TaskContext
    ) async throws -> Done {
        let (surroundings, caller, taskId) = (tools.surroundings, task.caller, task.taskId)
        try await task.commit(checkpoint: step.done(done), progress: step.progress(done.size), message: nil) { sql in
            try damaged?.recordDamage(file: item.itemId, by: caller, surroundings: surroundings, in: sql)
            try BlobIntent.release(of: taskId, in: sql)
            try TaskItems.append([item], startingAt: step.position, task: taskId, in: sql)
        }
        return done
    }
}

extension FileRow {
    static let noBundle = DriveError(.notFound, "There is no bundle with this id.", details: ["rule": "targetBundleId"])

    /// Whether the account has this bundle, which then stays until the transaction's end.
    static func holdBundle(_ id: UUID, account: UUID, now: Timestamp, in sql: any SQLSession) throws -> Bool {
        try sql.first(
            "SELECT id FROM bundles WHERE id = $1 AND account_id = $2 AND (expired_at IS NULL OR expired_at > $3)\(sql.dialect.forUpdate)",
            [.uuid(id), .uuid(account), .timestamp(now)]) != nil
    }
}
