import DriveModel
import Foundation
import NIOHTTP1
import Testing

extension TestClient {
    /// Makes a task that must be made.
    @discardableResult
    func makeTask(_ request: JSONValue, sourceLocation: SourceLocation = #_sourceLocation) async throws -> TaskSummary {
        let reply = try await send(.POST, "/tasks", json: request)
        try #require(reply.status == 201, "\(reply)", sourceLocation: sourceLocation)
        return try reply.decode(sourceLocation: sourceLocation)
    }

    /// Makes a Custom task for workers outside; `more` are further fields of the request.
    @discardableResult
    func makeCustom(
        _ kind: String, _ more: [String: JSONValue] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> TaskSummary {
        let fields: [String: JSONValue] = ["type": "Custom", "kind": .string(kind)]
        return try await makeTask(.object(fields.merging(more) { _, new in new }), sourceLocation: sourceLocation)
    }

    func task(_ taskId: String) async throws -> TaskSummary { try await get("/tasks/\(taskId)").decode() }

    func change(_ taskId: String, _ event: String) async throws -> Reply { try await send(.POST, "/tasks/\(taskId)/\(event)") }

    /// A change that must be allowed.
    @discardableResult
    func changed(_ taskId: String, _ event: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> TaskSummary {
        let reply = try await change(taskId, event)
        try #require(reply.status == 200, "\(event): \(reply)", sourceLocation: sourceLocation)
        return try reply.decode(sourceLocation: sourceLocation)
    }

    /// Waits until a task is as wanted.
    @discardableResult
    func task(
        _ taskId: String, within limit: Duration = .seconds(20), is wanted: String, _ condition: (TaskSummary) -> Bool
    ) async throws -> TaskSummary {
        var seen = try await task(taskId)
        do {
            try await eventually(within: limit, "the task to be \(wanted)") {
                seen = try await task(taskId)
                return condition(seen)
            }
        } catch is TimedOut {
            throw TimedOut(what: "the task to be \(wanted); it is \(seen)")
        }
        return seen
    }

    /// Waits for a task's end, and expects it to be this one.
    @discardableResult
    func ended(
        _ taskId: String, as status: TaskStatus = .completed, within limit: Duration = .seconds(20),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> TaskSummary {
        let task = try await task(taskId, within: limit, is: "ended") { $0.status.isTerminal }
        #expect(task.status == status, "\(task)", sourceLocation: sourceLocation)
        #expect(task.completedAt != nil && (status != .completed || task.progress == 100), "\(task)", sourceLocation: sourceLocation)
        return task
    }

    func items(_ taskId: String) async throws -> [TaskItem] { try await get("/tasks/\(taskId)/items?limit=500").decode() }

    func attempts(_ taskId: String) async throws -> [TaskAttempt] { try await get("/tasks/\(taskId)/attempts").decode() }

    // MARK: Work

    func work(_ action: String, _ leaseId: String, _ more: [String: JSONValue] = [:]) async throws -> Reply {
        try await send(.POST, "/tasks/work/\(action)", json: .object(more.merging(["leaseId": .string(leaseId)]) { _, new in new }))
    }

    func lease(_ kind: String, waitSeconds: Int64 = 10, worker: String = "test") async throws -> Reply {
        try await send(
            .POST, "/tasks/work/lease",
            json: ["kinds": [.string(kind)], "worker": .string(worker), "waitSeconds": .integer(waitSeconds)])
    }

    /// Leases a task that must be there.
    func leased(_ kind: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> TaskLease {
        let reply = try await lease(kind)
        try #require(reply.status == 200, "\(reply)", sourceLocation: sourceLocation)
        return try reply.decode(sourceLocation: sourceLocation)
    }

    // MARK: Pools

    func makePool(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Pool {
        let reply = try await send(.POST, "/pools", json: ["name": .string(name)])
        try #require([200, 201].contains(reply.status), "\(reply)", sourceLocation: sourceLocation)
        return try reply.decode(sourceLocation: sourceLocation)
    }

    /// All files of the account.
    func files() async throws -> [CloudFile] { try await get("/files/me?limit=500").decode() }

    func file(_ id: String) async throws -> CloudFile { try await get("/files/\(id)/info").decode() }
}

extension Pool {
    /// As the API takes it.
    var text: String { id.uuidString.lowercased() }
}

/// A kind of Custom tasks that no other test has.
func uniqueKind(_ name: String) -> String { "\(name)-\(UUID().uuidString.prefix(8))" }
