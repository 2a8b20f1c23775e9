import DriveModel
import Foundation
import NIOHTTP1
import Synchronization
import Testing

@testable import DriveClient

/// What each task method sends, and that it understands the answer.
@Suite struct TaskRequestTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var line: String
        var query: [String: String] = [:]
        var body: JSONValue?
        var reply: String
        var call: @Sendable (DriveClient) async throws -> Bool
        var testDescription: String { line }
    }

    @Test(arguments: reading + changing + many + everybodys) func aMethodIsItsRequest(_ wanted: Case) async throws {
        let asked = Mutex<[ServerRequest]>([])
        try await TaskScene.with { request in
            asked.withLock { $0.append(request) }
            return .reply(200, [("X-Total", "7")], wanted.reply)
        } _: { client, _ in
            let isUnderstood = try await wanted.call(client)
            #expect(isUnderstood)
        }
        let request = try #require(asked.withLock { $0.count == 1 ? $0[0] : nil })
        #expect("\(request.method) \(request.path)" == wanted.line)
        #expect(request.query == wanted.query)
        #expect(request.headers.first(name: "Authorization") == "Bearer account-token")
        let body: JSONValue? = request.body.isEmpty ? nil : try JSONDecoder().decode(JSONValue.self, from: Data(request.body))
        #expect(body == wanted.body)
    }

    private static let task = TaskScene.text(TaskScene.task("t"))
    private static let account = "0190a1b2-0000-7000-8000-00000000000a"

    private static let reading: [Case] = [
        Case(
            line: "GET /api/tasks",
            query: [
                "type": "Custom", "kind": "word%20count", "status": "Failed", "batchId": "b", "sortBy": "name", "sortDescending": "false",
                "offset": "3", "limit": "2",
            ], reply: "[\(task)]",
            call: {
                let filter = TaskFilter(
                    type: .custom, kind: "word count", status: .failed, batchId: "b", sortBy: "name", sortDescending: false)
                let page = try await $0.tasks(filter, offset: 3, limit: 2)
                return page.elements.map(\.taskId) == ["t"] && page.total == 7
            }),
        Case(
            line: "GET /api/admin/tasks", query: ["accountId": account, "offset": "0", "limit": "50"], reply: "[]",
            call: { try await $0.tasks(TaskFilter(accountId: UUID(uuidString: account)), of: .all).elements.isEmpty }),
        Case(
            line: "GET /api/tasks/t", reply: task,
            // Keys of parameters are the caller's own: not read as snake_case.
            call: { try await $0.task("t").parameters == ["older_than": 3, "deep": ["snake_case": true]] }),
        Case(line: "GET /api/admin/tasks/t", reply: task, call: { try await $0.task("t", of: .all).taskId == "t" }),
        Case(
            line: "GET /api/tasks/stats",
            reply: """
                {"totalTasks":3,"pendingTasks":1,"inProgressTasks":0,"pausedTasks":0,"completedTasks":2,"failedTasks":0,
                "cancelledTasks":0,"expiredTasks":0,"deadLetters":0,"averageProgress":66.5,"byType":{"FileMove":3},"recentActivity":[]}
                """,
            call: {
                let statistics = try await $0.taskStatistics()
                return statistics.byType == ["FileMove": 3] && statistics.completedTasks == 2
            }),
        Case(
            line: "GET /api/tasks/recent", query: ["limit": "4"], reply: "[\(task)]",
            call: { try await $0.recentTasks(limit: 4).count == 1 }),
        Case(
            line: "GET /api/tasks/dead", query: ["offset": "1", "limit": "2"], reply: "[\(task)]",
            call: { try await $0.deadTasks(offset: 1, limit: 2).total == 7 }),
        Case(
            line: "GET /api/tasks/t/attempts",
            reply: #"[{"attempt":1,"outcome":"lost","errorCode":"LEASE_EXPIRED","errorMessage":"m","worker":"w","#
                + #""endedAt":"2026-01-01T00:00:00Z"}]"#,
            call: { try await $0.taskAttempts("t").map(\.outcome) == [.lost] }),
        Case(
            line: "GET /api/tasks/t/items", query: ["offset": "0", "limit": "50"], reply: #"[{"itemId":"f","outcome":"planned"}]"#,
            call: { try await $0.taskItems("t").elements == [TaskItem(itemId: "f", outcome: .planned)] }),
        Case(
            line: "GET /api/admin/tasks/queues",
            reply: #"[{"queue":"custom:a","type":"Custom","pending":1,"scheduled":2,"running":3}]"#,
            call: { try await $0.taskQueues().map(\.running) == [3] }),
    ]

    private static let changing: [Case] = [
        Case(line: "POST /api/tasks/t/pause", reply: task, call: { try await $0.pauseTask("t").taskId == "t" }),
        Case(line: "POST /api/tasks/t/resume", reply: task, call: { try await $0.resumeTask("t").taskId == "t" }),
        Case(line: "POST /api/admin/tasks/t/cancel", reply: task, call: { try await $0.cancelTask("t", of: .all).taskId == "t" }),
        Case(line: "POST /api/tasks/t/retry", reply: task, call: { try await $0.retryTask("t").taskId == "t" }),
        Case(
            line: "PUT /api/tasks/t/priority", body: ["priority": 80], reply: task,
            call: { try await $0.setTaskPriority("t", to: 80).taskId == "t" }),
        Case(
            line: "DELETE /api/tasks/t", reply: "",
            call: {
                try await $0.deleteTask("t")
                return true
            }),
        Case(
            line: "DELETE /api/tasks/cleanup", query: ["olderThanDays": "7"], reply: #"{"removed":5}"#,
            call: { try await $0.cleanUpTasks(olderThanDays: 7) == 5 }),
        Case(
            line: "POST /api/tasks/dead/redrive", body: [:], reply: #"{"redriven":["t"]}"#,
            call: { try await $0.redriveTasks() == ["t"] }),
        Case(
            line: "POST /api/admin/tasks/dead/redrive", body: ["taskIds": ["t", "u"]], reply: #"{"redriven":["t"]}"#,
            call: { try await $0.redriveTasks(["t", "u"], of: .all) == ["t"] }),
    ]

    private static let batch =
        #"{"batchId":"b","name":"n","accountId":"\#(account)","totalTasks":2,"completedTasks":1,"failedTasks":0,"#
        + #""cancelledTasks":0,"progress":50,"createdAt":"2026-01-01T00:00:00Z"}"#
    private static let schedule =
        #"{"scheduleId":"s","accountId":"\#(account)","cron":"@daily","task":{"type":"Custom","kind":"k"},"#
        + #""nextRunAt":"2026-01-01T00:00:00Z"}"#

    private static let many: [Case] = [
        Case(
            line: "POST /api/tasks",
            body: ["type": "Custom", "kind": "k", "parameters": ["older_than": 3], "dependsOn": ["a"], "runAt": "2026-01-01T00:00:00Z"],
            reply: task,
            call: {
                let request = CreateTaskRequest(
                    type: .custom, kind: "k", parameters: ["older_than": 3], runAt: Timestamp("2026-01-01T00:00:00Z"), dependsOn: ["a"])
                return try await $0.createTask(request).taskId == "t"
            }),
        Case(
            line: "POST /api/tasks/batches", body: ["name": "n", "tasks": [["type": "Custom", "kind": "k"]]], reply: batch,
            call: {
                let request = CreateBatchRequest(name: "n", tasks: [CreateTaskRequest(type: .custom, kind: "k")])
                return try await $0.createTaskBatch(request).progress == 50
            }),
        Case(
            line: "GET /api/tasks/batches", query: ["offset": "0", "limit": "5"], reply: "[\(batch)]",
            call: { try await $0.taskBatches(limit: 5).total == 7 }),
        Case(line: "GET /api/tasks/batches/b", reply: batch, call: { try await $0.taskBatch("b").totalTasks == 2 }),
        Case(line: "POST /api/tasks/batches/b/cancel", reply: batch, call: { try await $0.cancelTaskBatch("b").batchId == "b" }),
        Case(
            line: "POST /api/tasks/schedules", body: ["cron": "@daily", "task": ["type": "Custom", "kind": "k"]], reply: schedule,
            call: { try await $0.createTaskSchedule(cron: "@daily", task: CreateTaskRequest(type: .custom, kind: "k")).cron == "@daily" }),
        Case(line: "GET /api/tasks/schedules", reply: "[\(schedule)]", call: { try await $0.taskSchedules().map(\.task.kind) == ["k"] }),
        Case(
            line: "DELETE /api/tasks/schedules/s", reply: "",
            call: {
                try await $0.deleteTaskSchedule("s")
                return true
            }),
    ]

    /// The same of whatever account.
    private static let everybodys: [Case] = [
        Case(line: "GET /api/admin/tasks/t/attempts", reply: "[]", call: { try await $0.taskAttempts("t", of: .all).isEmpty }),
        Case(
            line: "GET /api/admin/tasks/t/items", query: ["offset": "0", "limit": "50"], reply: "[]",
            call: { try await $0.taskItems("t", of: .all).total == 7 }),
        Case(
            line: "DELETE /api/admin/tasks/t", reply: "",
            call: {
                try await $0.deleteTask("t", of: .all)
                return true
            }),
        Case(
            line: "GET /api/admin/tasks/batches", query: ["offset": "0", "limit": "50"], reply: "[\(batch)]",
            call: { try await $0.taskBatches(of: .all).total == 7 }),
        Case(line: "GET /api/admin/tasks/batches/b", reply: batch, call: { try await $0.taskBatch("b", of: .all).totalTasks == 2 }),
        Case(
            line: "POST /api/admin/tasks/batches/b/cancel", reply: batch,
            call: { try await $0.cancelTaskBatch("b", of: .all).batchId == "b" }),
        Case(line: "GET /api/admin/tasks/schedules", reply: "[\(schedule)]", call: { try await $0.taskSchedules(of: .all).count == 1 }),
        Case(
            line: "DELETE /api/admin/tasks/schedules/s", reply: "",
            call: {
                try await $0.deleteTaskSchedule("s", of: .all)
                return true
            }),
    ]
}
