import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Lists, statistics, batches, timetables, and what is made once alone.
@Suite(.timeLimit(.minutes(1))) struct TaskListTests {
    @Test func listsAreFilteredSortedAndPaged() async throws {
        let client = try await SharedServer.client("task-list")
        let kinds = [uniqueKind("a"), uniqueKind("b")]
        var made: [TaskSummary] = []
        for index in 0..<6 {
            made.append(
                try await client.makeCustom(
                    kinds[index % 2], ["name": .string("task \(5 - index)"), "priority": .integer(Int64(index * 10))]))
        }
        try await client.changed(made[0].taskId, "pause")
        try await client.changed(made[1].taskId, "cancel")
        func names(_ query: String) async throws -> (names: [String], total: String?) {
            let reply = try await client.get("/tasks\(query)")
            return (try reply.decode([TaskSummary].self).map(\.name), reply.header("X-Total"))
        }
        #expect(try await names("").total == "6")
        #expect(try await names("?limit=1").names == ["task 4"], "what changed last stands first")
        #expect(try await names("?status=Pending").total == "4")
        #expect(try await names("?status=Paused").names == ["task 5"])
        #expect(try await names("?kind=\(kinds[1])&sortBy=name&sortDescending=false").names == ["task 0", "task 2", "task 4"])
        #expect(try await names("?type=FileMove").total == "0")
        let page = try await names("?sortBy=priority&sortDescending=true&offset=1&limit=2")
        #expect(page.names == ["task 1", "task 2"] && page.total == "6")
        #expect(try await names("?sortBy=createdAt&sortDescending=false&limit=1").names == ["task 5"])
        let recent: [TaskSummary] = try await client.get("/tasks/recent?limit=2").decode()
        #expect(recent.count == 2)
        for query in ["?type=Nonsense", "?status=Nonsense", "?sortBy=nonsense", "?limit=0", "?limit=501", "?offset=-1"] {
            expectRefusal(try await client.get("/tasks\(query)"), 400, "INVALID_REQUEST", comment: query)
        }
        let statistics: TaskStatistics = try await client.get("/tasks/stats").decode()
        #expect(statistics.totalTasks == 6 && statistics.pendingTasks == 4 && statistics.pausedTasks == 1, "\(statistics)")
        #expect(statistics.cancelledTasks == 1 && statistics.byType == ["Custom": 6] && statistics.recentActivity.count == 6)

        #expect(try await client.delete("/tasks/cleanup").json == ["removed": 0], "nothing has ended thirty days ago")
        #expect(try await client.delete("/tasks/cleanup?olderThanDays=0").json == ["removed": 1])
        #expect(try await names("").total == "5")
        expectRefusal(try await client.delete("/tasks/cleanup?olderThanDays=-1"), 400, "INVALID_REQUEST")
    }

    @Test func aRequestIsDoneOnce() async throws {
        let client = try await SharedServer.client("task-once")
        let kind = uniqueKind("once")
        func make(_ key: String, _ more: [String: JSONValue] = [:]) async throws -> Reply {
            let fields: [String: JSONValue] = ["type": "Custom", "kind": .string(kind)]
            return try await client.send(
                .POST, "/tasks", json: .object(fields.merging(more) { _, new in new }), headers: [("Idempotency-Key", key)])
        }
        let first = try await make("k")
        let second = try await make("k")
        #expect(first.status == 201 && second.status == 200, "\(second)")
        #expect(first.json["taskId"] == second.json["taskId"])
        expectRefusal(try await make("k", ["priority": 3]), 422, comment: "the same key for another request")
        let replies = try await withThrowingTaskGroup(of: Reply.self) { group in
            for _ in 0..<16 { group.addTask { try await make("race") } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(replies.count { $0.status == 201 } == 1 && Set(replies.map { $0.json["taskId"]?.string }).count == 1)
        #expect(try await client.get("/tasks").header("X-Total") == "2")

        // A unique key holds while its task is open.
        let unique = try await make("u1", ["uniqueKey": "nightly"])
        let same = try await make("u2", ["uniqueKey": "nightly"])
        #expect(unique.status == 201 && same.status == 200 && unique.json["taskId"] == same.json["taskId"])
        try await client.changed(try #require(unique.json["taskId"]?.string), "cancel")
        #expect(try await make("u3", ["uniqueKey": "nightly"]).status == 201)
    }

    @Test func whatCannotBeMeantIsRefused() async throws {
        let client = try await SharedServer.client("task-refused")
        let far = JSONValue.string("2999-01-01T00:00:00Z")
        for (body, rule): (JSONValue, String) in [
            (["type": "Custom"], "kind"), (["type": "Custom", "kind": "a b"], "kind"), (["type": "Custom", "kind": "drive.x"], "kind"),
            (["type": "FileMove", "kind": "a"], "kind"), (["type": "Custom", "kind": "a", "priority": 101], "priority"),
            (["type": "Custom", "kind": "a", "name": ""], "name"), (["type": "Custom", "kind": "a", "maxAttempts": 0], "maxAttempts"),
            (["type": "Custom", "kind": "a", "runAt": far], "runAt"), (["type": "Custom", "kind": "a", "uniqueKey": ""], "uniqueKey"),
            (["type": "Custom", "kind": "a", "parameters": ["text": .string("a\0b")]], "parameters"),
        ] {
            let reply = try await client.send(.POST, "/tasks", json: body)
            expectRefusal(reply, 400, "INVALID_REQUEST", comment: "\(body)")
            #expect(reply.error?.details["rule"] == .string(rule), "\(reply)")
        }
        for body: JSONValue in [["type": "Nonsense"], [:], ["type": "Custom", "kind": 5], []] {
            expectRefusal(try await client.send(.POST, "/tasks", json: body), 400, "INVALID_REQUEST", comment: "\(body)")
        }
        let unknown: JSONValue = ["type": "Custom", "kind": "a", "dependsOn": ["nosuchtask"]]
        expectRefusal(try await client.send(.POST, "/tasks", json: unknown), 404, "TASK_NOT_FOUND")
        #expect(try await client.get("/tasks").header("X-Total") == "0")
    }

    @Test func aBatchCountsItsTasksAndCancelsTheRest() async throws {
        let client = try await SharedServer.client("task-batch")
        let kind = uniqueKind("batch")
        let custom: [String: JSONValue] = ["type": "Custom", "kind": .string(kind), "maxAttempts": 1]
        func task(_ more: [String: JSONValue] = [:]) -> JSONValue { .object(custom.merging(more) { _, new in new }) }
        let wrong = try await client.send(.POST, "/tasks/batches", json: ["name": "b", "tasks": [task(), task(["priority": 999])]])
        expectRefusal(wrong, 400, "INVALID_REQUEST")
        #expect(wrong.error?.details["index"] == 1)
        expectRefusal(try await client.send(.POST, "/tasks/batches", json: ["name": "b", "tasks": []]), 400, "INVALID_REQUEST")
        let forward: JSONValue = ["name": "b", "tasks": [task(["dependsOn": ["#1"]]), task()]]
        expectRefusal(try await client.send(.POST, "/tasks/batches", json: forward), 400, "INVALID_REQUEST")
        #expect(try await client.get("/tasks").header("X-Total") == "0", "all or none")

        let request: JSONValue = [
            "name": "four", "tasks": [task(["name": "first"]), task(["dependsOn": ["#0"]]), task(), task(["dependsOn": ["#2"]])],
        ]
        let created = try await client.send(.POST, "/tasks/batches", json: request, headers: [("Idempotency-Key", "b")])
        #expect(created.status == 201, "\(created)")
        let batch: TaskBatch = try created.decode()
        #expect(batch.totalTasks == 4 && batch.completedTasks == 0 && batch.progress == 0 && batch.completedAt == nil)
        let again = try await client.send(.POST, "/tasks/batches", json: request, headers: [("Idempotency-Key", "b")])
        #expect(try again.decode(TaskBatch.self).batchId == batch.batchId)
        #expect(try await client.get("/tasks?batchId=\(batch.batchId)").header("X-Total") == "4")

        // The first and the third are free; the third fails, so the fourth is cancelled with that reason.
        let leases = [try await client.leased(kind), try await client.leased(kind)]
        #expect(try await client.lease(kind, waitSeconds: 0).status == 204, "the others wait for them")
        let first = try #require(leases.first { $0.task.name == "first" })
        let third = try #require(leases.first { $0.task.name != "first" })
        #expect(try await client.work("complete", first.leaseId).status == 200)
        #expect(try await client.work("fail", third.leaseId, ["errorMessage": "broken"]).status == 200)
        let tasks: [TaskSummary] = try await client.get("/tasks?batchId=\(batch.batchId)").decode()
        let cancelled = try #require(tasks.first { $0.status == .cancelled })
        #expect(cancelled.errorMessage?.contains(third.task.taskId) == true, "\(cancelled)")
        let half: TaskBatch = try await client.get("/tasks/batches/\(batch.batchId)").decode()
        #expect(half.completedTasks == 1 && half.failedTasks == 1 && half.cancelledTasks == 1 && half.completedAt == nil, "\(half)")
        #expect(half.progress >= 75 && half.progress < 100, "\(half)")
        let second = try await client.leased(kind)
        let done = try await client.send(.POST, "/tasks/batches/\(batch.batchId)/cancel").decode(TaskBatch.self)
        #expect(done.cancelledTasks == 2 && done.completedAt != nil && done.progress == 100, "\(done)")
        expectRefusal(try await client.work("complete", second.leaseId), 409, "LEASE_LOST")

        let list = try await client.get("/tasks/batches")
        #expect(list.header("X-Total") == "1")
        #expect(try list.decode([TaskBatch].self).map(\.batchId) == [batch.batchId])
        let stranger = try await SharedServer.client("task-batch-stranger")
        expectRefusal(try await stranger.get("/tasks/batches/\(batch.batchId)"), 404, "NOT_FOUND")
        expectRefusal(try await stranger.send(.POST, "/tasks/batches/\(batch.batchId)/cancel"), 404, "NOT_FOUND")
    }

    /// That it makes its tasks, one after the other, the engine's own suite shows with a clock of its own.
    @Test func aTimetableIsKeptForItsAccount() async throws {
        let client = try await SharedServer.client("task-schedule")
        let kind = uniqueKind("tick")
        let task: JSONValue = ["type": "Custom", "kind": .string(kind), "parameters": ["n_n": 1]]
        for (cron, field): (String, String?) in [
            ("nonsense", nil), ("61 * * * *", "minute"), ("@every 0s", "@every"), ("0 0 30 2 *", nil), ("@every 59s", nil),
        ] {
            let reply = try await client.send(.POST, "/tasks/schedules", json: ["cron": .string(cron), "task": task])
            expectRefusal(reply, 400, "INVALID_REQUEST", comment: cron)
            #expect(reply.error?.details["rule"] == "cron", "\(reply)")
            if let field { #expect(reply.error?.details["field"] == .string(field), "\(reply)") }
        }
        let created = try await client.send(.POST, "/tasks/schedules", json: ["cron": "@every 1m", "task": task])
        #expect(created.status == 201, "\(created)")
        let schedule: TaskSchedule = try created.decode()
        let schedules: [TaskSchedule] = try await client.get("/tasks/schedules").decode()
        #expect(schedules.map(\.scheduleId) == [schedule.scheduleId], "\(schedules)")
        #expect(schedules.first?.task.parameters == ["n_n": 1])
        let stranger = try await SharedServer.client("task-schedule-stranger")
        expectRefusal(try await stranger.delete("/tasks/schedules/\(schedule.scheduleId)"), 404, "NOT_FOUND")
        #expect(try await client.delete("/tasks/schedules/\(schedule.scheduleId)").status == 204)
        expectRefusal(try await client.delete("/tasks/schedules/\(schedule.scheduleId)"), 404, "NOT_FOUND")
    }

    @Test func aTaskStartsAtItsTimeAndInOrderOfPriority() async throws {
        let client = try await SharedServer.client("task-order")
        let (kind, timed) = (uniqueKind("order"), uniqueKind("later"))
        let later = try await client.makeCustom(
            timed, ["runAt": .string((Surroundings.system.now() + .milliseconds(1500)).description), "priority": 100])
        let time = try #require(later.runAt)
        #expect(later.status == .pending)
        for (name, priority): (String, Int64) in [("low", 0), ("high", 90), ("middle", 50)] {
            try await client.makeCustom(kind, ["name": .string(name), "priority": .integer(priority)])
        }
        var order: [String] = []
        for _ in 1...3 { order.append(try await client.leased(kind).task.name) }
        #expect(order == ["high", "middle", "low"])
        #expect(try await client.leased(timed).task.taskId == later.taskId)
        let now = Surroundings.system.now()
        #expect(now >= time && now - time < .seconds(5), "not before its time, and soon after it")
    }
}
