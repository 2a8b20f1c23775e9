import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// `drive tasks` in scripts and for administrators, and `drive token create` where a name is misspelt.
@Suite(.timeLimit(.minutes(2))) struct TaskCommandOutputTests {
    private func run(_ arguments: [String], as client: TestClient) async throws -> CommandResult {
        try await DriveCommand.run(
            ["tasks"] + arguments, environment: ["DRIVE_SERVER": client.base, "DRIVE_TOKEN": client.token ?? ""], atMost: .seconds(30))
    }

    /// A command that must succeed; the one line it prints.
    private func line(
        _ arguments: String..., as client: TestClient, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let result = try await run(arguments, as: client)
        try #require(result.exit == .exited(0), "\(arguments): \(result)", sourceLocation: sourceLocation)
        #expect(result.output.hasSuffix("\n") && result.output.filter(\.isNewline).count == 1, "\(result)", sourceLocation: sourceLocation)
        return result.output.trimmingCharacters(in: .newlines)
    }

    @Test func aNewTasksIdStandsAloneOnStandardOutput() async throws {
        let client = try await SharedServer.client("cli-ids")
        let file = try await client.store(bytes(10, seed: 5), name: "a.txt")
        let made = try await run(["create", "--type", "Custom", "--kind", uniqueKind("ids"), "--name", "shown to people"], as: client)
        let id = made.output.trimmingCharacters(in: .newlines)
        #expect(try await client.task(id).name == "shown to people")
        #expect(made.errors.contains("Pending") && made.errors.contains("shown to people"), "\(made)")
        let schedule = try await line(
            "schedule", "create", "--cron", "@daily", "--type", "Custom", "--kind", uniqueKind("ids"), as: client)
        #expect(try await client.get("/tasks/schedules").decode([TaskSchedule].self).map(\.scheduleId) == [schedule])
        let bulk = try await line("bulk", "rename", file.id, "--new-name", "b.txt", "--confirm", as: client)
        try await client.ended(bulk)
        #expect(try await client.file(file.id).name == "b.txt")
        let quiet = try await run(["bulk", "delete", file.id, "--dry-run", "--quiet"], as: client)
        #expect(quiet.errors.isEmpty && !quiet.output.contains(" "), "\(quiet)")
    }

    @Test func aRenamesDryRunSaysTheNewNames() async throws {
        let client = try await SharedServer.client("cli-rename")
        let files = [
            try await client.store(bytes(10, seed: 6), name: "IMG_1.jpg"), try await client.store(bytes(10, seed: 7), name: "other.jpg"),
        ]
        let task = try await line(
            "bulk", "rename", files[0].id, files[1].id, "--find", "IMG_", "--replace", "holiday-", "--dry-run", as: client)
        try await client.ended(task)
        let items = try await client.items(task)
        #expect(items.first { $0.itemId == files[0].id }?.message == "IMG_1.jpg → holiday-1.jpg", "\(items)")
        #expect(items.first { $0.itemId == files[1].id }?.outcome == .skipped, "\(items)")
        #expect(try await run(["items", task], as: client).output.contains("holiday-1.jpg"))
        #expect(try await client.file(files[0].id).name == "IMG_1.jpg")
    }

    @Test func filesLeaveTheirBundleAndTheirExpiry() async throws {
        let client = try await SharedServer.client("cli-leave")
        let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b"]).decode()
        let expiry = Surroundings.system.now() + .seconds(86_400)
        let file = try await client.store(bytes(10, seed: 8), query: "&bundleId=\(bundle.id.uuidString.lowercased())")
        let patched = try await client.send(.PATCH, "/files/\(file.id)", json: ["expiredAt": .string(expiry.description)])
        #expect(patched.status == 200, "\(patched)")
        try await client.ended(try await line("bulk", "set-expiry", file.id, "--expires", "never", "--confirm", as: client))
        let lasting = try await client.file(file.id)
        #expect(lasting.expiredAt == nil && lasting.bundleId == bundle.id, "\(lasting)")
        try await client.ended(try await line("move", file.id, "--remove-from-bundle", as: client))
        #expect(try await client.file(file.id).bundleId == nil)
        let both = try await run(["move", file.id, "--remove-from-bundle", "--bundle", bundle.id.uuidString], as: client)
        #expect(both.exit == .exited(64) && both.errors.contains("--remove-from-bundle"), "\(both)")
    }

    @Test func administratorsReachEverybodys() async throws {
        let owner = try await SharedServer.client("cli-administered")
        let admin = try await SharedServer.client("cli-administers", admin: true)
        let task: JSONValue = ["type": "Custom", "kind": .string(uniqueKind("cli-all"))]
        let batch: TaskBatch = try await owner.send(.POST, "/tasks/batches", json: ["name": "b", "tasks": [task]]).decode()
        let schedule: TaskSchedule = try await owner.send(
            .POST, "/tasks/schedules", json: ["cron": "@daily", "task": task]
        ).decode()
        let made: [TaskSummary] = try await owner.get("/tasks?batchId=\(batch.batchId)").decode()
        let id = try #require(made.first?.taskId)
        for arguments in [
            ["batch", "show", batch.batchId], ["batch", "cancel", batch.batchId], ["attempts", id], ["items", id], ["delete", id],
            ["schedule", "delete", schedule.scheduleId],
        ] {
            let own = try await run(arguments, as: admin)
            #expect(own.exit == .exited(68), "\(arguments): \(own)")
            let refused = try await run(arguments + ["--all-accounts"], as: owner)
            #expect(refused.exit == .exited(77), "\(arguments): \(refused)")
            let all = try await run(arguments + ["--all-accounts"], as: admin)
            #expect(all.exit == .exited(0), "\(arguments): \(all)")
        }
        #expect(try await run(["batch", "list", "--all-accounts"], as: admin).output.contains(batch.batchId))
        #expect(try await run(["schedule", "list", "--all-accounts"], as: admin).output.contains("drive."))
    }

    @Test func aTokenForAMisspeltNameMakesNoAccount() async throws {
        let data = try DataFolder.make("token-typo")
        defer { data.remove() }
        func token(_ arguments: String...) async throws -> CommandResult {
            try await DriveCommand.run(["token", "create", "--data", data.path] + arguments)
        }
        // The first start's way: nothing is there that could be misspelt.
        #expect(try await token("--account", "alice").exit == .exited(0))
        #expect(try await token("--account", "alice").exit == .exited(0))
        let typo = try await token("--account", "alcie")
        #expect(typo.exit == .exited(68) && typo.output.isEmpty, "\(typo)")
        #expect(typo.errors.contains("alcie") && typo.errors.contains("--create"), "\(typo)")
        let listed = try await data.drive("account", "list")
        #expect(listed.output.contains("alice") && !listed.output.contains("alcie"), "\(listed)")
        #expect(try await token("--account", "bob", "--create").exit == .exited(0))
        #expect(try await data.drive("account", "list").output.contains("bob"))
    }
}
