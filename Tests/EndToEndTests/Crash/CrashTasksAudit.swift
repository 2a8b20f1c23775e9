import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Holds a server that was started again to what was told of tasks, lets all of them end, and counts what they did.
struct CrashTasksAudit: Sendable {
    let user: TestClient
    let admin: TestClient
    let plan: CrashPlan
    let ledger: CrashLedger

    struct Findings: Sendable {
        var failures: [String] = []
        /// Tasks that were told of before the death, and of these those that had not ended.
        var tasks = 0
        var open = 0
        /// Things tasks did, each once.
        var effects = 0
    }

    /// All types that this server runs.
    static let types: [TaskType] = [.fileMove, .bulkOperation, .storageMigration, .custom]

    /// After SQLite's start all go on at once; over PostgreSQL the dead server's lease runs out first.
    private var bound: Duration { plan.database == .sqlite ? .seconds(15) : .seconds(50) }

    func run() async throws -> Findings {
        let known = ledger.all.tasks
        var findings = Findings()
        findings.tasks = known.tasks.count
        findings.open = known.tasks.values.count { !$0.told.status.isTerminal }
        for task in known.tasks.values {
            if let failure = try await problem(with: task) { findings.failures.append(failure) }
        }
        for (taskId, lease) in known.leases {
            if let failure = try await end(lease, of: taskId) { findings.failures.append(failure) }
        }
        // Who failed for good had not come to its retry.
        for (taskId, lease) in known.leases where lease.end == .fail {
            for task in [taskId] + dependents(of: taskId) {
                try ledger.expect(try await user.send(.POST, "/tasks/\(task)/retry"), "retry", 200, 409)
            }
        }
        do {
            try await settle()
        } catch let error as TimedOut {
            findings.failures.append("\(error): \(try await open().map(Self.text))")
            return findings
        }
        let tasks = try await tasks()
        findings.failures += try await wrongEnds(tasks, known)
        let effects = try await CrashTasksEffects.read(of: tasks, by: admin, user)
        findings.effects = effects.count
        findings.failures += effects.failures
        for stored in known.files.values {
            let owner = try await owner(of: stored)
            findings.failures += try await effects.problems(with: stored, by: owner)
        }
        return findings
    }

    static func text(_ task: TaskSummary) -> String {
        """
        \(task.type.rawValue) \(task.taskId) \(task.status.rawValue) \(task.progress)% attempt \(task.attempt) waits for \(task.waitsFor) \
        \(task.errorCode ?? "") \(task.errorMessage ?? "")
        """
    }

    // MARK: What was told

    private func problem(with known: CrashTasksLedger.Known) async throws -> String? {
        let reply = try await admin.get("/admin/tasks/\(known.told.taskId)")
        guard reply.status == 200 else { return "an acknowledged task is lost: \(reply), told \(Self.text(known.told))" }
        return known.problem(with: try reply.decode())
    }

    /// A worker outside of Drive keeps its lease over the restart, and goes on where it was.
    private func end(_ lease: CrashTasksLedger.Lease, of taskId: String) async throws -> String? {
        let task: TaskSummary = try await user.get("/tasks/\(taskId)").decode()
        let alive = try await user.send(.POST, "/tasks/work/heartbeat", json: ["leaseId": .string(lease.leaseId)])
        if alive.status == 200 {
            let caller = CrashTasksCaller(client: user, ledger: ledger)
            let ended = try await CrashTasksLedger.Lease.End.complete(CrashTasksWorker.results(of: taskId)).send(lease.leaseId, by: caller)
            _ = try caller.note(ended)
            return nil
        }
        guard alive.error?.code == "LEASE_LOST" else { return "a heartbeat after the restart: \(alive)" }
        // It may be gone only where its worker had said so.
        switch lease.end {
        case nil: return "a lease is lost: \(Self.text(task))"
        case .complete(let results):
            return task.status == .completed && task.results == results ? nil : "a completion is half there: \(Self.text(task))"
        case .fail, .release: return nil
        }
    }

    // MARK: The end

    private func tasks() async throws -> [TaskSummary] {
        var tasks: [TaskSummary] = []
        for type in Self.types {
            while true {
                let have = tasks.count { $0.type == type }
                let path = "/admin/tasks?type=\(type.rawValue)&limit=500&offset=\(have)&sortBy=createdAt&sortDescending=false"
                let page: [TaskSummary] = try await admin.get(path).decode()
                tasks += page
                if page.count < 500 { break }
            }
        }
        // The server's own ones, its housekeeping, begin again and again.
        return tasks.filter { !($0.kind ?? "").hasPrefix("drive") }
    }

    private func open() async throws -> [TaskSummary] {
        // One list for all statuses: between two a task could go from the second to the first.
        try await tasks().filter { !$0.status.isTerminal }
    }

    /// Lets every task end: resumes what is paused, and works on what waits for a worker outside of Drive.
    private func settle() async throws {
        let isOver = ContinuousClock.now + .seconds(1)
        try await eventually(within: bound, "the end of all tasks after the restart") {
            let open = try await open()
            for task in open where task.status == .paused {
                try ledger.expect(try await admin.send(.POST, "/admin/tasks/\(task.taskId)/resume"), "resume", 200, 409)
            }
            for task in open where task.type == .custom {
                switch task.status {
                case .pending where task.waitsFor == 0: try await complete(task)
                // The answer that gave its lease was lost. It comes back after 35 seconds; nobody waits for that here.
                case .inProgress where plan.database == .sqlite && ContinuousClock.now > isOver:
                    for other in [task.taskId] + dependents(of: task.taskId) {
                        ledger.noteTask(other) { $0.mayEndOtherwise = true }
                    }
                    try ledger.expect(try await user.send(.POST, "/tasks/\(task.taskId)/cancel"), "cancel", 200)
                default: break
                }
            }
            return open.isEmpty
        }
    }

    private func complete(_ task: TaskSummary) async throws {
        let reply = try await user.send(.POST, "/tasks/work/lease", json: ["kinds": [.string(task.kind ?? "")], "worker": "audit"])
        guard reply.status == 200 else { return }
        let lease: TaskLease = try reply.decode()
        let caller = CrashTasksCaller(client: user, ledger: ledger)
        let id = lease.task.taskId
        _ = try await CrashTasksLedger.Lease.End.complete(CrashTasksWorker.results(of: id)).send(lease.leaseId, by: caller)
    }

    /// Every task is Completed, but for those that were to be cancelled, and what had completed before has the same results.
    private func wrongEnds(_ tasks: [TaskSummary], _ known: CrashTasksLedger) async throws -> [String] {
        let now = ledger.all.tasks
        var wrong: [String] = []
        let byId = Dictionary(tasks.map { ($0.taskId, $0) }, uniquingKeysWith: { first, _ in first })
        for task in tasks where task.status != .completed {
            let mayEnd = now.tasks[task.taskId]?.mayEndOtherwise ?? (task.status == .cancelled)
            if !mayEnd || task.status == .failed { wrong.append("a task did not complete: \(Self.text(task))") }
        }
        for told in known.tasks.values.map(\.told) where told.status == .completed {
            if byId[told.taskId]?.results != told.results { wrong.append("the results of \(told.taskId) changed: \(told.results)") }
        }
        for task in tasks where task.type == .custom && task.status == .completed {
            if task.results != CrashTasksWorker.results(of: task.taskId) { wrong.append("\(Self.text(task)): \(task.results)") }
        }
        for (batchId, told) in known.batches {
            let batch: TaskBatch = try await user.get("/tasks/batches/\(batchId)").decode()
            if batch.completedTasks != batch.totalTasks || batch.completedAt == nil || batch.totalTasks != told.totalTasks {
                wrong.append("a batch did not end: \(batch)")
            }
            if let end = told.completedAt, end != batch.completedAt { wrong.append("a batch ended twice: \(end), \(batch)") }
        }
        return wrong
    }

    /// The tasks of a worker's round wait for each other, and have a kind of their own.
    private func dependents(of taskId: String) -> [String] {
        let tasks = ledger.all.tasks.tasks.mapValues(\.told)
        guard let kind = tasks[taskId]?.kind else { return [] }
        return tasks.values.filter { $0.kind == kind && $0.taskId != taskId }.map(\.taskId)
    }

    private func owner(of stored: CrashTasksLedger.Stored) async throws -> TestClient {
        try await user.get("/files/\(stored.file.id)/info").status == 200 ? user : admin
    }
}
