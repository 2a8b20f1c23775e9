import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import EngineTestSupport
import Foundation
import Logging
import Synchronization
import Testing

@testable import DriveUploads

/// A task with a row of its own, whose attempts a test starts, stops and fences.
struct TaskBench: Sendable {
    let database: any Database
    let taskId: String
    let owner: Caller
    let parameters: [String: JSONValue]
    let now: Timestamp

    init(_ site: Site, _ parameters: [String: JSONValue], by owner: Caller) async throws {
        database = site.database
        taskId = "task" + UUID().uuidString.replacing("-", with: "").prefix(18)
        self.owner = owner
        self.parameters = parameters
        now = site.clock.now
        try await database.change(
            """
            INSERT INTO tasks (id, task_id, name, type, status, account_id, parameters, results, last_activity, created_at, updated_at)
            VALUES ($1, $2, 'test', 'FileMove', 'InProgress', $3, $4, '{}', $5, $5, $5)
            """, [.uuid(UUID()), .text(taskId), .uuid(owner.accountId), .encoded(parameters), .timestamp(now)])
    }

    /// The next attempt, which fences those before it.
    func attempt(
        interruptAt check: Int = .max, beforeCommit: @escaping @Sendable (Int) async throws -> Void = { _ in }
    ) async throws -> TestAttempt {
        let (token, checkpoint) = try await database.write { [taskId] sql in
            let row = try sql.first(
                "UPDATE tasks SET fencing_token = fencing_token + 1 WHERE task_id = $1 RETURNING fencing_token, checkpoint",
                [.text(taskId)])
            return (
                try row?.int64("fencing_token") ?? 0,
                try row?.optionalText("checkpoint").map { try DriveJSON.value(JSONValue.self, from: $0) }
            )
        }
        return TestAttempt(bench: self, fencingToken: token, checkpoint: checkpoint, interruptAt: check, beforeCommit: beforeCommit)
    }

    /// Runs one attempt to its end.
    @discardableResult
    func run(_ handler: any TaskHandler) async throws -> [String: JSONValue] {
        try await handler.run(try await attempt())
    }

    func end(_ status: TaskStatus) async throws {
        try await database.change("UPDATE tasks SET status = $2 WHERE task_id = $1", [.text(taskId), .text(status.rawValue)])
    }

    /// `outcome` or `outcome CODE` of each item, in their order.
    func outcomes() async throws -> [String] {
        try await database.read { [taskId] sql in
            try sql.query("SELECT outcome, code FROM task_items WHERE task_id = $1 ORDER BY position", [.text(taskId)]).map { row in
                try row.text("outcome") + (try row.optionalText("code").map { " " + $0 } ?? "")
            }
        }
    }
}

/// A context as a worker's, over the task's row: a commit holds only while the attempt has the newest token.
final class TestAttempt: TaskContext {
    let bench: TaskBench
    let fencingToken: Int64
    let checkpoint: JSONValue?
    let attempt = 1
    let progress = 0.0
    let logger = Engine.logger
    private let checks: Mutex<Int>
    private let commits = Mutex(0)
    private let reported = Mutex<[Double]>([])
    private let beforeCommit: @Sendable (Int) async throws -> Void

    init(
        bench: TaskBench, fencingToken: Int64, checkpoint: JSONValue?, interruptAt check: Int,
        beforeCommit: @escaping @Sendable (Int) async throws -> Void
    ) {
        self.bench = bench
        self.fencingToken = fencingToken
        self.checkpoint = checkpoint
        checks = Mutex(check)
        self.beforeCommit = beforeCommit
    }

    var taskId: String { bench.taskId }
    var accountId: UUID { bench.owner.accountId }
    var parameters: [String: JSONValue] { bench.parameters }
    /// What was reported, in its order.
    var reports: [Double] { reported.withLock { $0 } }
    var commitCount: Int { commits.withLock { $0 } }

    func checkInterruption() throws(TaskInterruption) {
        let isOver = checks.withLock { checks in
            checks -= 1
            return checks < 0
        }
        if isOver { throw .stopped }
    }

    func report(_ progress: Double, message: String?) {
        reported.withLock { $0.append(progress) }
    }

    func commit<Result: Sendable>(
        checkpoint: JSONValue?, progress: Double?, message: String?, _ change: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        let number = commits.withLock { commits in
            commits += 1
            return commits
        }
        try await beforeCommit(number)
        if let progress { report(progress, message: message) }
        let (id, token) = (taskId, fencingToken)
        let kept: SQLValue = try checkpoint.map { try .encoded($0) } ?? .null
        return try await bench.database.write { sql in
            let changed = try sql.execute(
                "UPDATE tasks SET checkpoint = COALESCE($3, checkpoint) WHERE task_id = $1 AND fencing_token = $2 AND status = 'InProgress'",
                [.text(id), .integer(token), kept])
            guard changed == 1 else { throw TaskInterruption.fenced }
            return try change(sql)
        }
    }
}

/// Two pools and the files that are moved between them.
struct MoveScene: Sendable {
    static let step: Int64 = 65_536
    /// Several steps and a rest.
    static let content = Content(5 * 65_536 + 9)

    let site: Site
    let drive: Instance
    let target: Pool
    let owner = Caller.someone()

    init(
        _ site: Site, faults: String = "", policy: PoolPolicy = PoolPolicy(), _ change: (inout UploadSettings) -> Void = { _ in }
    ) async throws {
        self.site = site
        drive = try await site.start(faults: faults, change)
        target = try await drive.pools.create(name: "target", path: nil, policy: policy)
    }

    /// Steps that a small file has several of.
    var tools: FileTaskTools {
        var tools = FileTaskTools(uploads: drive.uploads)
        tools.copyStep = Self.step
        tools.keepEvery = 2 * Self.step
        return tools
    }

    var fileMove: FileMoveTask { FileMoveTask(tools) }
    var migration: StorageMigrationTask { StorageMigrationTask(tools) }
    var bulk: BulkOperationTask { BulkOperationTask(tools) }

    func upload(_ content: Content = Self.content, by owner: Caller? = nil, pool: UUID? = nil) async throws -> CloudFile {
        let upload = try await content.create(on: drive, by: owner ?? self.owner, pool: pool)
        try await drive.sendAll(upload)
        return try await drive.complete(upload)
    }

    func moving(_ files: [CloudFile], more: [String: JSONValue] = [:]) async throws -> TaskBench {
        var parameters: [String: JSONValue] = [
            "fileIds": .array(files.map { .string($0.id) }), "targetPoolId": .string(target.id.uuidString),
        ]
        parameters.merge(more) { $1 }
        _ = try await fileMove.plan(parameters, by: owner)
        return try await TaskBench(site, parameters, by: owner)
    }

    func blobs(in pool: UUID?) async throws -> Int { try await drive.pools.open(pool).store.list().count }
    func intents() async throws -> Int64 { try await site.database.number("SELECT COUNT(*) AS value FROM blob_intents") }
    func used(by owner: Caller? = nil) async throws -> Int64 {
        try await drive.files.quota(account: (owner ?? self.owner).accountId, default: nil).usedBytes
    }

    /// The file is where it should be, whole, and everything else adds up.
    func expectSound(
        _ file: CloudFile, in pool: UUID?, content: Content = Self.content, owner: Caller? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let owner = owner ?? self.owner
        let current = try await drive.files.file(file.id, account: owner.accountId)
        if let pool { #expect(current.poolId == pool, sourceLocation: sourceLocation) }
        #expect(try await drive.bytes(of: current, owner: owner) == content.bytes, sourceLocation: sourceLocation)
        #expect(try await drive.findings() == [], sourceLocation: sourceLocation)
    }

    /// Ends the task, lets every grace period pass and sweeps: nothing is left over.
    func expectTidy(after bench: TaskBench, blobs: [Int], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await bench.end(.completed)
        site.clock.advance(by: .seconds(7200))
        _ = await drive.housekeeping.sweep()
        #expect(
            [try await self.blobs(in: nil), try await self.blobs(in: target.id)] == blobs, "blobs of both pools",
            sourceLocation: sourceLocation)
        #expect(try await intents() == 0, sourceLocation: sourceLocation)
        #expect(try await drive.findings() == [], sourceLocation: sourceLocation)
    }

    /// The same file many times over, each with its reference and charge.
    func multiply(_ file: CloudFile, to count: Int) async throws {
        try await site.database.write { sql in
            for index in 1..<count {
                try sql.execute(
                    """
                    INSERT INTO files (id, account_id, name, name_folded, size, content_type, hash, pool_id, charged_bytes, user_meta,
                        created_at, updated_at)
                    SELECT $1, account_id, name, name_folded, size, content_type, hash, pool_id, charged_bytes, user_meta, created_at,
                        updated_at FROM files WHERE id = $2
                    """, [.text("copy\(index)"), .text(file.id)])
            }
            try sql.execute("UPDATE file_checksums SET reference_count = $1", [.int(count)])
            try sql.execute("UPDATE account_usage SET file_count = $1, used_bytes = $2", [.int(count), .integer(Int64(count) * file.size)])
        }
    }
}
