import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// `drive tasks …` against a running server: what it prints, and what it ends with.
@Suite(.timeLimit(.minutes(1))) struct TaskCommandTests {
    /// The command as one account's owner types it.
    private struct Shell: Sendable {
        let client: TestClient

        static func make(_ account: String, admin: Bool = false) async throws -> Shell {
            Shell(client: try await SharedServer.client(account, admin: admin))
        }

        var environment: [String: String] { ["DRIVE_SERVER": client.base, "DRIVE_TOKEN": client.token ?? ""] }

        func run(_ arguments: String...) async throws -> CommandResult {
            try await DriveCommand.run(["tasks"] + arguments, environment: environment, atMost: .seconds(30))
        }

        /// A command that must succeed; its answer as JSON.
        func json<Value: Decodable>(
            _ arguments: String..., as type: Value.Type = Value.self, sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> Value {
            let result = try await DriveCommand.run(["tasks"] + arguments + ["--json"], environment: environment, atMost: .seconds(30))
            try #require(result.exit == .exited(0), "\(arguments): \(result)", sourceLocation: sourceLocation)
            #expect(result.output.filter(\.isNewline).count == 1, "one line: \(result.output)", sourceLocation: sourceLocation)
            return try JSONDecoder().decode(Value.self, from: Data(result.output.utf8))
        }

        /// A command that must fail like this, with nothing on standard output.
        func expectFailure(
            _ arguments: String..., exit: Int32, saying text: String = "", sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let result = try await DriveCommand.run(["tasks"] + arguments, environment: environment, atMost: .seconds(30))
            #expect(result.exit == .exited(exit), "\(arguments): \(result)", sourceLocation: sourceLocation)
            #expect(result.output.isEmpty, "\(result.output)", sourceLocation: sourceLocation)
            let isSaid = text.isEmpty ? !result.errors.isEmpty : result.errors.contains(text)
            #expect(isSaid, "\(result.errors)", sourceLocation: sourceLocation)
        }
    }

    @Test func aTaskIsMadeShownAndSteered() async throws {
        let shell = try await Shell.make("cli-steer")
        let kind = uniqueKind("cli")
        let made: TaskSummary = try await shell.json(
            "create", "--type", "custom", "--kind", kind, "--name", "from the shell", "--priority", "5", "--param", "text=to be", "top:=3",
            "--max-attempts", "1")
        #expect(made.parameters == ["text": "to be", "top": 3] && made.name == "from the shell" && made.priority == 5)
        #expect(try await shell.json("list", as: [TaskSummary].self).map(\.taskId) == [made.taskId])
        #expect(try await shell.json("list", "--status", "paused", as: [TaskSummary].self).isEmpty)
        #expect(try await shell.json("show", made.taskId, as: TaskSummary.self) == made)
        let shown = try await shell.run("show", made.taskId)
        #expect(shown.exit == .exited(0) && shown.output.contains("from the shell") && shown.output.contains("Pending"), "\(shown)")
        #expect(try await shell.run().output.contains(made.taskId), "the list is what it does by itself")

        #expect(try await shell.json("pause", made.taskId, as: TaskSummary.self).status == .paused)
        #expect(try await shell.json("resume", made.taskId, as: TaskSummary.self).status == .pending)
        #expect(try await shell.json("priority", made.taskId, "90", as: TaskSummary.self).priority == 90)
        // The server's refusal, as a person and as a program reads it.
        try await shell.expectFailure("resume", made.taskId, exit: 77, saying: "Pending")
        let refused = try await shell.run("retry", made.taskId, "--json")
        let error = try JSONDecoder().decode([String: JSONValue].self, from: Data(refused.errors.utf8))
        #expect(error["code"] == "TASK_STATE" && error["exitStatus"] == 77 && error["details"]?["status"] == "Pending", "\(refused)")
        #expect(try await shell.json("cancel", made.taskId, as: TaskSummary.self).status == .cancelled)
        #expect(try await shell.json("retry", made.taskId, as: TaskSummary.self).status == .pending)

        // Failed for good: a dead letter with its reason, and once more.
        let lease = try await shell.client.leased(kind)
        #expect(try await shell.client.work("fail", lease.leaseId, ["errorCode": "NO_INK", "errorMessage": "no ink"]).status == 200)
        #expect(try await shell.json("attempts", made.taskId, as: [TaskAttempt].self).map(\.errorCode) == ["NO_INK"])
        #expect(try await shell.json("dead", as: [TaskSummary].self).map(\.taskId) == [made.taskId])
        #expect(try await shell.run("dead").output.contains("NO_INK: no ink"))
        #expect(try await shell.json("redrive", made.taskId, as: [String: [String]].self) == ["redriven": [made.taskId]])
        #expect(try await shell.json("redrive", "--all", as: [String: [String]].self) == ["redriven": []])
        try await shell.expectFailure("redrive", made.taskId, exit: 77, saying: "Pending")
        try await shell.expectFailure("redrive", exit: 64, saying: "--all")

        let statistics: TaskStatistics = try await shell.json("stats")
        #expect(statistics.totalTasks == 1 && statistics.pendingTasks == 1 && statistics.deadLetters == 0)
        try await shell.client.changed(made.taskId, "cancel")
        #expect(try await shell.json("delete", made.taskId, as: [String: String].self) == ["deleted": made.taskId])
        try await shell.expectFailure("show", made.taskId, exit: 68)
        #expect(try await shell.json("cleanup", "--older-than", "7", as: [String: Int].self) == ["removed": 0])
    }

    @Test func watchFollowsToTheEnd() async throws {
        let shell = try await Shell.make("cli-watch")
        let kind = uniqueKind("watch")
        let good = try await shell.client.makeCustom(kind, ["priority": 9, "name": "good"])
        let bad = try await shell.client.makeCustom(kind, ["maxAttempts": 1, "name": "bad"])
        let both = try RunningCommand(
            ["tasks", "watch", good.taskId, bad.taskId, "--every", "1s", "--json"], environment: shell.environment)
        let one = try RunningCommand(["tasks", "watch", good.taskId, "--every", "1s"], environment: shell.environment)
        let first = try await shell.client.leased(kind)
        #expect(first.task.taskId == good.taskId)
        #expect(try await shell.client.work("progress", first.leaseId, ["progress": 50, "statusMessage": "half"]).status == 200)
        #expect(try await shell.client.work("complete", first.leaseId).status == 200)
        let second = try await shell.client.leased(kind)
        #expect(try await shell.client.work("fail", second.leaseId, ["errorMessage": "broken"]).status == 200)
        let seen = try await one.result(atMost: .seconds(20))
        #expect(seen.exit == .exited(0), "\(seen)")
        #expect(seen.output.contains("Completed  100 %  good"), "\(seen.output)")
        let failed = try await both.result(atMost: .seconds(20))
        #expect(failed.exit == .exited(1), "one of them failed: \(failed)")
        let lines = try failed.output.split(separator: "\n").map { try JSONDecoder().decode(TaskSummary.self, from: Data($0.utf8)) }
        #expect(lines.last { $0.taskId == good.taskId }?.status == .completed)
        #expect(lines.last { $0.taskId == bad.taskId }?.status == .failed)
        try await shell.expectFailure("watch", "nosuchtask", exit: 68)

        // Ctrl-C ends the watching, not the task.
        let open = try await shell.client.makeCustom(kind, ["name": "open"])
        let endless = try RunningCommand(["tasks", "watch", "--every", "1s"], environment: shell.environment)
        try await eventually(within: .seconds(20), "the task's line") { endless.output.contains(open.taskId) }
        endless.send(SIGINT)
        #expect(try await endless.result(atMost: .seconds(10)).exit == .exited(130))
        #expect(try await shell.client.task(open.taskId).status == .pending)
    }

    @Test func filesAreMovedAndChanged() async throws {
        let shell = try await Shell.make("cli-files")
        let pool = try await SharedServer.client("cli-admin", admin: true).makePool(uniqueKind("cli-pool"))
        let content = bytes(3000, seed: 77)
        let file = try await shell.client.store(content, name: "a.tmp")
        let other = try await shell.client.store(bytes(10, seed: 78), name: "keep.txt")
        let moved = try await shell.run("move", file.id, "--pool", pool.name, "--watch", "--json")
        #expect(moved.exit == .exited(0), "\(moved)")
        #expect(try await shell.client.file(file.id).poolId == pool.id)
        try await shell.client.expectContent(content, of: shell.client.file(file.id))
        let failed = try await shell.run("move", "nosuchfile", "--pool", pool.name, "--watch", "--json")
        #expect(failed.exit == .exited(1), "\(failed)")

        try await shell.expectFailure("bulk", "delete", "--name", "*.tmp", exit: 64, saying: "--confirm")
        try await shell.expectFailure("bulk", "delete", "--confirm", exit: 64, saying: "filter")
        try await shell.expectFailure("bulk", "rename", file.id, "--find", "a", "--confirm", exit: 64, saying: "--replace")
        let dry = try await shell.run("bulk", "delete", "--name", "*.tmp", "--dry-run", "--watch", "--json")
        let last = try #require(dry.output.split(separator: "\n").last)
        let planned = try JSONDecoder().decode(TaskSummary.self, from: Data(last.utf8))
        #expect(dry.exit == .exited(0) && planned.results["planned"] == 1, "\(dry)")
        let items: [TaskItem] = try await shell.json("items", planned.taskId)
        #expect(items == [TaskItem(itemId: file.id, outcome: .planned)])
        #expect(try await shell.client.files().count == 2)
        let done = try await shell.run("bulk", "delete", "--name", "*.tmp", "--confirm", "--watch")
        #expect(done.exit == .exited(0) && done.output.contains("Completed"), "\(done)")
        #expect(try await shell.client.files().map(\.id) == [other.id])
        // A move between pools is for administrators.
        let migration = try await shell.run("migrate", "--from", pool.name, "--to", "default")
        #expect(migration.exit == .exited(77) || migration.exit == .exited(68), "\(migration)")
    }

    @Test func batchesAndTimetablesAreKept() async throws {
        let shell = try await Shell.make("cli-batch")
        let folder = try TemporaryFolder.make("cli-batch")
        defer { TemporaryFolder.remove(folder) }
        let kind = uniqueKind("cli-batch")
        let tasks: JSONValue = [
            ["type": "Custom", "kind": .string(kind)], ["type": "Custom", "kind": .string(kind), "dependsOn": ["#0"]],
        ]
        try Data(DriveJSON.text(tasks).utf8).write(to: URL(fileURLWithPath: folder + "/tasks.json"))
        try await shell.expectFailure("batch", "create", folder + "/tasks.json", exit: 64, saying: "--name")
        try await shell.expectFailure("batch", "create", folder + "/nosuch.json", "--name", "b", exit: 66)
        let batch: TaskBatch = try await shell.json("batch", "create", folder + "/tasks.json", "--name", "nightly")
        #expect(batch.totalTasks == 2 && batch.name == "nightly")
        #expect(try await shell.json("batch", "show", batch.batchId, as: TaskBatch.self) == batch)
        #expect(try await shell.json("batch", "list", as: [TaskBatch].self) == [batch])
        #expect(try await shell.json("list", "--batch", batch.batchId, as: [TaskSummary].self).count == 2)
        #expect(try await shell.json("batch", "cancel", batch.batchId, as: TaskBatch.self).cancelledTasks == 2)
        try await shell.expectFailure("batch", "show", "nosuch", exit: 68)

        let schedule: TaskSchedule = try await shell.json(
            "schedule", "create", "--cron", "30 3 * * *", "--type", "Custom", "--kind", kind, "--param", "n:=1")
        #expect(schedule.cron == "30 3 * * *" && schedule.task.parameters == ["n": 1])
        #expect(try await shell.json("schedule", "list", as: [TaskSchedule].self).map(\.scheduleId) == [schedule.scheduleId])
        try await shell.expectFailure(
            "schedule", "create", "--cron", "nonsense", "--type", "Custom", "--kind", kind, exit: 64, saying: "cron")
        let deleted = try await shell.json("schedule", "delete", schedule.scheduleId, as: [String: String].self)
        #expect(deleted == ["deleted": schedule.scheduleId])
        try await shell.expectFailure("schedule", "delete", schedule.scheduleId, exit: 68)
    }

    @Test func whatIsWrongHasItsExitStatus() async throws {
        let shell = try await Shell.make("cli-wrong")
        try await shell.expectFailure("create", "--type", "Nonsense", exit: 64, saying: "FileMove")
        try await shell.expectFailure("create", "--type", "Custom", exit: 64, saying: "--kind")
        try await shell.expectFailure("create", "--type", "Custom", "--kind", "a", "--priority", "101", exit: 64, saying: "priority")
        try await shell.expectFailure("create", "--type", "Custom", "--kind", "a", "--after", "nosuchtask", exit: 68)
        try await shell.expectFailure("move", "someid", exit: 64, saying: "--pool")
        try await shell.expectFailure("list", "--status", "nonsense", exit: 64, saying: "Pending")
        try await shell.expectFailure("list", "--all-accounts", exit: 77)
        try await shell.expectFailure("queues", exit: 77)
        let stranger = Shell(client: shell.client.with(token: "bad"))
        try await stranger.expectFailure("list", exit: 67)
        // One that is not there does not keep the others from it.
        let task = try await shell.client.makeCustom(uniqueKind("cli"))
        let mixed = try await shell.run("cancel", "nosuchtask", task.taskId)
        #expect(mixed.exit == .exited(68) && mixed.output.contains(task.taskId), "\(mixed)")
        #expect(try await shell.client.task(task.taskId).status == .cancelled)
        let admin = try await Shell.make("cli-root", admin: true)
        #expect(try await admin.json("list", "--all-accounts", as: [TaskSummary].self).contains { $0.taskId == task.taskId })
        #expect(try await admin.run("queues").exit == .exited(0))
    }
}
