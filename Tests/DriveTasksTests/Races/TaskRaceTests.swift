import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import EngineTestSupport
import Foundation
import Synchronization
import TestSupport
import Testing

/// Scenario 30: the owner's words, the workers and the handlers against each other, over tasks that are few and change often.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TaskRaceTests {
    private enum Operation: CaseIterable {
        case pause, resume, cancel, retry, priority

        /// How often each comes: what ends a task less often than what keeps it going.
        static let dice: [Operation] = [.pause, .pause, .resume, .resume, .resume, .cancel, .retry, .retry, .priority, .priority]

        var event: TaskEvent? {
            switch self {
            case .pause: .pause
            case .resume: .resume
            case .cancel: .cancel
            case .retry: .retry
            case .priority: nil
            }
        }
    }

    /// What an operation met, and between which numbers of the account's events.
    private struct Answer: Sendable {
        var operation: Operation
        var taskId: String
        var first: Int64
        var last: Int64
        /// The state it led to; nil where it was refused.
        var reached: TaskState?
        /// The status a refusal named.
        var refused: TaskStatus?
    }

    @Test(arguments: Engine.underTest)
    func everyAnswerIsOneTheLifeCycleAllows(kind: Engine) async throws {
        try await kind.withRaceDatabase { database in
            let race = try await Race(database, roster: kind == .sqlite ? 48 : 12)
            try await race.running {
                try await withThrowingTaskGroup(of: [Answer].self) { group in
                    let clients = 8
                    for client in 0..<clients {
                        group.addTask { try await race.client(UInt64(client + 1), operations: kind.raceOperations / clients) }
                    }
                    let watcher = Task { try await race.watch() }
                    var answers: [Answer] = []
                    do {
                        for try await some in group { answers += some }
                    } catch {
                        watcher.cancel()
                        throw error
                    }
                    watcher.cancel()
                    #expect(try await watcher.value > 0)
                    try await race.settle()
                    try await race.judge(answers)
                }
            }
        }
    }

    /// Everything under way in one race.
    private final class Race: Sendable {
        let database: any Database
        let engine: TaskEngine
        let service: TaskService
        let handler = SteppingHandler()
        let owner = Caller(accountId: UUID(), role: .user, address: "127.0.0.1", requestId: "race")
        private let roster: Mutex<[String]>
        private let made = Mutex<[String]>([])

        init(_ database: any Database, roster count: Int) async throws {
            self.database = database
            var settings = TaskSettings()
            settings.slots = 16
            settings.limits = TurnPlanner.Limits()
            settings.drainTime = .seconds(1)
            engine = TaskEngine(database: database, settings: settings, logger: Engine.logger)
            engine.register([handler])
            service = TaskService(engine: engine)
            roster = Mutex([])
            for _ in 0..<count { try await make(at: nil) }
        }

        private var scope: TaskScope { .account(owner.accountId) }

        /// Two workers, until `body` is done.
        func running(_ body: () async throws -> Void) async throws {
            let engine = engine
            let workers = (1...2).map { number in Task { try await TaskWorker(engine: engine, name: "race \(number)").run() } }
            let outcome: Result<Void, any Error>
            do {
                try await body()
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            for worker in workers { worker.cancel() }
            for worker in workers { try await worker.value }
            try outcome.get()
        }

        private func make(at place: Int?) async throws {
            let request = CreateTaskRequest(type: .custom, kind: SteppingHandler.kind, priority: Int.random(in: 0...2))
            let taskId = try await service.createTask(request, idempotencyKey: nil, by: owner).task.taskId
            made.withLock { $0.append(taskId) }
            roster.withLock { roster in if let place { roster[place] = taskId } else { roster.append(taskId) } }
        }

        private func lastEvent() async throws -> Int64 {
            let account = owner.accountId
            return try await database.read { sql in
                try sql.first("SELECT last_sequence FROM event_sequences WHERE account_id = $1", [.uuid(account)])?
                    .int64("last_sequence") ?? 0
            }
        }

        // MARK: Racing

        func client(_ seed: UInt64, operations: Int) async throws -> [Answer] {
            var generator = SeededGenerator(seed: seed)
            var answers: [Answer] = []
            for _ in 0..<operations {
                let place = Int.random(in: 0..<roster.withLock { $0.count }, using: &generator)
                let taskId = roster.withLock { $0[place] }
                guard let operation = Operation.dice.randomElement(using: &generator) else { continue }
                // The handlers go on meanwhile, of this task and of others.
                for place in [place, Int.random(in: 0..<roster.withLock { $0.count }, using: &generator)] {
                    handler.step(roster.withLock { $0[place] })
                }
                let priority = Int.random(in: 0...2, using: &generator)
                var answer = Answer(operation: operation, taskId: taskId, first: try await lastEvent(), last: 0)
                do {
                    answer.reached = try await perform(operation, on: taskId, priority: priority)
                } catch let error as DriveError where error.code == .taskState {
                    guard case .string(let status)? = error.details["status"] else { throw error }
                    answer.refused = TaskStatus(rawValue: status)
                }
                answer.last = try await lastEvent()
                answers.append(answer)
                // So that workers and handlers get on as well.
                try await Task.sleep(for: .microseconds(Int.random(in: 0...3000, using: &generator)))
                // Completed is the end for good: another one takes its place.
                if answer.refused == .completed, roster.withLock({ $0[place] }) == taskId { try await make(at: place) }
            }
            return answers
        }

        private func perform(_ operation: Operation, on taskId: String, priority: Int) async throws -> TaskState {
            let task: TaskSummary
            switch operation {
            case .pause: task = try await service.pauseTask(taskId, in: scope, by: owner)
            case .resume: task = try await service.resumeTask(taskId, in: scope, by: owner)
            case .cancel: task = try await service.cancelTask(taskId, in: scope, by: owner)
            case .retry: task = try await service.retryTask(taskId, in: scope, by: owner)
            case .priority:
                task = try await service.setPriority(priority, of: taskId, in: scope, by: owner)
                #expect(task.priority == priority)
            }
            return TaskState(task.status, requested: task.requested)
        }

        /// Looks again and again, while the race is on: what is counted is what is, and progress does not go back. Returns how
        /// often it looked.
        func watch() async throws -> Int {
            var seen: [String: Double] = [:]
            var looks = 0
            while !Task.isCancelled {
                let (rows, mismatch) = try await database.read { sql in
                    let rows = try sql.query("SELECT task_id, progress FROM tasks").map { row in
                        (try row.text("task_id"), try row.double("progress"))
                    }
                    return (rows, try Self.miscounted(in: sql))
                }
                #expect(mismatch == [], "task_running")
                for (taskId, progress) in rows {
                    #expect(seen[taskId] ?? 0 <= progress, "the progress of \(taskId)")
                    seen[taskId] = progress
                }
                looks += 1
                try? await Task.sleep(for: .milliseconds(5))
            }
            return looks
        }

        /// Lanes of which another number of tasks run than `task_running` says.
        private static func miscounted(in sql: any SQLSession) throws -> [Int64] {
            var counts: [Int64: Int64] = [:]
            for row in try sql.query("SELECT lane_id, running FROM task_running") {
                counts[try row.int64("lane_id")] = try row.int64("running")
            }
            for row in try sql.query("SELECT lane_id, COUNT(*) AS running FROM tasks WHERE status = 'InProgress' GROUP BY lane_id") {
                counts[try row.int64("lane_id"), default: 0] -= try row.int64("running")
            }
            return counts.filter { $0.value != 0 }.keys.sorted()
        }

        // MARK: Afterwards

        /// Nobody says anything any more: what waits runs, what runs ends. Only what is paused stays.
        func settle() async throws {
            handler.runFreely()
            let end = ContinuousClock.now + .seconds(20)
            while true {
                let open = try await database.read { sql in
                    try sql.query("SELECT task_id, status FROM tasks WHERE status IN ('Pending', 'InProgress')").map {
                        "\(try $0.text("task_id")) is \(try $0.text("status"))"
                    }
                }
                // Handlers whose task was taken from them have been told, or they would run for ever.
                if open.isEmpty, handler.attemptCount == 0 { return }
                guard ContinuousClock.now < end else {
                    Issue.record("lost: \(open); \(handler.attemptCount) attempts still run")
                    return
                }
                try await Task.sleep(for: .milliseconds(5))
            }
        }

        func judge(_ answers: [Answer]) async throws {
            let models = try await models()
            let rows = try await database.read { sql in
                try sql.query("SELECT task_id, status, requested, lease_owner FROM tasks").map { row in
                    (
                        id: try row.text("task_id"), status: TaskStatus(rawValue: try row.text("status")),
                        requested: try row.optionalText("requested"), owner: try row.optionalText("lease_owner")
                    )
                }
            }
            #expect(Set(rows.map(\.id)) == Set(made.withLock { $0 }), "none is lost, none came by itself")
            for row in rows {
                let model = try #require(models[row.id])
                #expect(model.contradiction == nil, "\(row.id)")
                let status = try #require(row.status)
                #expect(model.last.contains(TaskState(status)), "\(row.id) is \(status)")
                #expect(row.requested == nil && row.owner == nil)
            }
            for answer in answers {
                let model = try #require(models[answer.taskId])
                expect(answer, amongStates: model.states(from: answer.first, through: answer.last))
            }
            for operation in Operation.allCases {
                let granted = answers.count { $0.operation == operation && $0.reached != nil }
                #expect(granted > answers.count / 100, "\(operation) was granted \(granted) times")
            }
            let pausing = answers.count { $0.reached == TaskState(.inProgress, requested: .pause) }
            #expect(pausing > answers.count / 500, "running tasks were asked to pause \(pausing) times")
            let ended = rows.count { $0.status == .completed }
            #expect(ended > answers.count / 500, "\(ended) tasks completed")
            try await judgeSteps()
            #expect(try await database.read { try Self.miscounted(in: $0) } == [])
            let running = try await database.read { try $0.query("SELECT lane_id FROM task_running WHERE running <> 0").count }
            #expect(running == 0)
        }

        private func expect(_ answer: Answer, amongStates states: Set<TaskState>) {
            guard let event = answer.operation.event else {
                // The priority of every open task changes, and its state does not by that.
                let isAllowed =
                    answer.reached.map { !$0.status.isTerminal && states.contains($0) }
                    ?? states.contains { $0.status == answer.refused && $0.status.isTerminal }
                #expect(isAllowed, "\(answer) among \(states)")
                return
            }
            let isAllowed =
                if let reached = answer.reached {
                    states.contains { TaskLifeCycle.next($0, on: event) == reached }
                } else {
                    states.contains { $0.status == answer.refused && TaskLifeCycle.next($0, on: event) == nil }
                }
            #expect(isAllowed, "\(answer) among \(states)")
        }

        private func models() async throws -> [String: RaceModel] {
            let account = owner.accountId
            let events = try await database.read { sql in
                try sql.query("SELECT sequence, type, task_id FROM events WHERE account_id = $1 ORDER BY sequence", [.uuid(account)]).map {
                    (
                        taskId: try $0.text("task_id"),
                        event: RaceModel.Event(sequence: try $0.int64("sequence"), word: String(try $0.text("type").dropFirst(5)))
                    )
                }
            }
            return Dictionary(grouping: events, by: \.taskId).mapValues { RaceModel($0.map(\.event)) }
        }

        /// What attempts did under their lease: never one of an older lease after one of a newer, progress never back.
        private func judgeSteps() async throws {
            let steps = try await database.read { sql in
                try sql.query("SELECT task_id, token, progress FROM race_steps ORDER BY number").map {
                    (taskId: try $0.text("task_id"), token: try $0.int64("token"), progress: try $0.double("progress"))
                }
            }
            var last: [String: (token: Int64, progress: Double)] = [:]
            for step in steps {
                let before = last[step.taskId] ?? (0, 0)
                #expect(before.token <= step.token && before.progress <= step.progress, "\(step) after \(before)")
                last[step.taskId] = (step.token, step.progress)
            }
            #expect(!steps.isEmpty)
        }
    }
}
