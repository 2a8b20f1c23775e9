import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import EngineTestSupport
import Foundation
import Synchronization
import Testing

@testable import DriveUploads

/// What accounts are told of their files as tasks move and change them.
@Suite struct FileTaskEventTests {
    @Test(arguments: Engine.underTest)
    func aMoveTellsPoolAndBundle(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let size = MoveScene.content.bytes.count.asInt64
            let scene = try await MoveScene(site, policy: PoolPolicy(costMultiplier: 2)) { $0.defaultQuota = 2 * size }
            let bundle = try await scene.drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: scene.owner)
            let file = try await scene.upload()
            try await scene.moving([file], more: ["targetBundleId": .string(bundle.id.uuidString)]).run(scene.fileMove)
            // There already: nothing happens, and nothing is told.
            try await scene.moving([file]).run(scene.fileMove)
            let told = try await site.told(scene.owner).dropFirst(2)
            #expect(told.map(\.type) == ["file.moved", "file.updated", "quota.warning"])
            var moved = try #require(told.first?.data)
            #expect(moved.removeValue(forKey: "movedAt")?.string != nil)
            #expect(
                moved == [
                    "fileId": .string(file.id), "name": "file.bin", "fromPoolId": .string(file.poolId.lowercaseString),
                    "toPoolId": .string(scene.target.id.lowercaseString),
                ])
            #expect(told.dropFirst().first?.data["changed"] == ["bundleId"])
            #expect(
                told.last?.data.filter { $0.key != "changedAt" } == [
                    "usedBytes": .integer(2 * size), "quotaBytes": .integer(2 * size), "percent": 100,
                ])
        }
    }

    @Test(arguments: Engine.underTest)
    func aBulkOperationTellsOfEachFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let bundle = try await scene.drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: scene.owner)
            let file = try await scene.upload(Content(10))
            // Over several slices.
            let count = 250
            try await scene.multiply(file, to: count)
            let operations: [(String, [String: JSONValue], String, JSONValue?)] = [
                ("rename", ["newName": "r-{name}"], "file.updated", ["name"]),
                ("setExpiry", ["expiresInDays": 3], "file.updated", ["expiredAt"]),
                ("addToBundle", ["targetBundleId": .string(bundle.id.uuidString)], "file.updated", ["bundleId"]),
                ("removeFromBundle", [:], "file.updated", ["bundleId"]), ("delete", [:], "file.deleted", nil),
            ]
            for (operation, own, type, changed) in operations {
                var parameters = own.merging(["name": "*file.bin", "dryRun": true]) { $1 }
                var before = try await site.told(scene.owner).count
                try await Self.run(operation, parameters, scene)
                #expect(try await site.told(scene.owner).count == before, "a dry run of \(operation) tells nothing")
                parameters["dryRun"] = nil
                parameters["confirm"] = true
                before = try await site.told(scene.owner).count
                try await Self.run(operation, parameters, scene)
                let told = try await site.told(scene.owner).dropFirst(before)
                #expect(told.count == count && told.allSatisfy { $0.type == type && $0.data["changed"] == changed }, "\(operation)")
                #expect(Set(told.map { $0.data["fileId"]?.string }).count == count)
                #expect(told.allSatisfy { $0.data["name"] == "r-file.bin" && (changed != nil || $0.data["reason"] == "deleted") })
            }
            let last = try await site.database.number(
                "SELECT MAX(sequence) - COUNT(*) AS value FROM events WHERE account_id = $1", [.uuid(scene.owner.accountId)])
            #expect(last == 0, "numbers without a gap")
        }
    }

    private static func run(_ operation: String, _ parameters: [String: JSONValue], _ scene: MoveScene) async throws {
        let all: [String: JSONValue] = ["operationType": .string(operation), "operationParameters": .object(parameters)]
        _ = try await scene.bulk.plan(all, by: scene.owner)
        try await TaskBench(scene.site, all, by: scene.owner).run(scene.bulk)
    }

    /// A pool's move is told to the files' owners, and not to who ordered it.
    @Test(arguments: Engine.underTest)
    func aMigrationIsToldToTheOwners(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let size = MoveScene.content.bytes.count.asInt64
            let scene = try await MoveScene(site, policy: PoolPolicy(costMultiplier: 2)) { $0.defaultQuota = 2 * size }
            let (other, administrator) = (Caller.someone(), Caller.someone(role: .admin))
            let files = [(try await scene.upload(), scene.owner), (try await scene.upload(by: other), other)]
            let parameters: [String: JSONValue] = [
                "sourcePoolId": .string(files[0].0.poolId.uuidString), "targetPoolId": .string(scene.target.id.uuidString),
            ]
            _ = try await scene.migration.plan(parameters, by: administrator)
            try await TaskBench(site, parameters, by: administrator).run(scene.migration)
            for (file, owner) in files {
                let told = try await site.told(owner)
                #expect(told.map(\.type) == ["file.created", "file.moved", "quota.warning"])
                #expect(told[1].data["fileId"] == .string(file.id) && told[1].data["name"] == "file.bin")
                #expect(told[1].data["toPoolId"] == .string(scene.target.id.lowercaseString))
                #expect(told[2].data["percent"] == 100 && told[2].data["usedBytes"] == .integer(2 * size))
            }
            #expect(try await site.told(administrator).isEmpty)
        }
    }

    /// Transactions that tell many accounts never wait for each other in a circle, which a database would end after a second
    /// by running one of them again.
    @Test(arguments: Engine.underTest)
    func accountsAreTakenInOneOrder(engine: Engine) async throws {
        final class Count: Sendable {
            let value = Mutex(0)
        }
        try await Site.with(engine) { site in
            let accounts = [UUID(), UUID()].sorted { $0.uuidString < $1.uuidString }
            let event = DriveEvent(type: "x", taskId: nil, data: [:])
            let now = site.clock.now
            for account in accounts {
                try await site.database.write { try EventOutbox.append([event], account: account, now: now, in: $0) }
            }
            let (runs, rounds) = (Count(), 12)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<rounds {
                    group.addTask {
                        try await site.database.write { sql in
                            runs.value.withLock { $0 += 1 }
                            // Half of them would take the second account's row first.
                            let isBackwards = number.isMultiple(of: 2)
                            let (first, then) = isBackwards ? (accounts[1], accounts[0]) : (accounts[0], accounts[1])
                            try EventOutbox.append([try event.outboxEvent(of: first)], before: then, now: now, in: sql)
                            if sql.dialect == .postgresql { try sql.query("SELECT 1 AS slept FROM pg_sleep(0.01)") }
                            try EventOutbox.append([event], account: then, now: now, in: sql)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(runs.value.withLock { $0 } == rounds)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM events") == Int64(2 * rounds + 2))
        }
    }
}
