import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What administrators see and steer of everybody's, and nobody else does.
@Suite(.timeLimit(.minutes(2))) struct TaskAdministrationTests {
    @Test func attemptsAndItemsOfOthersAreSeenAndTheirEndedTasksDeleted() async throws {
        let owner = try await SharedServer.client("administered")
        let admin = try await SharedServer.client("administers", admin: true)
        let kind = uniqueKind("administered")
        let task = try await owner.makeCustom(kind, ["maxAttempts": 1])
        let (own, all) = ("/tasks/\(task.taskId)", "/admin/tasks/\(task.taskId)")
        expectRefusal(try await admin.delete(all), 409, "TASK_STATE")
        let lease = try await owner.leased(kind)
        #expect(try await owner.work("fail", lease.leaseId, ["errorMessage": "broken", "retryable": false]).status == 200)
        for path in [own, all] {
            let client = path == own ? owner : admin
            #expect(try await client.get(path + "/attempts").decode([TaskAttempt].self).map(\.errorMessage) == ["broken"])
            let items = try await client.get(path + "/items")
            #expect(items.status == 200 && items.header("X-Total") == "0", "\(items)")
        }
        for suffix in ["", "/attempts", "/items"] {
            expectRefusal(try await admin.get(own + suffix), 404, "TASK_NOT_FOUND")
            expectRefusal(try await owner.get(all + suffix), 403, "FORBIDDEN")
        }
        expectRefusal(try await admin.delete(own), 404, "TASK_NOT_FOUND")
        #expect(try await admin.delete(all).status == 204)
        expectRefusal(try await owner.get(own), 404, "TASK_NOT_FOUND")
        expectRefusal(try await admin.delete(all), 404, "TASK_NOT_FOUND")
    }

    @Test func batchesAndTimetablesOfOthersAreSeenAndEnded() async throws {
        let owner = try await SharedServer.client("administered-groups")
        let admin = try await SharedServer.client("administers", admin: true)
        let task: JSONValue = ["type": "Custom", "kind": .string(uniqueKind("group"))]
        let batch: TaskBatch = try await owner.send(.POST, "/tasks/batches", json: ["name": "b", "tasks": [task, task]]).decode()
        let schedule: TaskSchedule = try await owner.send(
            .POST, "/tasks/schedules", json: ["cron": "@daily", "task": task]
        ).decode()
        let account = batch.accountId.uuidString.lowercased()

        let batches = try await admin.get("/admin/tasks/batches?accountId=\(account)")
        #expect(try batches.decode([TaskBatch].self) == [batch])
        #expect(batches.header("X-Total") == "1")
        #expect(try await admin.get("/admin/tasks/batches").decode([TaskBatch].self).contains(batch))
        #expect(try await admin.get("/tasks/batches").decode([TaskBatch].self).isEmpty)
        expectRefusal(try await admin.get("/tasks/batches/\(batch.batchId)"), 404, "NOT_FOUND")
        #expect(try await admin.get("/admin/tasks/batches/\(batch.batchId)").decode(TaskBatch.self) == batch)
        let cancelled = try await admin.send(.POST, "/admin/tasks/batches/\(batch.batchId)/cancel").decode(TaskBatch.self)
        #expect(cancelled.cancelledTasks == 2)

        let schedules: [TaskSchedule] = try await admin.get("/admin/tasks/schedules?accountId=\(account)").decode()
        #expect(schedules.map(\.scheduleId) == [schedule.scheduleId])
        let everybodys: [TaskSchedule] = try await admin.get("/admin/tasks/schedules").decode()
        #expect(everybodys.contains { $0.scheduleId == schedule.scheduleId })
        // The server's own are seen, and stay.
        let own = try #require(everybodys.first { $0.accountId.uuidString == "00000000-0000-0000-0000-000000000000" })
        expectRefusal(try await admin.delete("/admin/tasks/schedules/\(own.scheduleId)"), 403, "FORBIDDEN")
        expectRefusal(try await admin.delete("/tasks/schedules/\(schedule.scheduleId)"), 404, "NOT_FOUND")
        #expect(try await admin.delete("/admin/tasks/schedules/\(schedule.scheduleId)").status == 204)
        #expect(try await owner.get("/tasks/schedules").json == [])
    }

    /// The first answer is 201, a repetition's 200: of a task, a batch and a timetable alike.
    @Test func aRepetitionIsToldFromTheFirst() async throws {
        let client = try await SharedServer.client("idempotent")
        let task: JSONValue = ["type": "Custom", "kind": .string(uniqueKind("once"))]
        for (path, id, body): (String, String, JSONValue) in [
            ("/tasks", "taskId", task), ("/tasks/batches", "batchId", ["name": "b", "tasks": [task]]),
            ("/tasks/schedules", "scheduleId", ["cron": "@daily", "task": task]),
        ] {
            let key = [("Idempotency-Key", "key of \(path)")]
            let first = try await client.send(.POST, path, json: body, headers: key)
            let again = try await client.send(.POST, path, json: body, headers: key)
            #expect(first.status == 201 && again.status == 200, "\(path): \(first) \(again)")
            #expect(first.json[id] != nil && first.json[id] == again.json[id], "\(path)")
            let other = try await client.send(.POST, path, json: body, headers: [("Idempotency-Key", "another of \(path)")])
            #expect(other.status == 201 && other.json[id] != first.json[id], "\(path): \(other)")
            guard path != "/tasks/batches", let made = first.json[id]?.string else { continue }
            if path == "/tasks" { try await client.changed(made, "cancel") }
            #expect(try await client.delete("\(path)/\(made)").status == 204)
            let gone = try await client.send(.POST, path, json: body, headers: key)
            expectRefusal(gone, 410, "IDEMPOTENCY_RESULT_GONE", comment: path)
            #expect(gone.error?.details["id"] == .string(made), "\(gone)")
        }
    }

    /// Bodies that do not fit, over the wire.
    @Test func aMisfitIsNamed() async throws {
        let client = try await SharedServer.client("task-misfits")
        func refused(_ text: String) async throws -> ErrorReply? {
            let reply = try await client.send(.POST, "/tasks", headers: [("Content-Type", "application/json")], body: Array(text.utf8))
            expectRefusal(reply, 400, "INVALID_REQUEST", comment: text)
            return reply.error
        }
        let priority = try await refused(#"{"type":"Custom","kind":"a","priority":1.5}"#)
        #expect(priority?.message == "The field priority must be a whole number, not 1.5.")
        #expect(priority?.details["rule"] == "priority")
        let type = try await refused(#"{"type":"Nonsense"}"#)
        #expect(type?.message.contains("BulkOperation") == true && type?.message.contains("Nonsense") == true)
        let digits = #"{"type":"Custom","kind":"\#(uniqueKind("digits"))","parameters":{"n":[9007199254740993,18446744073709551615]}}"#
        let kept = try await client.send(.POST, "/tasks", headers: [("Content-Type", "application/json")], body: Array(digits.utf8))
        #expect(kept.text.contains("[9007199254740993,18446744073709551615]"), "\(kept)")
    }
}
