import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// `BulkOperation`: deletes, moves, renames files, sets their expiry, adds them to a bundle or takes them out of theirs.
///
/// Parameters: `operationType`, `targetIds` and/or filters among the `operationParameters`; where there are both, a file must
/// be named and match. Files that came after the task began are not touched, so that it ends. Each slice of files is changed
/// with its items and the checkpoint in one transaction; files that move do so one by one. A dry run changes nothing and
/// says of each file what would happen; it does not foresee the quota.
struct BulkOperationTask: TaskHandler {
    let type = TaskType.bulkOperation

    private static let slice = 100

    private let tools: FileTaskTools

    init(_ tools: FileTaskTools) {
        self.tools = tools
    }

    private struct State: Codable {
        var start: Timestamp
        /// Files there were when the task began.
        var total: Int64
        /// Items done.
        var next = 0
        /// The last file of those done, where files are found by a filter.
        var last: Key?
        var copiedBytes: Int64 = 0
        var copy: BlobMover.Copy?

        func copying(_ copy: BlobMover.Copy?) -> State {
            var state = self
            state.copy = copy
            return state
        }

        func after(_ keys: [Key], copied: Int64 = 0) -> State {
            var state = self
            state.next += keys.count
            state.last = keys.last
            state.copiedBytes += copied
            state.copy = nil
            return state
        }

        /// 0 to 100, `share` of the item at hand being done.
        func progress(_ share: Double = 0) -> Double {
            min(100, (Double(next) + share) / Double(max(1, total)) * 100)
        }
    }

    /// A file and its place in the order of a selection.
    private struct Key: Codable {
        var id: String
        var createdAt: Timestamp?
        var size: Int64?
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        let request = try BulkRequest(parameters)
        try await tools.expectTarget(request.aim, of: caller)
        let now = tools.surroundings.now()
        if case .setExpiry(let time) = request.operation { try UploadService.checkExpiry(time, now: now) }
        let count = try await count(request, account: caller.accountId, start: now)
        let name = request.isDryRun ? "Dry run: \(request.name)" : "Bulk \(request.name)"
        return TaskPlan(name: name, parameters: parameters, poolId: request.aim.poolId, size: count)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        let request = try BulkRequest(task.parameters)
        var state = try await begin(request, task)
        let mover = FileMover(tools)
        while true {
            try task.checkInterruption()
            let keys = try await nextKeys(request, after: state, account: task.accountId)
            if keys.isEmpty { break }
            if case .move = request.operation, !request.isDryRun {
                state = try await move(keys, request, from: state, with: mover, for: task)
            } else {
                state = try await change(keys, request, from: state, for: task)
            }
        }
        let summary = try await tools.database.read { [id = task.taskId] sql in try ItemSummary.read(of: id, in: sql) }
        if !request.isDryRun { try await summary.expectSuccess(of: task) }
        var results: [String: JSONValue] = [
            "total": .integer(Int64(summary.total)), "succeeded": .integer(Int64(summary[.succeeded])),
            "failed": .integer(Int64(summary[.failed])), "skipped": .integer(Int64(summary[.skipped])),
            "planned": .integer(Int64(summary[.planned])), "failures": summary.shownFailures, "dryRun": .bool(request.isDryRun),
        ]
        if case .move = request.operation { results["copiedBytes"] = .integer(state.copiedBytes) }
        return results
    }

    /// Where the last attempt stood, or the beginning.
    private func begin(_ request: BulkRequest, _ task: any TaskContext) async throws -> State {
        if let kept = try task.kept(State.self) { return kept }
        let start = tools.surroundings.now()
        let state = State(start: start, total: try await count(request, account: task.accountId, start: start))
        try await task.commit(checkpoint: .encoding(state), progress: nil, message: nil) { [id = task.taskId] sql in
            try ItemSummary.clear(of: id, in: sql)
        }
        return state
    }

    // MARK: Selection

    /// What a file must be to be touched at all, and what the filters say.
    private static let eligible = "account_id = $1 AND (expired_at IS NULL OR expired_at > $2)"

    private func count(_ request: BulkRequest, account: UUID, start: Timestamp) async throws -> Int64 {
        if let ids = request.ids { return Int64(ids.count) }
        var arguments: [SQLValue] = [.uuid(account), .timestamp(start)]
        let condition = request.selection.condition(start: start, arguments: &arguments)
        return try await tools.database.read { [arguments] sql in
            try sql.first("SELECT COUNT(*) AS files FROM files WHERE \(Self.eligible) AND \(condition)", arguments)?.int64("files") ?? 0
        }
    }

    private func nextKeys(_ request: BulkRequest, after state: State, account: UUID) async throws -> [Key] {
        if let ids = request.ids { return ids.dropFirst(state.next).prefix(Self.slice).map { Key(id: $0) } }
        var arguments: [SQLValue] = [.uuid(account), .timestamp(tools.surroundings.now()), .timestamp(state.start)]
        var place = "created_at <= $3"
        if let last = state.last {
            arguments += [.timestamp(last.createdAt ?? state.start), .text(last.id)]
            place += " AND created_at >= $4 AND (created_at > $4 OR id > $5)"
        }
        let condition = request.selection.condition(start: state.start, arguments: &arguments)
        return try await tools.database.read { [arguments, place] sql in
            try sql.query(
                """
                SELECT id, created_at, size FROM files WHERE \(Self.eligible) AND \(place) AND \(condition)
                ORDER BY created_at, id LIMIT \(Self.slice)
                """, arguments
            ).map { Key(id: try $0.text("id"), createdAt: try $0.timestamp("created_at"), size: try $0.int64("size")) }
        }
    }

    /// The rows of a slice, held, with whether the filters hold for them. What is missing was deleted, or never was there.
    private static func hold(
        _ keys: [Key], _ selection: FileSelection, account: UUID, now: Timestamp, start: Timestamp, in sql: any SQLSession
    ) throws -> [String: (row: SQLRow, isSelected: Bool)] {
        var arguments: [SQLValue] = [.uuid(account), .timestamp(now)] + keys.map { .text($0.id) }
        let condition = selection.condition(start: start, arguments: &arguments)
        let rows = try sql.query(
            """
            SELECT files.*, CASE WHEN \(condition) THEN 1 ELSE 0 END AS is_selected FROM files
            WHERE \(eligible) AND id IN (\(FileSelection.placeholders(keys.count, from: 3))) ORDER BY id\(sql.dialect.forUpdate)
            """, arguments)
        var held: [String: (row: SQLRow, isSelected: Bool)] = [:]
        for row in rows { held[try row.text("id")] = (row, try row.int64("is_selected") == 1) }
        return held
    }

    private static func notSelected(_ id: String) -> TaskItem {
        TaskItem(itemId: id, outcome: .skipped, code: "NOT_SELECTED", message: "The filters do not hold for it.")
    }

    // MARK: Change

    private func change(_ keys: [Key], _ request: BulkRequest, from state: State, for task: any TaskContext) async throws -> State {
        let now = tools.surroundings.now()
        var target: Pool?
        if case .move(let pool, _) = request.operation { target = try await tools.pools.open(pool).pool }
        let change = BulkChange(
            operation: request.operation, isDryRun: request.isDryRun, caller: task.caller, surroundings: tools.surroundings, now: now,
            start: state.start, target: target)
        let next = state.after(keys)
        let (account, taskId) = (task.accountId, task.taskId)
        try await task.commit(checkpoint: .encoding(next), progress: next.progress(), message: nil) { sql in
            let held = try Self.hold(keys, request.selection, account: account, now: now, start: state.start, in: sql)
            var events: [DriveEvent] = []
            let items = try keys.enumerated().map { index, key in
                guard let (row, isSelected) = held[key.id] else { return ItemFailure(FileService.notFound(key.id)).item(key.id) }
                guard isSelected else { return Self.notSelected(key.id) }
                return try change.apply(to: row, at: state.next + index, events: &events, in: sql)
            }
            try TaskItems.append(items, startingAt: state.next, task: taskId, in: sql)
            try EventOutbox.append(events, account: account, now: now, in: sql)
        }
        return next
    }

    private func move(
        _ keys: [Key], _ request: BulkRequest, from state: State, with mover: FileMover, for task: any TaskContext
    ) async throws -> State {
        var state = state
        for key in keys {
            let before = state
            if try await isOutside(key, request, start: before.start, account: task.accountId) {
                state = before.after([key])
                let taskId = task.taskId
                try await task.commit(checkpoint: .encoding(state), progress: state.progress(), message: nil) { sql in
                    try BlobIntent.release(of: taskId, in: sql)
                    try TaskItems.append([Self.notSelected(key.id)], startingAt: before.next, task: taskId, in: sql)
                }
                continue
            }
            let step = FileMover.Step(
                position: before.next, resuming: before.copy,
                copying: { try .encoding(before.copying($0)) },
                done: { try .encoding(before.after([key], copied: $0.copied)) },
                progress: { bytes in before.progress(key.size.map { Double(bytes) / Double(max(1, $0)) } ?? 0) })
            let done = try await mover.move(key.id, to: request.aim, step: step, for: task)
            state = before.after([key], copied: done.copied)
        }
        return state
    }

    /// Whether a file is there and the filters do not hold for it; one that is missing is the mover's to tell.
    private func isOutside(_ key: Key, _ request: BulkRequest, start: Timestamp, account: UUID) async throws -> Bool {
        guard !request.selection.isEmpty else { return false }
        var arguments: [SQLValue] = [.text(key.id), .uuid(account)]
        let condition = request.selection.condition(start: start, arguments: &arguments)
        return try await tools.database.read { [arguments] sql in
            let row = try sql.first(
                "SELECT CASE WHEN \(condition) THEN 1 ELSE 0 END AS is_selected FROM files WHERE id = $1 AND account_id = $2", arguments)
            return try row?.int64("is_selected") == 0
        }
    }
}
