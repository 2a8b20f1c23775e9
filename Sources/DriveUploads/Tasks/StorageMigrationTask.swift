import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// `StorageMigration`: moves all files of a pool, of all accounts, to another pool while both are in use.
///
/// Parameters: `sourcePoolId`, `targetPoolId`; for administrators. Each blob is brought over once, then the files that point
/// to it, with what they cost their owners. The target's rules on types, sizes and roles are not applied, and no quota
/// refuses: the administrator decides. Files keep coming while it runs, so passes repeat until one finds none; what is there
/// after the last is told in `remainingFiles`. Damaged bytes stay where they are and are reported.
struct StorageMigrationTask: TaskHandler {
    let type = TaskType.storageMigration
    /// One at a time: two would compete for the same disks.
    let policy = TaskPolicy(maximumRunning: 1)

    private static let maximumPasses = 10
    /// Files of one blob that are moved in one transaction.
    private static let slice = 500
    private static let patience = 20

    private let tools: FileTaskTools

    init(_ tools: FileTaskTools) {
        self.tools = tools
    }

    private struct State: Codable {
        var pass = 1
        /// The last blob that was dealt with in this pass.
        var lastChecksum = ""
        /// Blobs this pass found.
        var found = 0
        var movedFiles: Int64 = 0
        var movedBlobs: Int64 = 0
        var failedFiles: Int64 = 0
        /// Rows among the items.
        var items = 0
        /// Bytes in the source when the task began, and of blobs dealt with.
        var totalBytes: Int64 = 0
        var doneBytes: Int64 = 0
        var copiedBytes: Int64 = 0
        var copy: BlobMover.Copy?

        mutating func finish(_ blob: BlobRow) {
            lastChecksum = blob.checksum
            found += 1
            doneBytes += blob.size
            copy = nil
        }

        func progress(_ bytes: Int64) -> Double {
            min(99.9, Double(doneBytes + bytes) / Double(max(1, totalBytes)) * 100)
        }
    }

    private struct Request {
        var source: UUID
        var target: UUID

        init(_ values: [String: JSONValue]) throws(DriveError) {
            let parameters = try TaskParameters(values, known: ["sourcePoolId", "targetPoolId"])
            source = try parameters.required("sourcePoolId")
            target = try parameters.required("targetPoolId")
            guard source != target else { throw TaskParameters.invalid("targetPoolId", "must be another pool than sourcePoolId") }
        }
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        guard caller.role == .admin else {
            throw DriveError(.forbidden, "Only administrators migrate pools.", details: ["rule": "role"])
        }
        let request = try Request(parameters)
        for (name, id) in [("sourcePoolId", request.source), ("targetPoolId", request.target)] {
            do {
                _ = try await tools.pools.open(id)
            } catch let error as DriveError where error.code == .notFound {
                throw DriveError(.notFound, error.message, details: ["rule": .string(name)])
            }
        }
        let size = try await bytes(in: request.source)
        return TaskPlan(name: "Migrate pool", parameters: parameters, poolId: request.target, size: size)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        let request = try Request(task.parameters)
        var state = try await begin(request, task)
        let blobs = BlobMover(tools)
        while true {
            let slice = try await nextBlobs(after: state, in: request.source)
            for blob in slice { try await migrate(blob, to: request.target, state: &state, with: blobs, for: task) }
            guard slice.isEmpty else { continue }
            if state.found == 0 || state.pass >= Self.maximumPasses { break }
            state.pass += 1
            state.lastChecksum = ""
            state.found = 0
            try await task.save(.encoding(state), message: "Pass \(state.pass)")
        }
        let (summary, remaining) = try await tools.database.read { [id = task.taskId] sql in
            (
                try ItemSummary.read(of: id, in: sql),
                try sql.first("SELECT COUNT(*) AS files FROM files WHERE pool_id = $1", [.uuid(request.source)])?.int64("files") ?? 0
            )
        }
        if state.movedFiles == 0 { try await summary.expectSuccess(of: task) }
        return [
            "movedFiles": .integer(state.movedFiles), "movedBlobs": .integer(state.movedBlobs), "failedFiles": .integer(state.failedFiles),
            "remainingFiles": .integer(remaining), "totalBytes": .integer(state.totalBytes), "copiedBytes": .integer(state.copiedBytes),
            "passes": .integer(Int64(state.pass)), "failures": summary.shownFailures,
        ]
    }

    /// Where the last attempt stood, or the beginning.
    private func begin(_ request: Request, _ task: any TaskContext) async throws -> State {
        if let kept = try task.kept(State.self) { return kept }
        var state = State()
        state.totalBytes = try await bytes(in: request.source)
        try await task.commit(checkpoint: .encoding(state), progress: nil, message: nil) { [id = task.taskId] sql in
            try ItemSummary.clear(of: id, in: sql)
        }
        return state
    }

    private func bytes(in pool: UUID) async throws -> Int64 {
        try await tools.database.read { sql in
            try sql.first(
                "SELECT COALESCE(SUM(file_size), 0) AS bytes FROM file_checksums WHERE pool_id = $1 AND reference_count > 0", [.uuid(pool)]
            )?.int64("bytes") ?? 0
        }
    }

    /// Blobs with files, in the order of their checksums. Those marked as damaged are tried in the first pass alone: the mark
    /// may be wrong, but they are reported once.
    private func nextBlobs(after state: State, in pool: UUID) async throws -> [BlobRow] {
        try await tools.database.read { sql in
            try sql.query(
                """
                SELECT * FROM file_checksums WHERE pool_id = $1 AND checksum > $2 AND reference_count > 0
                    \(state.pass > 1 ? "AND damaged_at IS NULL" : "")
                ORDER BY checksum LIMIT 100
                """, [.uuid(pool), .text(state.lastChecksum)]
            ).map(BlobRow.init)
        }
    }

    private func migrate(
        _ blob: BlobRow, to target: UUID, state: inout State, with blobs: BlobMover, for task: any TaskContext
    ) async throws {
        let target = try await tools.pools.open(target)
        let before = state
        let steps = BlobMover.Steps(
            resuming: before.copy,
            checkpoint: { copy in
                var state = before
                state.copy = copy
                return try .encoding(state)
            },
            report: { task.report(before.progress($0), message: "Pass \(before.pass): \(before.movedFiles) files moved") })
        do {
            try task.checkInterruption()
            let arrival = try await blobs.bring(blob, to: target, for: task, steps: steps)
            try await moveFiles(of: blob, to: target.pool, by: arrival, state: &state, for: task)
        } catch let failure as ItemFailure {
            try await report(failure, of: blob, state: &state, for: task)
        } catch is StaleLook {
            // It has gone, or has other bytes by now; the next pass sees it where it is still there.
            state.finish(blob)
            try await task.commit(checkpoint: .encoding(state), progress: nil, message: nil) { [id = task.taskId] sql in
                try BlobIntent.release(of: id, in: sql)
            }
        }
    }

    /// Moves the files that point to the blob, in slices of one transaction each; the checkpoint passes on to the next blob
    /// with the last of them.
    private func moveFiles(
        of blob: BlobRow, to pool: Pool, by arrival: BlobArrival, state: inout State, for task: any TaskContext
    ) async throws {
        var (arrival, staleLooks) = (arrival, 0)
        state.copiedBytes += arrival.copiedBytes(of: blob)
        while true {
            try task.checkInterruption()
            let ids = try await tools.database.read { sql in try Self.files(of: blob, in: sql).map(\.id) }
            var next = state
            next.movedFiles += Int64(ids.count)
            // A full slice may not be the last; files that come after a smaller one are the next pass's.
            let isLast = ids.count < Self.slice
            if isLast {
                next.movedBlobs += 1
                next.finish(blob)
            } else {
                next.copy = nil
            }
            do {
                try await commit(ids, of: blob, to: pool, by: arrival, state: next, for: task)
            } catch is StaleLook where !ids.isEmpty && staleLooks < Self.patience {
                staleLooks += 1
                continue
            }
            state = next
            if isLast { return }
            if case .copied(let path, _, _) = arrival {
                // Where somebody published the same bytes first, it is at his path.
                let present = try await tools.database.read { sql in try BlobRow.find(blob.checksum, pool: pool.id, in: sql) }
                arrival = .present(path: present?.path ?? path)
            }
        }
    }

    /// A file that points to a blob.
    private struct Pointer {
        var id: String
        var account: UUID
        var name: String
        /// Bytes it costs.
        var charge: Int64
    }

    /// The next slice of files that point to the blob.
    private static func files(of blob: BlobRow, holding: Bool = false, in sql: any SQLSession) throws -> [Pointer] {
        try sql.query(
            """
            SELECT id, account_id, name, charged_bytes FROM files WHERE hash = $1 AND pool_id = $2 ORDER BY id LIMIT $3\
            \(holding ? sql.dialect.forUpdate : "")
            """, [.text(blob.checksum), .uuid(blob.poolId), .int(slice)]
        ).map { row in
            Pointer(
                id: try row.text("id"), account: try row.uuid("account_id"), name: try row.text("name"),
                charge: try row.int64("charged_bytes"))
        }
    }

    private func commit(
        _ ids: [String], of blob: BlobRow, to pool: Pool, by arrival: BlobArrival, state: State, for task: any TaskContext
    ) async throws {
        let (caller, taskId, surroundings, now) = (task.caller, task.taskId, tools.surroundings, tools.surroundings.now())
        let (charge, owner, defaultQuota) = (pool.policy.charge(for: blob.size), task.accountId, tools.settings.defaultQuota)
        try await task.commit(checkpoint: .encoding(state), progress: state.progress(0), message: nil) { sql in
            let current = try Self.files(of: blob, holding: true, in: sql)
            // The counts in the checkpoint are those of this look.
            guard current.map(\.id) == ids else { throw StaleLook() }
            var events: [OutboxEvent] = []
            if !ids.isEmpty {
                try blob.moveReferences(ids.count, to: pool.id, by: arrival, task: taskId, now: now, in: sql)
                try sql.execute(
                    """
                    UPDATE files SET pool_id = $1, charged_bytes = $2, updated_at = $3 WHERE id IN \
                    (\(FileSelection.placeholders(ids.count, from: 4)))
                    """, [.uuid(pool.id), .integer(charge), .timestamp(now)] + ids.map { .text($0) })
                let byAccount = Dictionary(grouping: current, by: \.account).sorted { $0.key.uuidString < $1.key.uuidString }
                for (account, files) in byAccount {
                    let rise = files.reduce(0) { $0 + charge - $1.charge }
                    let usage = try QuotaLedger.recharge(by: rise, for: account, settings: nil, in: sql)
                    for file in files {
                        let event = FileEvents.moved(file.id, name: file.name, from: blob.poolId, to: pool.id, now: now)
                        events.append(try event.outboxEvent(of: account))
                    }
                    if let warning = FileEvents.quotaWarning(usage, rise: rise, default: defaultQuota, now: now) {
                        events.append(try warning.outboxEvent(of: account))
                    }
                }
                let details: [String: JSONValue] = [
                    "fromPoolId": .string(blob.poolId.lowercaseString), "poolId": .string(pool.id.lowercaseString),
                ]
                for id in ids {
                    try AuditTrail.append(
                        "file.move", on: "file", id: id, by: caller, details: details, surroundings: surroundings, in: sql)
                }
            }
            try BlobIntent.release(of: taskId, in: sql)
            // The task's own progress may follow in this transaction.
            try EventOutbox.append(events, before: owner, now: now, in: sql)
        }
    }

    /// Writes the files of a blob that cannot be moved among the items; of a blob with very many the first ones.
    private func report(_ failure: ItemFailure, of blob: BlobRow, state: inout State, for task: any TaskContext) async throws {
        let (caller, taskId, surroundings) = (task.caller, task.taskId, tools.surroundings)
        let (ids, count) = try await tools.database.read { sql in
            (
                try Self.files(of: blob, in: sql).map(\.id),
                try sql.first(
                    "SELECT reference_count FROM file_checksums WHERE checksum = $1 AND pool_id = $2",
                    [.text(blob.checksum), .uuid(blob.poolId)])?.int64("reference_count") ?? 0
            )
        }
        var next = state
        next.finish(blob)
        next.failedFiles += count
        next.items += ids.count
        let position = state.items
        try await task.commit(checkpoint: .encoding(next), progress: next.progress(0), message: nil) { sql in
            try failure.damaged?.recordDamage(file: ids.first, by: caller, surroundings: surroundings, in: sql)
            try BlobIntent.release(of: taskId, in: sql)
            try TaskItems.append(ids.map(failure.item), startingAt: position, task: taskId, in: sql)
        }
        state = next
    }
}
