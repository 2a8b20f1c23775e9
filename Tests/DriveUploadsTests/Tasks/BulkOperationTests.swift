import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import EngineTestSupport
import Foundation
import Testing

@testable import DriveUploads

/// Operations on many files: what is selected, what is said before, what is done.
@Suite struct BulkOperationTests {
    private static func bench(
        _ scene: MoveScene, _ operation: String, ids: [String]? = nil, _ parameters: [String: JSONValue]
    ) async throws -> TaskBench {
        var all: [String: JSONValue] = ["operationType": .string(operation), "operationParameters": .object(parameters)]
        if let ids { all["targetIds"] = .array(ids.map { .string($0) }) }
        _ = try await scene.bulk.plan(all, by: scene.owner)
        return try await TaskBench(scene.site, all, by: scene.owner)
    }

    /// A file with a name of its own.
    private static func file(
        _ name: String, size: Int = 10, type: String = "text/plain", on scene: MoveScene, by owner: Caller? = nil
    ) async throws -> CloudFile {
        let owner = owner ?? scene.owner
        let file = try await scene.upload(Content(size, seed: UInt64(size)), by: owner)
        try await scene.site.database.change(
            "UPDATE files SET name = $2, name_folded = $3, content_type = $4 WHERE id = $1",
            [.text(file.id), .text(name), .text(FileName.folded(name)), .text(type)])
        return try await scene.drive.files.file(file.id, account: owner.accountId)
    }

    private static func names(_ scene: MoveScene) async throws -> [String] {
        try await scene.drive.files.list(.init(), account: scene.owner.accountId).items.map(\.name).sorted()
    }

    /// A dry run says of each file what the real one then does.
    @Test(arguments: Engine.underTest, ["delete", "move", "rename", "setExpiry", "addToBundle", "removeFromBundle"])
    func aDryRunThenTheRealOne(engine: Engine, operation: String) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let bundle = try await scene.drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: scene.owner)
            let files = [
                try await Self.file("a.txt", on: scene), try await Self.file("b.txt", size: 20, on: scene),
                try await Self.file("c.png", on: scene),
            ]
            let strangers = try await Self.file("d.txt", on: scene, by: .someone())
            if operation == "removeFromBundle" {
                for file in files {
                    _ = try await scene.drive.files.update(file.id, change: .init(bundleId: .some(bundle.id)), by: scene.owner)
                }
            }
            let own: [String: [String: JSONValue]] = [
                "move": ["targetPoolId": .string(scene.target.id.uuidString)], "rename": ["newName": "{stem}-{index}{extension}"],
                "setExpiry": ["expiresInDays": 3], "addToBundle": ["targetBundleId": .string(bundle.id.uuidString)],
            ]
            var parameters = own[operation] ?? [:]
            parameters["name"] = "*.TXT"
            parameters["dryRun"] = true
            let before = try await scene.drive.files.list(.init(), account: scene.owner.accountId).items
            let dry = try await Self.bench(scene, operation, parameters)
            let foreseen = try await dry.run(scene.bulk)
            #expect(foreseen["planned"] == 2 && foreseen["succeeded"] == 0 && foreseen["dryRun"] == true && foreseen["total"] == 2)
            #expect(try await dry.outcomes() == ["planned", "planned"])
            #expect(try await scene.drive.files.list(.init(), account: scene.owner.accountId).items == before)

            parameters["dryRun"] = nil
            parameters["confirm"] = true
            let real = try await Self.bench(scene, operation, parameters)
            let done = try await real.run(scene.bulk)
            #expect(done["succeeded"] == 2 && done["planned"] == 0 && done["failed"] == 0 && done["dryRun"] == false)
            let after = try await scene.drive.files.list(.init(), account: scene.owner.accountId).items
            let touched = after.filter { $0.name.hasSuffix(".txt") }
            switch operation {
            case "delete": #expect(after.map(\.id) == [files[2].id])
            case "move": #expect(touched.allSatisfy { $0.poolId == scene.target.id } && done["copiedBytes"] == 30)
            case "rename": #expect(Set(touched.map(\.name)) == ["a-1.txt", "b-2.txt"])
            case "setExpiry": #expect(touched.allSatisfy { $0.expiredAt.map { $0 > site.clock.now + .seconds(2 * 86_400) } ?? false })
            case "addToBundle": #expect(touched.allSatisfy { $0.bundleId == bundle.id })
            default: #expect(touched.allSatisfy { $0.bundleId == nil })
            }
            #expect(after.contains(files[2]) || operation == "removeFromBundle", "the others are as they were")
            #expect(after.count == (operation == "delete" ? 1 : 3))
            let action = ["delete": "file.delete", "move": "file.move"][operation] ?? "file.update"
            #expect(
                try await site.database.number(
                    "SELECT COUNT(*) AS value FROM audit_log WHERE action = $1 AND request_id = $2", [.text(action), .text(real.taskId)])
                    == 2)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM files WHERE id = $1", [.text(strangers.id)]) == 1)
            #expect(try await scene.drive.findings() == [])
        }
    }

    /// Ids and filters must both hold; what is missing, another's or refused is its own item's failure.
    @Test(arguments: Engine.underTest)
    func eachIdHasItsOutcome(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let mine = try await Self.file("x.txt", on: scene)
            let large = try await Self.file("y.txt", size: 2000, on: scene)
            let long = try await Self.file(String(repeating: "n", count: 250) + ".txt", on: scene)
            let strangers = try await Self.file("z.txt", on: scene, by: .someone())
            let bench = try await Self.bench(
                scene, "rename", ids: [mine.id, large.id, "unknown", strangers.id, long.id],
                ["newName": "renamed {name}", "maxSize": 1000, "confirm": true])
            let results = try await bench.run(scene.bulk)
            #expect(
                try await bench.outcomes() == [
                    "succeeded", "skipped NOT_SELECTED", "failed FILE_NOT_FOUND", "failed FILE_NOT_FOUND", "failed INVALID_FILE_NAME",
                ])
            #expect(results["total"] == 5 && results["failed"] == 3 && results["skipped"] == 1)
            #expect(try await Self.names(scene) == [long.name, "renamed x.txt", "y.txt"].sorted())
            #expect(try await scene.drive.findings() == [])
        }
    }

    /// More than one slice, stopped between slices, with files that come meanwhile: those are not touched.
    @Test(arguments: Engine.underTest)
    func slicesGoOnWhereTheyWere(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await Self.file("f.txt", on: scene)
            let count = 250
            try await scene.multiply(file, to: count)
            let bench = try await Self.bench(scene, "delete", ["name": "f*", "confirm": true])
            var late = 0
            var results: [String: JSONValue]?
            for _ in 0..<10 where results == nil {
                do {
                    results = try await scene.bulk.run(try await bench.attempt(interruptAt: 1))
                } catch TaskInterruption.stopped {
                    _ = try await Self.file("f\(late).txt", size: 30 + late, on: scene)
                    late += 1
                }
            }
            #expect(results?["succeeded"] == .integer(Int64(count)) && results?["total"] == .integer(Int64(count)))
            #expect(late == 3)
            #expect(try await Self.names(scene).count == late)
            #expect(try await bench.outcomes().count == count)
            #expect(try await scene.drive.findings() == [])
        }
    }

    /// A slice whose commit is fenced has changed nothing.
    @Test(arguments: Engine.underTest)
    func aFencedSliceChangesNothing(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            _ = try await Self.file("f.txt", on: scene)
            let bench = try await Self.bench(scene, "delete", ["name": "f*", "confirm": true])
            let attempt = try await bench.attempt { number in
                if number == 2 { _ = try await bench.attempt() }
            }
            await #expect(throws: TaskInterruption.fenced) { try await scene.bulk.run(attempt) }
            #expect(try await Self.names(scene) == ["f.txt"])
            #expect(try await bench.outcomes() == [])
            #expect(try await bench.run(scene.bulk)["succeeded"] == 1)
            #expect(try await Self.names(scene) == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func nothingSelectedIsNoFailure(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let bench = try await Self.bench(scene, "delete", ["olderThanDays": 30, "confirm": true])
            let results = try await bench.run(scene.bulk)
            #expect(results["total"] == 0 && results["failed"] == 0)
            let unknown = try await Self.bench(scene, "delete", ids: ["unknown"], ["confirm": true])
            let failure = await #expect(throws: TaskFailure.self) { try await unknown.run(scene.bulk) }
            #expect(failure?.code == "FILE_NOT_FOUND")
        }
    }

    /// Which of the files each filter selects.
    @Test(arguments: Engine.underTest)
    func filters(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let bundle = try await scene.drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: scene.owner)
            let old = try await Self.file("Old report.PDF", size: 1000, type: "application/pdf", on: scene)
            site.clock.advance(by: .seconds(10 * 86_400))
            let photo = try await Self.file("straße_1%.jpg", size: 500, type: "image/jpeg", on: scene)
            let text = try await Self.file("notes.txt", size: 20, type: "Text/Plain; charset=utf-8", on: scene)
            _ = try await scene.drive.files.update(text.id, change: .init(bundleId: .some(bundle.id)), by: scene.owner)
            let all = ["old": old, "photo": photo, "text": text]
            let rows: [(filter: [String: JSONValue], expected: Set<String>)] = [
                (["olderThanDays": 9], ["old"]), (["olderThanDays": 11], []),
                (["name": "*"], ["old", "photo", "text"]), (["name": "old*"], ["old"]), (["name": "*.pdf"], ["old"]),
                (["name": "STRASSE_*"], ["photo"]), (["name": "*1%.jpg"], ["photo"]), (["name": "note?.txt"], ["text"]),
                (["name": "note?txt"], []), (["name": "notes"], []), (["name": "n_tes.txt"], []), (["name": "*%*"], ["photo"]),
                (["name": "***report***"], ["old"]),
                (["contentType": "image/*"], ["photo"]), (["contentType": "IMAGE/JPEG"], ["photo"]), (["contentType": "image/jp"], []),
                (["contentType": "text/plain"], ["text"]), (["contentType": "application/*"], ["old"]),
                (["minSize": 500], ["old", "photo"]), (["maxSize": 20], ["text"]), (["minSize": 21, "maxSize": 999], ["photo"]),
                (["bundleId": .string(bundle.id.uuidString)], ["text"]), (["bundleId": .string(UUID().uuidString)], []),
                (["poolId": .string(old.poolId.uuidString)], ["old", "photo", "text"]),
                (["poolId": .string(scene.target.id.uuidString)], []),
                (["minSize": 500, "contentType": "image/*", "name": "*.jpg"], ["photo"]), (["minSize": 501, "contentType": "image/*"], []),
            ]
            for row in rows {
                var parameters = row.filter
                parameters["dryRun"] = true
                let bench = try await Self.bench(scene, "delete", parameters)
                #expect(try await bench.run(scene.bulk)["planned"] == .integer(Int64(row.expected.count)), "\(row.filter)")
                let ids = try await site.database.read { sql in
                    try sql.query("SELECT item_id FROM task_items WHERE task_id = $1", [.text(bench.taskId)]).map { try $0.text("item_id") }
                }
                #expect(Set(ids) == Set(row.expected.compactMap { all[$0]?.id }), "\(row.filter)")
            }
        }
    }
}
