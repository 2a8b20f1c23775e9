import DriveDatabase
import DriveEvents
import DriveModel
import EngineTestSupport
import Foundation
import TestSupport
import Testing

@testable import DriveTasks

/// A database that servers are started over, and the truth that is checked at the end of every test.
struct TaskSite: Sendable {
    let kind: Engine
    let database: UnreliableDatabase
    let clock: ManualClock
    /// The server most tests need.
    let engine: TaskEngine
    var service: TaskService { TaskService(engine: engine) }

    static func with(
        _ kind: Engine, _ change: (inout TaskSettings) -> Void = { _ in }, _ body: (TaskSite) async throws -> Void
    ) async throws {
        var settings = TaskSettings()
        settings.limits = TurnPlanner.Limits()
        settings.pollInterval = .milliseconds(200)
        change(&settings)
        let chosen = settings
        try await Slots.sites.with {
            let folder = FileManager.default.temporaryDirectory.appending(path: "drive-tasks-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try await kind.with(folder.path()) { base in
                let clock = ManualClock()
                let database = UnreliableDatabase(base)
                let engine = TaskEngine(database: database, settings: chosen, surroundings: clock.surroundings, logger: Engine.logger)
                engine.register([QuickHandler()])
                let site = TaskSite(kind: kind, database: database, clock: clock, engine: engine)
                try await body(site)
                #expect(try await site.findings() == [])
            }
        }
    }

    /// Another server over the same database; over SQLite, which one process owns, the same one.
    func secondEngine(_ handlers: [any TaskHandler]) -> TaskEngine {
        guard kind == .postgresql else { return engine }
        let second = TaskEngine(database: database, settings: engine.settings, surroundings: clock.surroundings, logger: Engine.logger)
        second.register([QuickHandler()] + handlers)
        return second
    }

    // MARK: Workers

    /// A worker that runs while `body` does, and is stopped in an orderly way after it.
    func withWorker(
        _ engine: TaskEngine? = nil, queues: [String] = [TaskQueues.drive], name: String = "one",
        _ body: (RunningWorker) async throws -> Void
    ) async throws {
        let running = RunningWorker(TaskWorker(engine: engine ?? self.engine, queues: queues, name: name))
        let result: Result<Void, any Error>
        do {
            try await body(running)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await running.stop()
        try result.get()
    }

    /// Makes workers look, after the clock was moved.
    func wake() async throws {
        try await database.write { sql in
            sql.notify(TaskEngine.workChannel, TaskQueues.drive)
            sql.notify(TaskEngine.scheduleChannel, "")
        }
    }

    // MARK: Tasks

    @discardableResult
    func enqueue(
        _ account: UUID = .someone, kind: String? = "work", _ type: TaskType = .custom, priority: Int = 0,
        with change: @Sendable (inout NewTask) -> Void = { _ in }
    ) async throws -> String {
        var task = try NewTask(
            type: type, kind: type == .custom ? kind : nil, name: "task", accountId: account, priority: priority)
        change(&task)
        let (new, engine) = (task, engine)
        return try await database.write { sql in try engine.enqueue(new, in: sql).taskId }
    }

    func claim(
        _ count: Int, worker: String = "w", queue: String = TaskQueues.drive, account: UUID? = nil, by engine: TaskEngine? = nil
    ) async throws -> [ClaimedTask] {
        let engine = engine ?? self.engine
        return try await database.write { sql in try engine.claim(count, queue: queue, worker: worker, account: account, in: sql) }
    }

    /// Writes how attempts ended; returns those whose lease was lost.
    @discardableResult
    func end(_ tasks: [ClaimedTask], _ end: AttemptEnd = .completed(results: "{}")) async throws -> Set<String> {
        let (engine, ended) = (engine, tasks.map { EndedAttempt(taskId: $0.taskId, fencingToken: $0.fencingToken, end: end) })
        return try await database.write { sql in try engine.finish(ended, worker: "w", in: sql) }
    }

    @discardableResult
    func fail(_ tasks: [ClaimedTask], retryable: Bool = true, code: String = "BROKEN") async throws -> Set<String> {
        let failure = TaskFailure(code: code, message: "It broke.", isRetryable: retryable)
        return try await end(tasks, .failed(failure, outcome: .failed))
    }

    /// When the next task falls due.
    func nextDue() async throws -> Timestamp? {
        let engine = engine
        return try await database.read { sql in try engine.nextDue(in: sql) }
    }

    func task(_ taskId: String) async throws -> TaskSummary { try await service.task(taskId, in: .everybody) }

    func untilStatus(_ status: TaskStatus, _ taskId: String, within limit: Duration = .seconds(10)) async throws {
        try await eventually(within: limit) { try await task(taskId).status == status }
    }

    /// How many tasks are Completed.
    func completed() async throws -> Int64 {
        try await database.number("SELECT COUNT(*) AS value FROM tasks WHERE status = 'Completed'")
    }

    // MARK: Events

    /// An account's events in their order: `type` and `data`.
    func events(of account: UUID = .someone, task taskId: String? = nil) async throws -> [(type: String, data: JSONValue)] {
        try await database.read { sql in
            try sql.query("SELECT type, task_id, data, relay FROM events WHERE account_id = $1 ORDER BY sequence", [.uuid(account)])
                .filter { row in try taskId == nil || row.optionalText("task_id") == taskId }
                .map { (try $0.text("type"), try $0.decoded("data", as: JSONValue.self)) }
        }
    }

    func eventTypes(of account: UUID = .someone, task taskId: String? = nil) async throws -> [String] {
        try await events(of: account, task: taskId).map(\.type)
    }
}

/// A worker at work.
struct RunningWorker: Sendable {
    let worker: TaskWorker
    private let run: Task<Void, any Error>

    init(_ worker: TaskWorker) {
        self.worker = worker
        run = Task { try await worker.run() }
    }

    /// Asks it to stop, and returns when it has.
    func stop() async throws {
        run.cancel()
        try await run.value
    }

    /// Asks it to stop.
    func beginStopping() { run.cancel() }
}

extension UUID {
    static let someone = UUID(uuidString: "11111111-1111-4111-8111-111111111111") ?? UUID()
    static let other = UUID(uuidString: "22222222-2222-4222-8222-222222222222") ?? UUID()

    /// The accounts of a test that needs many.
    static func account(_ number: Int) -> UUID {
        UUID(uuidString: "00000000-0000-4000-8000-" + String(format: "%012d", number)) ?? UUID()
    }
}

extension Caller {
    static let someone = Caller(accountId: .someone, role: .user)
    static let other = Caller(accountId: .other, role: .user)
}

extension TaskScope {
    static let someone = TaskScope.account(.someone)
    static let other = TaskScope.account(.other)
}

/// The refusal must have this code; returns it for a look at its details.
@discardableResult
func expectRefusal(
    _ code: DriveError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async -> DriveError? {
    do {
        try await body()
        Issue.record("nothing was refused", sourceLocation: sourceLocation)
    } catch let error as DriveError {
        #expect(error.code == code, sourceLocation: sourceLocation)
        return error
    } catch {
        Issue.record("\(error)", sourceLocation: sourceLocation)
    }
    return nil
}

extension Slots {
    /// Every site of these tests takes one.
    static let sites = Slots(4)
}
