import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// What the service makes of a request.
@Suite(.timeLimit(.minutes(3))) struct CreateTaskTests {
    private static func request(_ change: (inout CreateTaskRequest) -> Void = { _ in }) -> CreateTaskRequest {
        var request = CreateTaskRequest(type: .custom, kind: "quick", parameters: ["b": 2, "a": 1])
        change(&request)
        return request
    }

    @Test(arguments: Engine.underTest)
    func aKeyGivesTheFirstAnswerAgain(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let answers = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        let answer = try await service.createTask(Self.request(), idempotencyKey: "k", by: .someone)
                        return (answer.task.taskId, answer.isNew)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(answers.map(\.0)).count == 1)
            #expect(answers.count { $0.1 } == 1)
            #expect(try await service.tasks(TaskListQuery(), in: .someone).total == 1)
            await expectRefusal(.idempotencyConflict) {
                _ = try await service.createTask(Self.request { $0.priority = 5 }, idempotencyKey: "k", by: .someone)
            }
            // Another account's key is another key.
            #expect(try await service.createTask(Self.request(), idempotencyKey: "k", by: .other).isNew)
            for key in ["", String(repeating: "k", count: 256)] {
                await expectRefusal(.invalidRequest) {
                    _ = try await service.createTask(Self.request(), idempotencyKey: key, by: .someone)
                }
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func anOpenTaskOfTheUniqueKeyIsTheAnswer(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let keyed = Self.request { $0.uniqueKey = "u" }
            let first = try await site.service.createTask(keyed, idempotencyKey: nil, by: .someone)
            let second = try await site.service.createTask(keyed, idempotencyKey: nil, by: .someone)
            #expect(first.isNew)
            #expect(!second.isNew)
            #expect(first.task.taskId == second.task.taskId)
        }
    }

    private static let refused: [(CreateTaskRequest, DriveError.Code)] = [
        (request { $0.kind = nil }, .invalidRequest), (request { $0.kind = "a b" }, .invalidRequest),
        (request { $0.kind = "drive.x" }, .invalidRequest), (request { $0.priority = 101 }, .invalidRequest),
        (request { $0.priority = -1 }, .invalidRequest), (request { $0.name = "" }, .invalidRequest),
        (request { $0.name = "a\nb" }, .invalidRequest), (request { $0.maxAttempts = 0 }, .invalidRequest),
        (request { $0.parameters = ["a": "\u{0}"] }, .invalidRequest), (request { $0.uniqueKey = "schedule:x" }, .invalidRequest),
        (request { $0.dependsOn = ["nothing"] }, .taskNotFound), (request { $0.type = .fileMove }, .invalidRequest),
        (CreateTaskRequest(type: .fileUpload), .invalidRequest), (CreateTaskRequest(type: .fileEncrypt), .notImplemented),
    ]

    @Test(arguments: Engine.underTest)
    func refusesAndLeavesNothing(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            for (request, code) in Self.refused {
                await expectRefusal(code) { _ = try await site.service.createTask(request, idempotencyKey: "k", by: .someone) }
                let tasks = try await site.service.tasks(TaskListQuery(), in: .everybody)
                #expect(tasks.total == 0, "\(request)")
            }
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM idempotency_keys") == 0)
        }
    }

    /// What has ended makes room at once.
    @Test(arguments: Engine.underTest)
    func anAccountHasItsMostOpenTasks(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.maximumOpenPerAccount = 3 }) { site in
            let service = site.service
            for _ in 0..<3 { _ = try await service.createTask(Self.request(), idempotencyKey: nil, by: .someone) }
            let error = await expectRefusal(.tooManyTasks) {
                _ = try await service.createTask(Self.request(), idempotencyKey: nil, by: .someone)
            }
            #expect(error?.retryAfter != nil)
            #expect(try await service.createTask(Self.request(), idempotencyKey: nil, by: .other).isNew)
            try await site.end(try await site.claim(3, account: .someone))
            #expect(try await service.createTask(Self.request(), idempotencyKey: nil, by: .someone).isNew)
        }
    }

    /// Learned from those that finished.
    @Test(arguments: Engine.underTest)
    func estimatesItsDuration(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            #expect(try await service.createTask(Self.request(), idempotencyKey: nil, by: .someone).task.estimatedDurationSeconds == nil)
            for _ in 0..<4 {
                try await site.enqueue(kind: "quick")
                let claimed = try await site.claim(1)
                site.clock.advance(by: .seconds(20))
                try await site.end(claimed)
            }
            let estimate = try await service.createTask(Self.request(), idempotencyKey: nil, by: .someone).task.estimatedDurationSeconds
            #expect((19...22).contains(estimate ?? 0))
        }
    }
}
