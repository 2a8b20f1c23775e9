import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Every change that an owner may ask for, from every status: what is allowed happens, and what is not names both statuses.
@Suite(.timeLimit(.minutes(1))) struct TaskChangeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var from: TaskStatus
        var event: String
        /// The status afterwards; nil: refused.
        var to: TaskStatus?
        /// What the refusal says was wanted.
        var wanted: TaskStatus?
        var testDescription: String { "\(event) of \(from.rawValue)" }

        static func allowed(_ from: TaskStatus, _ event: String, _ to: TaskStatus) -> Row { Row(from: from, event: event, to: to) }
        static func refused(_ from: TaskStatus, _ event: String, _ wanted: TaskStatus) -> Row {
            Row(from: from, event: event, wanted: wanted)
        }
    }

    static let rows: [Row] = [
        .allowed(.pending, "pause", .paused), .allowed(.inProgress, "pause", .inProgress), .allowed(.paused, "pause", .paused),
        .refused(.completed, "pause", .paused), .refused(.failed, "pause", .paused), .refused(.cancelled, "pause", .paused),
        .refused(.pending, "resume", .pending), .refused(.inProgress, "resume", .pending), .allowed(.paused, "resume", .pending),
        .refused(.completed, "resume", .pending), .refused(.failed, "resume", .pending), .refused(.cancelled, "resume", .pending),
        .allowed(.pending, "cancel", .cancelled), .allowed(.inProgress, "cancel", .cancelled), .allowed(.paused, "cancel", .cancelled),
        .refused(.completed, "cancel", .cancelled), .refused(.failed, "cancel", .cancelled), .allowed(.cancelled, "cancel", .cancelled),
        .refused(.pending, "retry", .pending), .refused(.inProgress, "retry", .pending), .refused(.paused, "retry", .pending),
        .refused(.completed, "retry", .pending), .allowed(.failed, "retry", .pending), .allowed(.cancelled, "retry", .pending),
    ]

    @Test(arguments: rows) func aChangeIsAllowedOrNamesBothStatuses(_ row: Row) async throws {
        let client = try await SharedServer.client("task-change")
        let taskId = try await make(row.from, by: client)
        let reply = try await client.change(taskId, row.event)
        if let to = row.to {
            #expect(reply.status == 200, "\(reply)")
            let task: TaskSummary = try reply.decode()
            #expect(task.status == to && task.taskId == taskId, "\(task)")
            #expect(task.requested == (row.from == .inProgress && row.event == "pause" ? .pause : nil))
            #expect(try await client.task(taskId).status == to)
        } else {
            expectRefusal(reply, 409, "TASK_STATE")
            #expect(reply.error?.details["status"] == .string(row.from.rawValue), "\(reply)")
            #expect(reply.error?.details["wanted"] == .string(row.wanted?.rawValue ?? ""), "\(reply)")
            #expect(reply.error?.message.contains(row.from.rawValue) == true, "\(reply)")
            #expect(try await client.task(taskId).status == row.from, "nothing has changed")
        }
    }

    /// A task in that status.
    private func make(_ status: TaskStatus, by client: TestClient) async throws -> String {
        let kind = uniqueKind("change")
        let task = try await client.makeCustom(kind, ["maxAttempts": 1])
        switch status {
        case .paused: try await client.changed(task.taskId, "pause")
        case .cancelled: try await client.changed(task.taskId, "cancel")
        case .inProgress, .completed, .failed:
            let lease = try await client.leased(kind)
            if status == .completed { #expect(try await client.work("complete", lease.leaseId).status == 200) }
            if status == .failed {
                #expect(try await client.work("fail", lease.leaseId, ["errorMessage": "it broke"]).status == 200)
            }
        case .pending, .expired: break
        }
        return task.taskId
    }

    @Test(arguments: [TaskStatus.pending, .inProgress, .paused, .completed, .failed, .cancelled])
    func priorityAndDeletionKeepToTheStatusToo(_ status: TaskStatus) async throws {
        let client = try await SharedServer.client("task-priority")
        let taskId = try await make(status, by: client)
        let priority = try await client.send(.PUT, "/tasks/\(taskId)/priority", json: ["priority": 80])
        let deletion = try await client.delete("/tasks/\(taskId)")
        if status.isTerminal {
            expectRefusal(priority, 409, "TASK_STATE")
            #expect(priority.error?.details["status"] == .string(status.rawValue))
            #expect(deletion.status == 204, "\(deletion)")
            expectRefusal(try await client.get("/tasks/\(taskId)"), 404, "TASK_NOT_FOUND")
        } else {
            #expect(priority.status == 200 && priority.json["priority"] == 80, "\(priority)")
            expectRefusal(deletion, 409, "TASK_STATE")
            #expect(deletion.error?.details["status"] == .string(status.rawValue) && deletion.error?.details["wanted"] == "deleted")
            for wrong: JSONValue in [["priority": 101], ["priority": -1], ["priority": "high"], [:]] {
                expectRefusal(try await client.send(.PUT, "/tasks/\(taskId)/priority", json: wrong), 400, "INVALID_REQUEST")
            }
        }
    }

    @Test func anotherAccountsTaskIsNotThere() async throws {
        let client = try await SharedServer.client("task-owner")
        let stranger = try await SharedServer.client("task-stranger")
        let task = try await client.makeCustom(uniqueKind("foreign"))
        for id in [task.taskId, "nosuchtask"] {
            for event in ["pause", "resume", "cancel", "retry"] {
                expectRefusal(try await stranger.change(id, event), 404, "TASK_NOT_FOUND", comment: event)
            }
            for path in ["", "/attempts", "/items"] {
                expectRefusal(try await stranger.get("/tasks/\(id)\(path)"), 404, "TASK_NOT_FOUND", comment: path)
            }
            expectRefusal(try await stranger.delete("/tasks/\(id)"), 404, "TASK_NOT_FOUND")
            expectRefusal(try await stranger.send(.PUT, "/tasks/\(id)/priority", json: ["priority": 1]), 404, "TASK_NOT_FOUND")
        }
        // An administrator sees and steers it, in everybody's list.
        let admin = try await SharedServer.client("task-admin", admin: true)
        expectRefusal(try await admin.get("/tasks/\(task.taskId)"), 404, "TASK_NOT_FOUND")
        #expect(try await admin.get("/admin/tasks/\(task.taskId)").decode(TaskSummary.self).taskId == task.taskId)
        let queues: [TaskQueueState] = try await admin.get("/admin/tasks/queues").decode()
        #expect(queues.first { $0.queue.hasSuffix(task.kind ?? "?") }?.pending == 1, "\(queues)")
        #expect(try await admin.send(.POST, "/admin/tasks/\(task.taskId)/pause").status == 200)
        #expect(try await client.task(task.taskId).status == .paused)
        let all = try await admin.get("/admin/tasks?accountId=\(task.accountId.uuidString.lowercased())&kind=\(task.kind ?? "")")
        #expect(all.header("X-Total") == "1", "\(all)")
        try await client.changed(task.taskId, "cancel")
    }

    /// Every error is kept; what failed for good lies among the dead letters until it is tried again.
    @Test func attemptsAreKeptAndDeadLettersRedriven() async throws {
        let client = try await SharedServer.client("task-dead")
        let kind = uniqueKind("poison")
        let task = try await client.makeCustom(kind, ["maxAttempts": 2, "name": "poison"])
        for attempt in 1...2 {
            // The wait after the first attempt is 1.6 to 2.4 s.
            let lease: TaskLease = try await client.lease(kind, waitSeconds: 10, worker: "w\(attempt)").decode()
            #expect(lease.task.attempt == attempt && lease.task.status == .inProgress)
            let failed: TaskSummary = try await client.work(
                "fail", lease.leaseId, ["errorCode": "BROKEN", "errorMessage": .string("try \(attempt)"), "retryable": true]
            ).decode()
            #expect(failed.status == (attempt == 1 ? .pending : .failed), "\(failed)")
            #expect((failed.runAt != nil) == (attempt == 1), "\(failed)")
            #expect(failed.errorCode == "BROKEN" && failed.errorMessage == "try \(attempt)", "\(failed)")
        }
        let attempts = try await client.attempts(task.taskId)
        #expect(attempts.map(\.attempt) == [1, 2] && attempts.map(\.errorMessage) == ["try 1", "try 2"], "\(attempts)")
        #expect(attempts.map(\.worker) == ["w1", "w2"] && attempts.allSatisfy { $0.outcome == .failed })

        let hopeless = try await client.makeCustom(kind)
        let lease = try await client.leased(kind)
        #expect(try await client.work("fail", lease.leaseId, ["errorMessage": "no", "retryable": false]).status == 200)
        #expect(try await client.task(hopeless.taskId).status == .failed, "of five attempts one was enough")

        let dead = try await client.get("/tasks/dead")
        #expect(dead.header("X-Total") == "2")
        #expect(Set(try dead.decode([TaskSummary].self).map(\.taskId)) == [task.taskId, hopeless.taskId])
        #expect(try dead.decode([TaskSummary].self).allSatisfy { $0.deadAt != nil })
        #expect(try await client.get("/tasks/stats").decode(TaskStatistics.self).deadLetters == 2)

        // All or none.
        let open = try await client.makeCustom(uniqueKind("open"))
        let mixed = try await client.send(
            .POST, "/tasks/dead/redrive", json: ["taskIds": [.string(task.taskId), .string(open.taskId)]])
        expectRefusal(mixed, 409, "TASK_STATE")
        #expect(mixed.error?.details["status"] == "Pending")
        expectRefusal(try await client.send(.POST, "/tasks/dead/redrive", json: ["taskIds": ["nosuchtask"]]), 404, "TASK_NOT_FOUND")
        #expect(try await client.get("/tasks/dead").header("X-Total") == "2")

        let one = try await client.send(.POST, "/tasks/dead/redrive", json: ["taskIds": [.string(task.taskId)]])
        #expect(one.status == 200 && one.json["redriven"] == [.string(task.taskId)], "\(one)")
        let rest = try await client.send(.POST, "/tasks/dead/redrive", json: [:])
        #expect(rest.json["redriven"] == [.string(hopeless.taskId)], "\(rest)")
        #expect(try await client.get("/tasks/dead").header("X-Total") == "0")
        for _ in 1...2 {
            let again = try await client.leased(kind)
            #expect(again.task.attempt == 1 && again.task.errorCode == nil && again.task.deadAt == nil, "\(again.task)")
            #expect(try await client.work("complete", again.leaseId, ["results": ["a_b": [1, .null]]]).status == 200)
        }
        let done = try await client.ended(task.taskId)
        #expect(done.results == ["a_b": [1, .null]] && done.errorMessage == nil)
        #expect(try await client.attempts(task.taskId).count == 2, "what went wrong before stays told")
    }
}
