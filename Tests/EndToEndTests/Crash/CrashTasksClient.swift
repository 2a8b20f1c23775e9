import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// A client that has tasks move, change and delete its files, and pauses, resumes and cancels them.
struct CrashTasksClient: Sendable {
    let caller: CrashTasksCaller
    let plan: CrashPlan
    let scene: CrashTasksScene

    private var ledger: CrashLedger { caller.ledger }

    /// One round. Throws where the server is dead, or answered what no fault explains.
    func work(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let files = try await files(seed, &generator).map { JSONValue.string($0.id) }
        let targets = scene.pools.shuffled(using: &generator).map { JSONValue.string($0.uuidString) }
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: try await moveTogether(files, targets)
        case 1: try await changeTogether(files, targets)
        case 2: try await moveAndDelete(files, targets)
        case 3: try await batch(files, targets)
        case 4: try await control(files, targets, &generator)
        default: try await control(files, nil, &generator)
        }
    }

    /// A few files; some have a content that others have too, also other clients' ones.
    private func files(_ seed: UInt64, _ generator: inout SeededGenerator) async throws -> [CloudFile] {
        var files: [CloudFile] = []
        for index in 0..<3 as Range<UInt64> {
            let shared = Bool.random(using: &generator)
            let content = shared ? Self.shared(UInt64.random(in: 0..<3, using: &generator), plan) : bytes(20_000, seed: seed &+ index &* 7)
            files.append(try await caller.store(content, name: "task-\(seed)-\(index).bin", in: nil))
        }
        return files
    }

    static func shared(_ number: UInt64, _ plan: CrashPlan) -> [UInt8] {
        bytes(plan.isDirect ? 300_000 : 60_000, seed: plan.seed &* 31 &+ number)
    }

    // MARK: Deeds

    private func move(_ files: [JSONValue], to pool: JSONValue, after tasks: [TaskSummary] = []) async throws -> TaskSummary {
        try await caller.make(.fileMove, ["fileIds": .array(files), "targetPoolId": pool], Self.after(tasks))
    }

    private static func after(_ tasks: [TaskSummary]) -> [String: JSONValue] {
        tasks.isEmpty ? [:] : ["dependsOn": .array(tasks.map { .string($0.taskId) })]
    }

    private static func bulk(_ operation: String, _ files: [JSONValue], _ more: [String: JSONValue] = [:]) -> JSONValue {
        [
            "operationType": .string(operation), "targetIds": .array(files),
            "operationParameters": .object(["confirm": true].merging(more) { $1 }),
        ]
    }

    /// Each time it is done a name grows by a letter.
    private static func rename(_ files: [JSONValue]) -> JSONValue { bulk("rename", files, ["newName": "r{name}"]) }

    /// Two moves of one file to different pools at the same time, and one after both.
    private func moveTogether(_ files: [JSONValue], _ targets: [JSONValue]) async throws {
        let first = try await move(Array(files.prefix(2)), to: targets[0])
        let second = try await move(Array(files.dropFirst()), to: targets[1])
        let third = try await move(files, to: targets[2], after: [first, second])
        try await caller.settle([first, second, third].map(\.taskId))
    }

    private func changeTogether(_ files: [JSONValue], _ targets: [JSONValue]) async throws {
        let reply = try await caller.client.send(.POST, "/bundles", json: ["name": "crash"])
        try ledger.expect(reply, "bundle", 201)
        let bundle = reply.json["id"] ?? .null
        let tasks = [
            try await caller.make(.bulkOperation, Self.rename(files)),
            try await caller.make(.bulkOperation, Self.bulk("setExpiry", files, ["expiresInDays": 30])),
            try await caller.make(.bulkOperation, Self.bulk("addToBundle", files, ["targetBundleId": bundle])),
            try await caller.make(.bulkOperation, Self.rename(files)),
            try await move(files, to: targets[0]),
        ]
        try await caller.settle(tasks.map(\.taskId))
    }

    private func moveAndDelete(_ files: [JSONValue], _ targets: [JSONValue]) async throws {
        let moved = try await caller.make(.bulkOperation, Self.bulk("move", files, ["targetPoolId": targets[0]]))
        let deleted = try await caller.make(.bulkOperation, Self.bulk("delete", Array(files.prefix(1))), Self.after([moved]))
        let again = try await move(Array(files.dropFirst()), to: targets[1], after: [moved])
        try await caller.settle([moved, deleted, again].map(\.taskId))
    }

    private func batch(_ files: [JSONValue], _ targets: [JSONValue]) async throws {
        let steps: [JSONValue] = [
            CrashTasksCaller.request(.fileMove, ["fileIds": .array(files), "targetPoolId": targets[0]]),
            CrashTasksCaller.request(.bulkOperation, Self.rename(files), ["dependsOn": ["#0"]]),
            CrashTasksCaller.request(.fileMove, ["fileIds": .array(files), "targetPoolId": targets[1]], ["dependsOn": ["#1"]]),
            CrashTasksCaller.request(.bulkOperation, Self.rename(files), ["dependsOn": ["#0"]]),
        ]
        let reply = try await caller.client.send(.POST, "/tasks/batches", json: ["name": "crash", "tasks": .array(steps)])
        try ledger.expect(reply, "batch", 201)
        let batch: TaskBatch = try reply.decode()
        ledger.changeTasks { $0.batches[batch.batchId] = batch }
        try await eventually(within: .seconds(20), "the batch") {
            let reply = try await caller.client.get("/tasks/batches/\(batch.batchId)")
            try ledger.expect(reply, "batch", 200)
            let told: TaskBatch = try reply.decode()
            ledger.changeTasks { $0.batches[batch.batchId] = told }
            return told.completedAt != nil
        }
    }

    /// Pauses a task at once, and goes on, cancels it, cancels and retries it, or leaves it paused; another one waits for it.
    private func control(_ files: [JSONValue], _ targets: [JSONValue]?, _ generator: inout SeededGenerator) async throws {
        let task: TaskSummary
        if let targets {
            task = try await move(files, to: targets[0])
        } else {
            task = try await caller.make(.bulkOperation, Self.rename(files))
        }
        let next = try await caller.make(.bulkOperation, Self.rename(files), Self.after([task]))
        try await caller.change(task.taskId, "pause")
        let choice = Int.random(in: 0..<4, using: &generator)
        if choice == 0 { return }
        if choice > 1 {
            // What waits for a cancelled task is cancelled with it.
            ledger.noteTask(next.taskId) { $0.mayEndOtherwise = true }
            try await caller.change(task.taskId, "cancel")
        } else {
            try await caller.change(task.taskId, "resume")
        }
        if choice == 3 {
            try await caller.change(task.taskId, "retry")
            try await caller.change(next.taskId, "retry")
        }
        try await caller.settle([task.taskId, next.taskId])
    }
}
