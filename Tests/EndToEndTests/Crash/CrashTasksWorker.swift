import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// A worker outside of Drive that makes Custom tasks for itself, leases them over HTTP, and ends them in every way there is.
struct CrashTasksWorker: Sendable {
    let caller: CrashTasksCaller

    private var ledger: CrashLedger { caller.ledger }

    /// One round. Throws where the server is dead, or answered what no fault explains.
    func work(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let kind = "crash-\(seed)"
        let more: [String: JSONValue] = ["kind": .string(kind), "uniqueKey": .string(kind)]
        let first = try await caller.make(.custom, ["number": 1], more)
        let second = try await caller.make(.custom, ["number": 2], ["kind": .string(kind), "dependsOn": [.string(first.taskId)]])
        for taskId in [first.taskId, second.taskId] {
            try await lease(kind, of: taskId)
            try await report(taskId)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0:
                try await end(taskId, .release)
                try await lease(kind, of: taskId)
                try await complete(taskId)
            case 1:
                // What waits for it is cancelled with it.
                ledger.noteTask(second.taskId) { $0.mayEndOtherwise = true }
                try await end(taskId, .fail)
                try await caller.change(taskId, "retry")
                if taskId == first.taskId { try await caller.change(second.taskId, "retry") }
                try await lease(kind, of: taskId)
                try await complete(taskId)
            case 2:
                try await caller.change(taskId, "pause")
                try await end(taskId, .release)
                try await caller.change(taskId, "resume")
                try await lease(kind, of: taskId)
                try await complete(taskId)
            // For after the restart.
            case 3: return
            default: try await complete(taskId)
            }
        }
    }

    static func results(of taskId: String) -> [String: JSONValue] { ["answer": .string(taskId), "number": 42] }

    /// Takes the task, which is the only one of its kind. What the attempt before kept comes with it.
    private func lease(_ kind: String, of taskId: String) async throws {
        let known = ledger.all.tasks.leases[taskId]
        let reply = try await caller.client.send(
            .POST, "/tasks/work/lease", json: ["kinds": [.string(kind)], "worker": "crash", "waitSeconds": 20])
        try ledger.expect(reply, "lease of \(taskId)", 200)
        guard let lease = try? JSONDecoder().decode(TaskLease.self, from: Data(reply.body)), lease.task.taskId == taskId else {
            throw ledger.unexpected("lease of \(taskId): \(reply)")
        }
        if let known, !known.allows(lease.checkpoint) {
            throw ledger.unexpected("the checkpoint of \(taskId): \(String(describing: lease.checkpoint)), sent \(known)")
        }
        ledger.changeTasks { $0.leases[taskId] = CrashTasksLedger.Lease(leaseId: lease.leaseId, checkpoint: lease.checkpoint) }
        try ledger.told(lease.task)
    }

    private func report(_ taskId: String) async throws {
        guard let lease = ledger.all.tasks.leases[taskId] else { return }
        let id = JSONValue.string(lease.leaseId)
        try ledger.expect(try await caller.client.send(.POST, "/tasks/work/heartbeat", json: ["leaseId": id]), "heartbeat", 200)
        for step in 1...3 as ClosedRange<Int64> {
            let checkpoint: JSONValue = ["step": .integer(step)]
            ledger.changeTasks { $0.leases[taskId]?.sentCheckpoint = checkpoint }
            let reply = try await caller.client.send(
                .POST, "/tasks/work/progress", json: ["leaseId": id, "progress": .integer(step * 25), "checkpoint": checkpoint])
            try ledger.expect(reply, "progress", 200)
            ledger.changeTasks {
                $0.leases[taskId]?.checkpoint = checkpoint
                $0.leases[taskId]?.sentCheckpoint = nil
            }
            ledger.noteTask(taskId) { $0.told.progress = max($0.told.progress, Double(step * 25)) }
        }
    }

    private func complete(_ taskId: String) async throws { try await end(taskId, .complete(Self.results(of: taskId))) }

    private func end(_ taskId: String, _ end: CrashTasksLedger.Lease.End) async throws {
        guard let lease = ledger.all.tasks.leases[taskId] else { return }
        ledger.changeTasks { $0.leases[taskId]?.end = end }
        ledger.noteTask(taskId) { $0.asked = "end" }
        _ = try caller.note(try await end.send(lease.leaseId, by: caller))
        if case .complete = end { ledger.changeTasks { $0.leases[taskId] = nil } }
    }
}

extension CrashTasksLedger.Lease.End {
    /// Tells how it ended. The answer is the task.
    func send(_ leaseId: String, by caller: CrashTasksCaller) async throws -> Reply {
        let id = JSONValue.string(leaseId)
        let (path, body): (String, JSONValue) =
            switch self {
            case .complete(let results): ("complete", ["leaseId": id, "results": .object(results)])
            case .fail: ("fail", ["leaseId": id, "errorMessage": "crash", "retryable": false])
            case .release: ("release", ["leaseId": id])
            }
        let reply = try await caller.client.send(.POST, "/tasks/work/\(path)", json: body)
        try caller.ledger.expect(reply, path, 200)
        return reply
    }
}

/// An administrator who moves a whole pool there and back, while files come and go in both.
struct CrashTasksMigrator: Sendable {
    let caller: CrashTasksCaller
    let plan: CrashPlan
    let scene: CrashTasksScene

    /// One round. Throws where the server is dead, or answered what no fault explains.
    func work(_ seed: UInt64) async throws {
        let round = seed / 10
        let (source, target) = round % 2 == 0 ? (scene.pools[1], scene.pools[2]) : (scene.pools[2], scene.pools[1])
        for index in 0..<3 as Range<UInt64> {
            // Its own content, what others have too, and what lies in the target already.
            let content = index == 0 ? bytes(30_000, seed: seed) : CrashTasksClient.shared((round &+ index) % 3, plan)
            _ = try await caller.store(content, name: "task-\(seed)-\(index).bin", in: index == 2 ? target : source)
        }
        let task = try await caller.make(
            .storageMigration, ["sourcePoolId": .string(source.uuidString), "targetPoolId": .string(target.uuidString)])
        if round % 3 == 0 {
            try await caller.change(task.taskId, "pause")
            try await caller.change(task.taskId, "resume")
        }
        try await caller.settle([task.taskId])
    }
}
