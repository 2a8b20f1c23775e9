import DriveModel
import Foundation

@testable import DriveClient

/// A client of a server whose answers a closure decides, with time that only waiting moves; and tasks to answer with.
enum TaskScene {
    static func with(
        _ answer: @escaping @Sendable (ServerRequest) async -> ServerAnswer, _ body: (DriveClient, ManualClock) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        try await ScriptedServer.with(answer, clock.surroundings) { client in try await body(client, clock) }
    }

    static func task(
        _ id: String, _ status: TaskStatus = .pending, progress: Double = 0, requested: TaskRequest? = nil, at second: Int64 = 0
    ) -> TaskSummary {
        let time = Timestamp(seconds: second)
        return TaskSummary(
            id: UUID(), taskId: id, type: .custom, kind: "k", name: "n", description: nil, status: status, requested: requested,
            accountId: UUID(), priority: 0, progress: progress, statusMessage: nil,
            parameters: ["older_than": 3, "deep": ["snake_case": true]], results: [:], errorCode: nil, errorMessage: nil, attempt: 1,
            maxAttempts: 3, estimatedDurationSeconds: nil, runAt: nil, waitsFor: 0, batchId: nil, uniqueKey: nil, parentTaskId: nil,
            createdAt: Timestamp(seconds: 0), updatedAt: time, lastActivity: time, startedAt: nil, completedAt: nil, deadAt: nil)
    }

    static func text(_ value: some Encodable) -> String {
        (try? DriveJSON.text(value)) ?? "not JSON"
    }

    static func reply(_ value: some Encodable) -> ServerAnswer {
        .reply(200, [], text(value))
    }
}
