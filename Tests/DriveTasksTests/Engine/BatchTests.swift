import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// A group of tasks: counts, joint progress, one event at its end.
@Suite(.timeLimit(.minutes(3))) struct BatchTests {
    private static func requests(_ count: Int) -> [CreateTaskRequest] {
        (0..<count).map { CreateTaskRequest(type: .custom, kind: "quick", name: "task \($0)") }
    }

    private func batchEvents(_ site: TaskSite) async throws -> [JSONValue] {
        try await site.events().filter { $0.type == "batch.completed" }.map(\.data)
    }

    @Test(arguments: Engine.underTest)
    func countsAndTellsItsEndOnce(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let batch = try await site.service.createBatch(name: "many", tasks: Self.requests(4), idempotencyKey: nil, by: .someone)
            #expect(batch.totalTasks == 4)
            #expect(batch.progress == 0)
            var claimed = try await site.claim(4)
            try await site.end(Array(claimed.prefix(2)))
            var seen = try await site.service.batch(batch.batchId, in: .someone)
            #expect(seen.completedTasks == 2)
            #expect(seen.progress == 50)
            #expect(seen.completedAt == nil)
            #expect(try await batchEvents(site) == [])
            claimed.removeFirst(2)
            try await site.fail(Array(claimed.prefix(1)), retryable: false)
            _ = try await site.service.cancelTask(claimed[1].taskId, in: .someone, by: .someone)
            seen = try await site.service.batch(batch.batchId, in: .someone)
            #expect([seen.completedTasks, seen.failedTasks, seen.cancelledTasks] == [2, 1, 1])
            #expect(seen.progress == 100)
            #expect(seen.completedAt != nil)
            let events = try await batchEvents(site)
            #expect(events.count == 1)
            #expect(events.first?["failedTasks"] == 1)
            #expect(try await site.eventTypes().last == "batch.completed")
        }
    }

    @Test(arguments: Engine.underTest)
    func isOpenAgainWhereATaskIsTriedAgain(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let batch = try await site.service.createBatch(name: "two", tasks: Self.requests(2), idempotencyKey: nil, by: .someone)
            let claimed = try await site.claim(2)
            try await site.fail(Array(claimed.prefix(1)), retryable: false)
            _ = try await site.service.cancelTask(claimed[1].taskId, in: .someone, by: .someone)
            #expect(try await batchEvents(site).count == 1)
            for task in claimed { _ = try await site.service.retryTask(task.taskId, in: .someone, by: .someone) }
            let open = try await site.service.batch(batch.batchId, in: .someone)
            #expect([open.failedTasks, open.cancelledTasks] == [0, 0])
            #expect(open.completedAt == nil)
            try await site.end(try await site.claim(2))
            #expect(try await site.service.batch(batch.batchId, in: .someone).completedTasks == 2)
            #expect(try await batchEvents(site).count == 2)
        }
    }

    @Test(arguments: Engine.underTest)
    func aTaskMayWaitForAnEarlierOneOfTheGroup(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            var tasks = Self.requests(3)
            tasks[2].dependsOn = ["#0", "#1"]
            let batch = try await site.service.createBatch(name: "chain", tasks: tasks, idempotencyKey: nil, by: .someone)
            let claimed = try await site.claim(10)
            #expect(claimed.count == 2)
            try await site.fail(Array(claimed.prefix(1)), retryable: false)
            try await site.end(Array(claimed.suffix(1)))
            let seen = try await site.service.batch(batch.batchId, in: .someone)
            #expect([seen.completedTasks, seen.failedTasks, seen.cancelledTasks] == [1, 1, 1])
            tasks[0].dependsOn = ["#1"]
            let error = await expectRefusal(.invalidRequest) {
                _ = try await site.service.createBatch(name: "later", tasks: tasks, idempotencyKey: nil, by: .someone)
            }
            #expect(error?.details["index"] == 0)
            #expect(try await site.service.batches(offset: 0, limit: 10, in: .someone).total == 1)
        }
    }

    @Test(arguments: Engine.underTest)
    func isCancelledAsAWhole(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            var tasks = Self.requests(3)
            tasks[2].dependsOn = ["#0"]
            let batch = try await site.service.createBatch(name: "all", tasks: tasks, idempotencyKey: nil, by: .someone)
            try await site.end(Array(try await site.claim(2).suffix(1)))
            let seen = try await site.service.cancelBatch(batch.batchId, in: .someone, by: .someone)
            #expect([seen.completedTasks, seen.failedTasks, seen.cancelledTasks] == [1, 0, 2])
            #expect(try await batchEvents(site).count == 1)
            await expectRefusal(.notFound) { _ = try await site.service.cancelBatch(batch.batchId, in: .other, by: .other) }
        }
    }

    @Test(arguments: Engine.underTest)
    func itsKeyGivesTheFirstAnswerAgain(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try await service.createBatch(name: "b", tasks: Self.requests(2), idempotencyKey: "k", by: .someone).batchId
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(answers.count == 1)
            #expect(try await service.tasks(TaskListQuery(), in: .someone).total == 2)
            await expectRefusal(.idempotencyConflict) {
                _ = try await service.createBatch(name: "b", tasks: Self.requests(1), idempotencyKey: "k", by: .someone)
            }
        }
    }
}
