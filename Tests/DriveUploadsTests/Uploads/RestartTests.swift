import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// A new process over the same folder: what was acknowledged is there.
@Suite struct RestartTests {
    private static let content = Content(6 * 65_536 + 1)

    /// A process that took these of a new upload's seven chunks and was killed then.
    private static func begin(
        on site: Site, sending indexes: some Sequence<Int> = 0..<7
    ) async throws -> (killed: Instance, upload: Content.Upload) {
        let killed = try await site.start()
        let upload = try await content.create(on: killed, hash: content.hash)
        for index in indexes { try await killed.send(index, of: upload) }
        return (killed, upload)
    }

    /// Sends what is missing; the file must be whole, and nothing else be left.
    private static func finish(_ upload: Content.Upload, sending missing: some Sequence<Int>, on drive: Instance) async throws {
        for index in missing { try await drive.send(index, of: upload) }
        let file = try await drive.complete(upload)
        #expect(try await drive.bytes(of: file, owner: upload.owner) == content.bytes)
        #expect(try await drive.findings() == [])
    }

    private static func kept(_ upload: Content.Upload, on drive: Instance) async throws -> [Int] {
        try await drive.uploads.resume(upload.taskId, account: upload.owner.accountId).uploadedChunks
    }

    /// What `complete` does until its transaction: the intent, the rename, the flush of the folder.
    private static func moveToBlob(_ upload: Content.Upload, by drive: Instance, on site: Site) async throws {
        let pool = try await drive.pools.open(nil)
        let path = try await pool.store.newBlobPath()
        try await site.database.change(
            "INSERT INTO blob_intents (pool_id, storage_path, task_id, created_at) VALUES ($1, $2, $3, $4)",
            [.uuid(pool.pool.id), .text(path), .text(upload.taskId), .timestamp(site.clock.now)])
        try await pool.store.publish(staging: upload.taskId, as: path)
    }

    @Test(arguments: Engine.underTest, [[], [0], [0, 1, 2], [4, 2], [6, 5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5, 6]] as [[Int]])
    func goesOnWhereItWas(engine: Engine, before: [Int]) async throws {
        try await Site.with(engine) { site in
            let (_, upload) = try await Self.begin(on: site, sending: before)
            let drive = try await site.start()
            #expect(try await drive.housekeeping.recover().removedStaging == 0)
            #expect(try await Self.kept(upload, on: drive) == before.sorted())
            #expect(try await drive.uploads.record(upload.taskId, account: upload.owner.accountId).chunksUploaded == before.count)
            for index in before { await expectRefusal(.chunkAlreadyUploaded) { try await drive.send(index, of: upload) } }
            try await Self.finish(upload, sending: (0..<upload.count).filter { !before.contains($0) }, on: drive)
        }
    }

    /// The hash goes on from its saved state: bytes it covers are not read again, or the damage would show.
    @Test(arguments: Engine.underTest)
    func doesNotReadWhatWasHashed(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (killed, upload) = try await Self.begin(on: site, sending: 0..<4)
            #expect(try await killed.uploads.record(upload.taskId, account: upload.owner.accountId).hashedBytes == 4 * 65_536)
            try site.damage(site.stagingFolder + "/" + upload.taskId, at: 5)
            let drive = try await site.start()
            #expect(try await drive.uploads.progress(upload.taskId, account: upload.owner.accountId).bytesVerified == 4 * 65_536)
            for index in 4..<upload.count { try await drive.send(index, of: upload) }
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.checker.run(repair: false).map(\.kind) == ["blob.damaged"])
        }
    }

    /// After another boot only chunks whose bytes match their checksum are offered.
    @Test(arguments: Engine.underTest, [0, 2, 3])
    func dropsWhatDidNotSurviveABoot(engine: Engine, damaged: Int) async throws {
        try await Site.with(engine) { site in
            let (_, upload) = try await Self.begin(on: site, sending: 0..<5)
            try site.damage(site.stagingFolder + "/" + upload.taskId, at: UInt64(damaged * 65_536 + 9))
            let drive = try await site.start(boot: "boot-2")
            _ = try await drive.housekeeping.recover()
            #expect(try await Self.kept(upload, on: drive) == (0..<5).filter { $0 != damaged })
            let record = try await drive.uploads.record(upload.taskId, account: upload.owner.accountId)
            #expect((record.chunksUploaded, record.bytesUploaded, record.bootId) == (4, 4 * 65_536, "boot-2"))
            try await Self.finish(upload, sending: [damaged, 5, 6], on: drive)
        }
    }

    @Test(arguments: Engine.underTest)
    func aBootThatLostNothingKeepsAll(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (_, upload) = try await Self.begin(on: site)
            for boot in ["boot-2", "boot-2", "boot-3"] {
                #expect(try await Self.kept(upload, on: site.start(boot: boot)) == Array(0..<7))
            }
            try await Self.finish(upload, sending: [], on: site.start(boot: "boot-3"))
        }
    }

    @Test(arguments: Engine.underTest)
    func aTruncatedStagingFileLosesItsEndAlone(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (_, upload) = try await Self.begin(on: site)
            let handle = try #require(FileHandle(forUpdatingAtPath: site.stagingFolder + "/" + upload.taskId))
            try handle.truncate(atOffset: 2 * 65_536 + 10)
            try handle.close()
            let drive = try await site.start(boot: "boot-2")
            #expect(try await Self.kept(upload, on: drive) == [0, 1])
            try await Self.finish(upload, sending: 2..<upload.count, on: drive)
        }
    }

    @Test(arguments: Engine.underTest, ["boot-1", "boot-2"])
    func aMissingStagingFileBeginsAnew(engine: Engine, boot: String) async throws {
        try await Site.with(engine) { site in
            let (_, upload) = try await Self.begin(on: site, sending: 0..<5)
            try FileManager.default.removeItem(atPath: site.stagingFolder + "/" + upload.taskId)
            let drive = try await site.start(boot: boot)
            #expect(try await Self.kept(upload, on: drive) == [])
            try await Self.finish(upload, sending: 0..<upload.count, on: drive)
        }
    }

    /// Killed between the rename and the transaction: the bytes stand at the blob's path, and every chunk was acknowledged.
    @Test(arguments: Engine.underTest)
    func aCrashBetweenRenameAndCommitLosesNoChunk(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (killed, upload) = try await Self.begin(on: site)
            try await Self.moveToBlob(upload, by: killed, on: site)
            let drive = try await site.start()
            _ = try await drive.housekeeping.recover()
            #expect(try await Self.kept(upload, on: drive) == Array(0..<7))
            try await Self.finish(upload, sending: [], on: drive)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM blob_intents") == 0)
        }
    }

    /// An intent whose upload is gone names bytes of nobody.
    @Test(arguments: Engine.underTest)
    func aCrashOfAnEndedUploadLeavesNoBytes(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (killed, upload) = try await Self.begin(on: site)
            try await Self.moveToBlob(upload, by: killed, on: site)
            try await killed.uploads.cancel(upload.taskId, by: upload.owner)
            let drive = try await site.start()
            #expect(try await drive.housekeeping.recover().settledIntents == 1)
            #expect(try await drive.pools.open(nil).store.list() == [])
            #expect(site.staged == [])
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aCrashLeavesNoOrphanInStaging(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (killed, upload) = try await Self.begin(on: site, sending: [])
            // Between the file and its rows.
            _ = try await killed.pools.open(nil).store.createStaging("0123456789abcdefghijkl", size: 10, keepSize: false)
            let drive = try await site.start()
            #expect(try await drive.findings().count == 1)
            #expect(try await drive.housekeeping.recover().removedStaging == 1)
            #expect(site.staged == [upload.taskId])
            #expect(try await drive.findings() == [])
        }
    }
}
