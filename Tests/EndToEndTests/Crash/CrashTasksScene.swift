import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What the runs with tasks begin with: an administrator, pools between which files move, and a bundle they are put into.
struct CrashTasksScene: Sendable {
    let adminToken: String
    /// Beside the default one. Migrations go between the last two.
    let pools: [UUID]

    /// Makes them in a folder that no server works on.
    static func make(in data: DataFolder) async throws -> CrashTasksScene {
        var pools: [UUID] = []
        for name in ["second", "third", "fourth"] {
            let line = try await data.drive("pools", "create", name).line
            guard let id = UUID(uuidString: line) else { throw CommandFailed(description: "pools create: \(line)") }
            pools.append(id)
        }
        return CrashTasksScene(adminToken: try await data.token(account: "crash-admin", admin: true), pools: pools)
    }
}

/// Makes, looks at and changes tasks, and writes down what it was told.
struct CrashTasksCaller: Sendable {
    let client: TestClient
    let ledger: CrashLedger

    /// - Parameter more: further fields of the request.
    func make(_ type: TaskType, _ parameters: JSONValue, _ more: [String: JSONValue] = [:]) async throws -> TaskSummary {
        let reply = try await client.send(.POST, "/tasks", json: Self.request(type, parameters, more))
        try ledger.expect(reply, "\(type.rawValue)", 201)
        return try note(reply)
    }

    static func request(_ type: TaskType, _ parameters: JSONValue, _ more: [String: JSONValue] = [:]) -> JSONValue {
        .object(["type": .string(type.rawValue), "parameters": parameters].merging(more) { $1 })
    }

    func look(at taskId: String) async throws -> TaskSummary {
        let reply = try await client.get("/tasks/\(taskId)")
        try ledger.expect(reply, "task", 200)
        return try note(reply)
    }

    /// - Parameter verb: `pause`, `resume`, `cancel` or `retry`; refused where the task came further meanwhile.
    func change(_ taskId: String, _ verb: String) async throws {
        ledger.noteTask(taskId) { known in
            known.asked = verb
            if verb == "cancel" { known.mayEndOtherwise = true }
        }
        let reply = try await client.send(.POST, "/tasks/\(taskId)/\(verb)")
        try ledger.expect(reply, verb, 200, 409)
        if reply.status == 200 {
            _ = try note(reply)
        } else {
            guard reply.error?.code == "TASK_STATE" else { throw ledger.unexpected("\(verb): \(reply)") }
            ledger.noteTask(taskId) { $0.asked = nil }
        }
    }

    /// Looks until the tasks have ended or are paused.
    func settle(_ taskIds: [String]) async throws {
        var open = taskIds
        do {
            try await eventually(within: .seconds(20), "tasks") {
                var left: [String] = []
                for id in open {
                    let task = try await look(at: id)
                    if !task.status.isTerminal, task.status != .paused { left.append(id) }
                }
                open = left
                return left.isEmpty
            }
        } catch let error as TimedOut {
            throw ledger.unexpected("\(error): \(open.compactMap { ledger.all.tasks.tasks[$0]?.told })")
        }
    }

    /// Stores a file for tasks.
    func store(_ bytes: [UInt8], name: String, in pool: UUID?) async throws -> CloudFile {
        let reply = try await client.direct(bytes, name: name, query: pool.map { "&poolId=\($0.uuidString)" } ?? "")
        try ledger.expect(reply, "direct", 200)
        guard let file = try? JSONDecoder().decode(CloudFile.self, from: Data(reply.body)) else {
            throw ledger.unexpected("direct: \(reply)")
        }
        ledger.changeTasks { $0.files[file.id] = CrashTasksLedger.Stored(file: file, bytes: bytes) }
        return file
    }

    func note(_ reply: Reply) throws -> TaskSummary {
        guard let task = try? JSONDecoder().decode(TaskSummary.self, from: Data(reply.body)) else {
            throw ledger.unexpected("no task: \(reply)")
        }
        try ledger.told(task)
        return task
    }
}
