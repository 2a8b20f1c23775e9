import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// What an account is told of its files and bundles as their owner changes them, or time does.
@Suite struct FileEventTests {
    static let content = Content(65_536 + 9)

    @Test(arguments: Engine.underTest)
    func aFileIsCreatedOverEveryFace(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let bundle = try await drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: owner)
            let chunked = try await Self.content.create(on: drive, by: owner, bundle: bundle.id)
            try await drive.sendAll(chunked)
            // The second one has bytes that are there already, the third comes as one request, the fourth as one stream.
            let again = try await Self.content.create(on: drive, by: owner)
            try await drive.sendAll(again)
            let files = [
                try await drive.complete(chunked), try await drive.complete(again),
                try await drive.uploads.uploadDirectly(
                    DirectUploadRequest(fileName: "ü.txt"), body: ScriptedBody([1, 2, 3]), length: nil, idempotencyKey: nil, by: owner),
            ]
            #expect(try await drive.complete(chunked) == files[0])
            let told = try await site.told(owner).filter { $0.type == "file.created" }
            #expect(told.map { $0.data["fileId"] } == files.map { .string($0.id) })
            #expect(
                told.first?.data == [
                    "fileId": .string(files[0].id), "name": "file.bin", "size": .integer(files[0].size),
                    "contentType": .string(files[0].contentType), "poolId": .string(files[0].poolId.lowercaseString),
                    "bundleId": .string(bundle.id.lowercaseString), "taskId": .string(chunked.taskId),
                    "createdAt": .string("\(files[0].createdAt)"),
                ])
            #expect(told.last?.data["name"] == "ü.txt" && told.last?.data["bundleId"] == nil && told.last?.data["taskId"] != nil)

            let stream = try await StreamScene.create(Self.content, on: drive)
            let streamed = try #require(try await stream.finish(drive))
            #expect(try await site.told(stream.owner).map(\.type) == ["file.created"])
            #expect(try await site.told(stream.owner).first?.data["fileId"] == .string(streamed.id))
        }
    }

    /// The file's event comes with the end of the task and before it, and belongs to no task.
    @Test(arguments: Engine.underTest)
    func theTasksEndComesLast(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.legacyUploadEvents = true }
            let owner = Caller.someone()
            _ = try await drive.uploads.uploadDirectly(
                DirectUploadRequest(fileName: "a"), body: ScriptedBody([1]), length: nil, idempotencyKey: nil, by: owner)
            let rows = try await site.database.read { sql in
                try sql.query(
                    "SELECT type, task_id, sequence FROM events WHERE account_id = $1 ORDER BY sequence", [.uuid(owner.accountId)]
                ).map { (try $0.text("type"), try $0.optionalText("task_id") == nil, try $0.int64("sequence")) }
            }
            #expect(rows.map(\.0) == ["task.created", "file.created", "task.completed", "upload.completed"])
            #expect(rows.map(\.1) == [false, true, false, false])
            #expect(rows.map(\.2) == [1, 2, 3, 4])
        }
    }

    @Test(arguments: Engine.underTest)
    func anUpdateNamesWhatChanged(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let bundle = try await drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: owner)
            let file = try await Self.file(on: drive, by: owner)
            let later = site.clock.now + .seconds(600)
            let changes: [(FileService.Change, [JSONValue])] = [
                (.init(name: "new.bin"), ["name"]), (.init(userMeta: ["a": 1]), ["userMeta"]),
                (.init(bundleId: .some(bundle.id)), ["bundleId"]), (.init(expiredAt: .some(later)), ["expiredAt"]),
                // What is so already is no change.
                (.init(name: "new.bin", userMeta: ["a": 1], bundleId: .some(bundle.id), expiredAt: .some(later)), []), (.init(), []),
                (
                    .init(name: "x", userMeta: [:], bundleId: .some(nil), expiredAt: .some(nil)),
                    ["name", "userMeta", "bundleId", "expiredAt"]
                ),
            ]
            var updated = file
            for (change, _) in changes { updated = try await drive.files.update(file.id, change: change, by: owner) }
            await expectRefusal(.notFound) {
                try await drive.files.update(file.id, change: .init(name: "y", bundleId: .some(UUID())), by: owner)
            }
            let told = try await site.told(owner).filter { $0.type == "file.updated" }
            #expect(told.map { $0.data["changed"] } == changes.map(\.1).filter { !$0.isEmpty }.map { .array($0) })
            #expect(
                told.last?.data == [
                    "fileId": .string(file.id), "name": "x", "changed": ["name", "userMeta", "bundleId", "expiredAt"],
                    "updatedAt": .string("\(updated.updatedAt)"),
                ])
        }
    }

    @Test(arguments: Engine.underTest)
    func aDeletedFileIsToldOnce(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let file = try await Self.file(on: drive, by: owner)
            await expectRefusal(.fileNotFound) { try await drive.files.delete(file.id, by: .someone()) }
            try await drive.files.delete(file.id, by: owner)
            await expectRefusal(.fileNotFound) { try await drive.files.delete(file.id, by: owner) }
            let told = try await site.told(owner).filter { $0.type == "file.deleted" }
            #expect(told.count == 1)
            var data = try #require(told.first?.data)
            #expect(data.removeValue(forKey: "deletedAt")?.string != nil)
            #expect(data == ["fileId": .string(file.id), "name": "file.bin", "size": .integer(file.size), "reason": "deleted"])

            let stream = try await StreamScene.create(Self.content, on: drive)
            _ = try await stream.finish(drive)
            try await drive.uploads.terminateStream(stream.taskId, removingFile: true, by: stream.owner)
            #expect(try await site.told(stream.owner).map(\.type) == ["file.created", "file.deleted"])
        }
    }

    /// One sweep, many owners: each is told of his own.
    @Test(arguments: Engine.underTest)
    func anExpiryIsToldToItsOwner(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owners = (0..<4).map { _ in Caller.someone() }
            var files: [[CloudFile]] = []
            for owner in owners {
                let expiry = site.clock.now + .seconds(60)
                var own: [CloudFile] = []
                for _ in 0..<2 { own.append(try await Self.file(on: drive, by: owner, expiredAt: expiry)) }
                files.append(own)
            }
            site.clock.advance(by: .seconds(120))
            #expect(await drive.housekeeping.sweep().expiredFiles == 8)
            for (owner, files) in zip(owners, files) {
                let told = try await site.told(owner).filter { $0.type == "file.deleted" }
                #expect(Set(told.map { $0.data["fileId"]?.string }) == Set(files.map(\.id)))
                #expect(told.count == 2 && told.allSatisfy { $0.data["reason"] == "expired" })
            }
        }
    }

    @Test(arguments: Engine.underTest, [false, true])
    func aBundleAndItsFiles(engine: Engine, withFiles: Bool) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let bundle = try await drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: owner)
            let file = try await Self.file(on: drive, by: owner, bundle: bundle.id)
            let updated = try await drive.bundles.update(bundle.id, name: "c", description: .some("d"), expiredAt: nil, by: owner)
            _ = try await drive.bundles.update(bundle.id, name: "c", description: nil, expiredAt: nil, by: owner)
            try await drive.bundles.delete(bundle.id, withFiles: withFiles, by: owner)
            let told = try await site.told(owner)
            #expect(
                told.map(\.type) == ["bundle.created", "file.created", "bundle.updated"] + (withFiles ? ["file.deleted"] : [])
                    + ["bundle.deleted"])
            let id = JSONValue.string(bundle.id.lowercaseString)
            #expect(told.first?.data == ["bundleId": id, "name": "b", "createdAt": .string("\(bundle.createdAt)")])
            #expect(
                told[2].data == [
                    "bundleId": id, "name": "c", "changed": ["name", "description"], "updatedAt": .string("\(updated.updatedAt)"),
                ])
            if withFiles { #expect(told[3].data["fileId"] == .string(file.id) && told[3].data["reason"] == "bundle") }
            let end = try #require(told.last?.data)
            #expect(end["bundleId"] == id && end["name"] == "c" && end["withFiles"] == .bool(withFiles) && end["reason"] == "deleted")
        }
    }

    @Test(arguments: Engine.underTest)
    func anExpiredBundleTakesItsFiles(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owners = [Caller.someone(), .someone()]
            for owner in owners {
                let bundle = try await drive.bundles.create(
                    name: "b", description: nil, expiredAt: site.clock.now + .seconds(60), by: owner)
                _ = try await Self.file(on: drive, by: owner, bundle: bundle.id)
            }
            site.clock.advance(by: .seconds(120))
            #expect(await drive.housekeeping.sweep().expiredBundles == 2)
            for owner in owners {
                let told = try await site.told(owner)
                #expect(told.map(\.type) == ["bundle.created", "file.created", "file.deleted", "bundle.deleted"])
                #expect(told.compactMap { $0.data["reason"] } == ["bundle", "expired"])
            }
        }
    }

    private static func file(
        on drive: Instance, by owner: Caller, bundle: UUID? = nil, expiredAt: Timestamp? = nil
    ) async throws -> CloudFile {
        let upload = try await content.create(on: drive, by: owner, bundle: bundle, expiredAt: expiredAt)
        try await drive.sendAll(upload)
        return try await drive.complete(upload)
    }
}

extension Site {
    /// What an account was told of its files, bundles and quota, in order.
    func told(_ owner: Caller) async throws -> [(type: String, data: [String: JSONValue])] {
        try await database.read { sql in
            try sql.query("SELECT type, data FROM events WHERE account_id = $1 ORDER BY sequence", [.uuid(owner.accountId)]).map {
                (type: try $0.text("type"), data: try $0.decoded("data", as: [String: JSONValue].self))
            }
        }.filter { event in ["file.", "bundle.", "quota."].contains { event.type.hasPrefix($0) } }
    }
}
