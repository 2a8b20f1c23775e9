import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveStorage
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// Time passes: what expired goes, what lives stays.
@Suite struct HousekeepingTests {
    private static let content = Content(2 * 65_536 + 3)

    @Test(arguments: Engine.underTest)
    func staleUploadsExpire(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let (idle, busy, extended) = (
                try await Self.content.create(on: drive, by: owner), try await Self.content.create(on: drive, by: owner),
                try await Self.content.create(on: drive, by: owner)
            )
            try await drive.send(0, of: idle)
            site.clock.advance(by: .seconds(20 * 3600))
            try await drive.send(0, of: busy)
            _ = try await drive.uploads.extend(extended.taskId, by: owner)
            #expect(await drive.housekeeping.sweep().expiredUploads == 0)
            site.clock.advance(by: .seconds(5 * 3600))
            #expect(await drive.housekeeping.sweep().expiredUploads == 1)
            #expect(try await drive.status(idle) == .expired)
            await expectRefusal(.taskExpired) { try await drive.send(1, of: idle) }
            await expectRefusal(.taskExpired) { try await drive.complete(idle) }
            await expectRefusal(.taskExpired) { try await drive.uploads.extend(idle.taskId, by: owner) }
            #expect(Set(site.staged) == [busy.taskId, extended.taskId])
            #expect(
                try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == Int64(2 * Self.content.bytes.count))
            try await drive.send(1, of: busy)
            try await drive.send(2, of: busy)
            #expect(try await drive.complete(busy).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func anUploadWhoseFileWouldBeExpiredExpires(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, expiredAt: site.clock.now + .seconds(60))
            site.clock.advance(by: .seconds(61))
            #expect(await drive.housekeeping.sweep().expiredUploads == 1)
            #expect(try await drive.status(upload) == .expired)
            #expect(try await drive.findings() == [])
        }
    }

    /// The wall clock was set: that is no time that passed.
    @Test(arguments: Engine.underTest, [3600 * 48, -3600 * 48])
    func aJumpOfTheClockExpiresNothing(engine: Engine, seconds: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            let still = site.clock.steady
            let housekeeping = Housekeeping(uploads: drive.uploads, logger: Engine.logger, steady: { still })
            site.clock.advance(by: .seconds(seconds))
            #expect(await housekeeping.sweep() == .nothing)
            #expect(try await drive.status(upload) == .inProgress)
            #expect(try await drive.findings() == [])
        }
    }

    /// More than one batch: all go in one sweep.
    @Test func manyStaleUploadsExpireAtOnce() async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<401 { group.addTask { _ = try await Content(10).create(on: drive) } }
                try await group.waitForAll()
            }
            site.clock.advance(by: .seconds(25 * 3600))
            #expect(await drive.housekeeping.sweep().expiredUploads == 401)
            #expect(site.staged == [])
            #expect(drive.uploads.openSessionCount == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func filesExpireAndTheirBytesFollow(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let upload = try await Self.content.create(on: drive, by: owner, expiredAt: site.clock.now + .seconds(60))
            try await drive.sendAll(upload)
            let file = try await drive.complete(upload)
            #expect(await drive.housekeeping.sweep().expiredFiles == 0)
            site.clock.advance(by: .seconds(61))
            // It is gone for everybody before the sweep comes by.
            await expectRefusal(.fileNotFound) { try await drive.files.file(file.id, account: owner.accountId) }
            await expectRefusal(.fileNotFound) { try await drive.files.open(file.id, account: owner.accountId) }
            #expect(try await drive.files.list(.init(), account: owner.accountId).total == 0)
            #expect(await drive.housekeeping.sweep().expiredFiles == 1)
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).usedBytes == 0)
            let store = try await drive.pools.open(nil).store
            #expect(try await store.list().count == 1)
            site.clock.advance(by: .seconds(3599))
            #expect(await drive.housekeeping.sweep().collectedBlobs == 0)
            site.clock.advance(by: .seconds(2))
            #expect(await drive.housekeeping.sweep().collectedBlobs == 1)
            #expect(try await store.list() == [])
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM blob_intents") == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func anExpiredBundleGoesWithItsFiles(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let bundle = try await drive.bundles.create(name: "b", description: nil, expiredAt: site.clock.now + .seconds(60), by: owner)
            let inside = try await Self.content.create(on: drive, by: owner, bundle: bundle.id)
            let outside = try await Content(10).create(on: drive, by: owner)
            for upload in [inside, outside] {
                try await drive.sendAll(upload)
                _ = try await drive.complete(upload)
            }
            site.clock.advance(by: .seconds(61))
            let report = await drive.housekeeping.sweep()
            #expect(report.expiredBundles == 1)
            #expect(try await drive.files.list(.init(), account: owner.accountId).items.map(\.size) == [10])
            await expectRefusal(.notFound) { try await drive.bundles.bundle(bundle.id, account: owner.accountId) }
            #expect(try await drive.findings() == [])
        }
    }

    /// A crash between a collection's transaction and the unlink: the intent brings the bytes down later.
    @Test(arguments: Engine.underTest)
    func intentsAreSettled(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            try await drive.sendAll(upload)
            let file = try await drive.complete(upload)
            let pool = try await drive.pools.open(nil)
            let published = try #require(try await pool.store.list().first)
            _ = try await pool.store.createStaging("x", size: 1, keepSize: false)
            let orphan = try await pool.store.newBlobPath()
            try await pool.store.publish(staging: "x", as: orphan)
            // One names a blob that was published after all, one bytes of nobody, one nothing at all.
            for path in [published, orphan, "blobs/none/none"] {
                try await site.database.change(
                    "INSERT INTO blob_intents (pool_id, storage_path, task_id, created_at) VALUES ($1, $2, NULL, $3)",
                    [.uuid(pool.pool.id), .text(path), .timestamp(site.clock.now)])
            }
            #expect(await drive.housekeeping.sweep().settledIntents == 3)
            #expect(try await pool.store.list() == [published])
            #expect(try await drive.bytes(of: file, owner: upload.owner) == Self.content.bytes)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM blob_intents") == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func oldRowsGo(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            var files: [CloudFile] = []
            for number in 0..<3 {
                let upload = try await Content(70_000, seed: UInt64(number)).create(on: drive, by: owner, key: "\(number)")
                try await drive.sendAll(upload)
                files.append(try await drive.complete(upload))
            }
            let live = try await Content(70_000, seed: 9).create(on: drive, by: owner)
            try await drive.send(0, of: live)
            func count(_ table: String) async throws -> Int64 { try await site.database.number("SELECT COUNT(*) AS value FROM \(table)") }
            #expect(try await count("upload_chunks") == 7)
            site.clock.advance(by: .seconds(1))
            _ = await drive.housekeeping.sweep()
            #expect(try await count("upload_chunks") == 1)
            #expect(try await count("idempotency_keys") == 3)
            #expect(try await count("events") > 0)
            site.clock.advance(by: .seconds(31 * 24 * 3600))
            _ = await drive.housekeeping.sweep()
            #expect(try await count("idempotency_keys") == 0)
            // The last one's end is news.
            #expect(try await count("events") == 1)
            #expect(try await count("upload_tasks") == 1)
            #expect(try await count("tasks") == 1)
            #expect(try await count("upload_chunks") == 0)
            // Files do not depend on the rows of their uploads.
            for file in files { #expect(try await drive.files.file(file.id, account: owner.accountId) == file) }
            #expect(try await drive.findings() == [])
        }
    }

    /// More finished uploads than one batch takes: their chunk rows must not pile up.
    @Test func chunkRowsOfManyUploadsGo() async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<120 {
                    group.addTask {
                        let upload = try await Content(100, seed: UInt64(number)).create(on: drive)
                        try await drive.sendAll(upload)
                        _ = try await drive.complete(upload)
                    }
                }
                try await group.waitForAll()
            }
            site.clock.advance(by: .seconds(1))
            _ = await drive.housekeeping.sweep()
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM upload_chunks") == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func idleUploadsCloseAndOpenAgain(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.cacheDuration = .zero }
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            for index in 0..<upload.count {
                try await drive.send(index, of: upload)
                #expect(drive.uploads.openSessionCount == 1)
                try await eventually { await drive.housekeeping.sweep().closedSessions == 1 }
                #expect(drive.uploads.openSessionCount == 0)
            }
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    /// A folder for staging that others use too: what is not ours stays.
    @Test(arguments: Engine.underTest)
    func recoveryTouchesNoForeignFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            let foreign = site.stagingFolder + "/letter to my mother.txt"
            #expect(FileManager.default.createFile(atPath: foreign, contents: Data("dear".utf8)))
            try FileManager.default.createDirectory(atPath: site.stagingFolder + "/photos", withIntermediateDirectories: false)
            let next = try await site.start()
            _ = try await next.housekeeping.recover()
            #expect(FileManager.default.fileExists(atPath: foreign))
            #expect(site.staged.contains(upload.taskId))
        }
    }
}
