import DriveModel
import Foundation
import Testing

/// What tasks did to files, as the API tells it three times: among their items, in their results, and in the audit trail.
struct CrashTasksEffects: Sendable {
    private struct Record: Decodable, Sendable {
        var id: String
        var at: Timestamp
        var action: String
        var objectId: String?
        /// The task.
        var requestId: String?
        var details: [String: JSONValue]
    }

    private struct Effect: Hashable {
        var taskId: String
        var fileId: String
    }

    private(set) var failures: [String] = []
    private var tasks: [String: TaskSummary] = [:]
    /// Files a task's items say it changed.
    private var changed: Set<Effect> = []
    private var records: [String: [Record]] = [:]

    /// Things that were done.
    var count: Int { records.values.reduce(0) { $0 + $1.count } }

    static func read(of tasks: [TaskSummary], by admin: TestClient, _ user: TestClient) async throws -> CrashTasksEffects {
        var effects = CrashTasksEffects()
        effects.tasks = Dictionary(tasks.map { ($0.taskId, $0) }, uniquingKeysWith: { first, _ in first })
        for task in tasks where task.type == .fileMove || task.type == .bulkOperation {
            let items: [TaskItem] = try await user.get("/tasks/\(task.taskId)/items?limit=500").decode()
            effects.add(items, of: task)
        }
        for action in ["file.move", "file.update", "file.delete"] {
            let page: [Record] = try await admin.get("/admin/audit?action=\(action)&limit=1000").decode()
            if page.count == 1000 { effects.failures.append("too many rows of \(action) to count") }
            // Deletions by clients have the request's own id.
            for record in page where record.requestId.map({ effects.tasks[$0] != nil }) ?? false {
                effects.records[record.objectId ?? "", default: []].append(record)
            }
        }
        effects.compareMigrations()
        return effects
    }

    private mutating func add(_ items: [TaskItem], of task: TaskSummary) {
        let ids = (task.parameters["fileIds"] ?? task.parameters["targetIds"]).flatMap { value -> Int? in
            if case .array(let ids) = value { ids.count } else { nil }
        }
        if Set(items.map(\.itemId)).count != items.count { failures.append("an item is there twice: \(CrashTasksAudit.text(task))") }
        for item in items {
            if item.outcome == .failed { failures.append("\(CrashTasksAudit.text(task)): \(item)") }
            if item.outcome == .succeeded { changed.insert(Effect(taskId: task.taskId, fileId: item.itemId)) }
        }
        guard task.status == .completed else { return }
        let (succeeded, skipped) = (Int64(items.count { $0.outcome == .succeeded }), Int64(items.count { $0.outcome == .skipped }))
        let names = task.type == .fileMove ? ["movedFiles", "skippedFiles", "filesProcessed"] : ["succeeded", "skipped", "total"]
        let counted = names.map { task.results[$0]?.integer }
        if counted != [succeeded, skipped, ids.map(Int64.init)] || items.count != ids {
            failures.append("results and items disagree: \(CrashTasksAudit.text(task)): \(task.results), \(items.map(\.outcome.rawValue))")
        }
        if let copied = task.results["copiedBytes"]?.integer, let total = task.results["totalBytes"]?.integer, copied > total {
            failures.append("copied more than there is: \(CrashTasksAudit.text(task)): \(task.results)")
        }
    }

    /// What a migration moved has no items of its own.
    private mutating func compareMigrations() {
        let all = records.values.joined()
        for task in tasks.values where task.type == .storageMigration && task.status == .completed {
            let moved = all.count { $0.requestId == task.taskId }
            if task.results["movedFiles"]?.integer != Int64(moved) {
                failures.append("a migration moved \(moved) files: \(CrashTasksAudit.text(task)): \(task.results)")
            }
        }
    }

    // MARK: One file

    /// What is wrong with a file, after everything that was done to it.
    func problems(with stored: CrashTasksLedger.Stored, by owner: TestClient) async throws -> [String] {
        let (file, rows) = (stored.file, records[stored.file.id] ?? [])
        var wrong: [String] = []
        var done: [Effect: Int] = [:]
        for row in rows { done[Effect(taskId: row.requestId ?? "", fileId: file.id), default: 0] += 1 }
        for effect in changed where effect.fileId == file.id && done[effect] == nil {
            wrong.append("\(effect) is an item and was not done")
        }
        for (effect, count) in done where tasks[effect.taskId]?.type != .storageMigration {
            if count > 1 { wrong.append("\(effect) was done \(count) times") }
            if !changed.contains(effect) { wrong.append("\(effect) was done and is no item") }
        }
        wrong += try await state(of: stored, after: rows, by: owner)
        return wrong.map { "\(file.name) (\(file.id)): \($0)" }
    }

    private func state(of stored: CrashTasksLedger.Stored, after rows: [Record], by owner: TestClient) async throws -> [String] {
        let reply = try await owner.get("/files/\(stored.file.id)/info")
        if rows.contains(where: { $0.action == "file.delete" }) {
            return reply.status == 404 ? [] : ["it was deleted and is there: \(reply)"]
        }
        guard reply.status == 200 else { return ["it is lost: \(reply)"] }
        let file: CloudFile = try reply.decode()
        var wrong: [String] = []
        let operations = rows.compactMap { tasks[$0.requestId ?? ""]?.parameters["operationType"]?.string }
        let name = String(repeating: "r", count: operations.count { $0 == "rename" }) + stored.file.name
        if file.name != name { wrong.append("its name is \(file.name), not \(name)") }
        if (file.expiredAt != nil) != operations.contains("setExpiry") { wrong.append("its expiry after \(operations): \(file)") }
        if (file.bundleId != nil) != operations.contains("addToBundle") { wrong.append("its bundle after \(operations): \(file)") }
        wrong += pools(of: stored.file, file, rows.filter { $0.action == "file.move" })
        let content = try await owner.get("/files/\(file.id)")
        if content.status != 200 || content.body != stored.bytes || file.hash != sha256(stored.bytes) {
            wrong.append("its bytes differ: \(content.status), \(content.body.count) of \(stored.bytes.count)")
        }
        return wrong
    }

    /// From pool to pool without a gap: one copy counts at each time.
    private func pools(of old: CloudFile, _ new: CloudFile, _ moves: [Record]) -> [String] {
        var pool = old.poolId.uuidString.lowercased()
        for move in moves.sorted(by: { ($0.at, $0.id) < ($1.at, $1.id) }) {
            guard move.details["fromPoolId"]?.string == pool, let next = move.details["poolId"]?.string else {
                return ["it was moved out of where it was not: \(moves.map(\.details))"]
            }
            pool = next
        }
        return new.poolId.uuidString.lowercased() == pool ? [] : ["it is in \(new.poolId), its moves end in \(pool)"]
    }
}
