import DriveModel
import Foundation
import NIOHTTP1
import Synchronization
import Testing

@testable import DriveClient

/// Following tasks, and changes whose reply was lost.
@Suite(.timeLimit(.minutes(1))) struct TaskWatchTests {
    /// Answers in order; the last one again and again. Keeps what was asked.
    private final class Script: Sendable {
        private let state: Mutex<(answers: [ServerAnswer], requests: [ServerRequest])>

        init(_ answers: [ServerAnswer]) {
            state = Mutex((answers, []))
        }

        func answer(_ request: ServerRequest) -> ServerAnswer {
            state.withLock { state in
                state.requests.append(request)
                return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
            }
        }

        var requests: [ServerRequest] { state.withLock { $0.requests } }
    }

    @Test func changesAreToldOnceAndTheEndEndsIt() async throws {
        let id = UUID()
        func task(_ status: TaskStatus, _ progress: Double, at second: Int64) -> ServerAnswer {
            var task = TaskScene.task("t", status, progress: progress, at: second)
            (task.id, task.accountId) = (id, id)
            return TaskScene.reply(task)
        }
        let script = Script([
            task(.pending, 0, at: 1), task(.pending, 0, at: 1), task(.inProgress, 10, at: 2), task(.inProgress, 10, at: 3), .drop,
            errorAnswer(503, "SHUTTING_DOWN"), task(.inProgress, 60, at: 4), task(.completed, 100, at: 5),
        ])
        try await TaskScene.with(script.answer) { client, clock in
            var seen: [String] = []
            for try await task in client.watchTask("t", every: .seconds(5)) { seen.append("\(task.status.rawValue) \(Int(task.progress))") }
            // A sign of life alone is no change, and neither the broken connection nor the restart ends it.
            #expect(seen == ["Pending 0", "InProgress 10", "InProgress 60", "Completed 100"])
            #expect(clock.now >= .seconds(25))
        }
        #expect(script.requests.count == 8)
    }

    @Test func aRefusalEndsIt() async throws {
        try await TaskScene.with { _ in
            errorAnswer(404, "TASK_NOT_FOUND")
        } _: { client, _ in
            let error = await #expect(throws: DriveClientError.self) { for try await _ in client.watchTask("t") {} }
            #expect(error?.serverReply?.code == "TASK_NOT_FOUND")
        }
    }

    @Test func patienceEndsIt() async throws {
        try await TaskScene.with { _ in
            .drop
        } _: { client, _ in
            let error = await #expect(throws: DriveClientError.self) {
                for try await _ in client.watchTask("t", retrying: RetryPolicy(patience: .seconds(60))) {}
            }
            guard case .gaveUp? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    /// Tasks by id; each look at the three lists of open ones is a round, and rounds decide what they are.
    @Test func openTasksAreFollowedToTheirEndsAlsoNewOnes() async throws {
        let looks = Mutex(0)
        let all = [
            TaskScene.task("a", .pending), TaskScene.task("b", .inProgress, progress: 20), TaskScene.task("c", .paused),
        ]
        let states: @Sendable (Int) -> [TaskSummary] = { round in
            var (a, b, c) = (all[0], all[1], all[2])
            if round >= 2 { (a.status, a.progress) = (.completed, 100) }
            if round >= 3 { b.status = .failed }
            if round >= 4 { c.status = .cancelled }
            // c is made after the first look; b is deleted once it has failed.
            return round == 1 ? [a, b] : round >= 4 ? [a, c] : [a, b, c]
        }
        try await TaskScene.with { request in
            if request.query["status"] == TaskStatus.pending.rawValue { looks.withLock { $0 += 1 } }
            let tasks = states(looks.withLock { $0 })
            guard let wanted = request.query["status"] else {
                return tasks.first { request.path.hasSuffix("/\($0.taskId)") }.map { TaskScene.reply($0) }
                    ?? errorAnswer(404, "TASK_NOT_FOUND")
            }
            return TaskScene.reply(tasks.filter { $0.status.rawValue == wanted })
        } _: { client, _ in
            var seen: [String] = []
            for try await task in client.watchOpenTasks() { seen.append("\(task.taskId) \(task.status.rawValue)") }
            #expect(Set(seen.prefix(2)) == ["a Pending", "b InProgress"])
            #expect(Set(seen.dropFirst(2)) == ["a Completed", "c Paused", "b Failed", "c Cancelled"])
            #expect(seen.count == 6)
        }
    }

    @Test func withNothingOpenThereIsNothingToFollow() async throws {
        try await TaskScene.with { _ in
            .reply(200, [("X-Total", "0")], "[]")
        } _: { client, _ in
            for try await task in client.watchOpenTasks() { Issue.record("\(task)") }
        }
    }

    @Test func aRepeatedCreationKeepsItsKey() async throws {
        let script = Script([.drop, errorAnswer(503, "DATABASE_UNAVAILABLE"), TaskScene.reply(TaskScene.task("t"))])
        try await TaskScene.with(script.answer) { client, _ in
            _ = try await client.createTask(CreateTaskRequest(type: .custom, kind: "k"))
            _ = try await client.createTask(CreateTaskRequest(type: .custom, kind: "k"))
            // The answer is no batch; what was sent counts.
            _ = try? await client.createTaskBatch(CreateBatchRequest(name: "n", tasks: []), idempotencyKey: "mine")
        }
        let keys = script.requests.map { $0.headers.first(name: "Idempotency-Key") ?? "" }
        #expect(keys.count == 5 && keys[0].count == 22 && Set(keys.prefix(3)).count == 1)
        #expect(Set(keys).count == 3 && keys.last == "mine")
    }

    struct Change: Sendable, CustomTestStringConvertible {
        var verb: String
        var reached: TaskSummary
        var call: @Sendable (DriveClient) async throws -> TaskSummary
        var testDescription: String { verb }
    }

    static let changes = [
        Change(verb: "pause", reached: TaskScene.task("t", .paused)) { try await $0.pauseTask("t") },
        Change(verb: "pause of a running one", reached: TaskScene.task("t", .inProgress, requested: .pause)) {
            try await $0.pauseTask("t")
        },
        Change(verb: "resume", reached: TaskScene.task("t", .inProgress)) { try await $0.resumeTask("t") },
        Change(verb: "cancel", reached: TaskScene.task("t", .cancelled)) { try await $0.cancelTask("t") },
        Change(verb: "retry", reached: TaskScene.task("t", .inProgress)) { try await $0.retryTask("t") },
    ]

    @Test(arguments: changes) func aChangeWhoseReplyWasLostHasHappened(_ change: Change) async throws {
        let script = Script([.drop, errorAnswer(409, "TASK_STATE"), TaskScene.reply(change.reached)])
        try await TaskScene.with(script.answer) { client, _ in
            let task = try await change.call(client)
            #expect(task == change.reached)
        }
    }

    @Test(arguments: changes) func aRefusedChangeIsAnError(_ change: Change) async throws {
        // Refused at once; and refused after a lost reply, with the task elsewhere.
        let elsewhere = TaskScene.reply(TaskScene.task("t", .completed))
        for answers in [[errorAnswer(409, "TASK_STATE")], [.drop, errorAnswer(409, "TASK_STATE"), elsewhere]] {
            let script = Script(answers)
            try await TaskScene.with(script.answer) { client, _ in
                let error = await #expect(throws: DriveClientError.self) { try await change.call(client) }
                #expect(error?.serverReply?.code == "TASK_STATE")
                #expect(error?.isRetryable == false)
            }
            #expect(script.requests.count == answers.count)
        }
    }
}
