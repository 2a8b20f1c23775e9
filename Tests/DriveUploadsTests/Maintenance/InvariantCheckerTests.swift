import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// Each damage is planted, found, and mended where the checker says so.
@Suite struct InvariantCheckerTests {
    private static let content = Content(2 * 65_536 + 3)

    /// One published file and one open upload with a chunk.
    private struct Planted {
        let site: Site
        let drive: Instance
        let upload: Content.Upload
        let open: Content.Upload
        let file: CloudFile
        let blobPath: String

        var blob: String { site.folder + "/pools/default/" + blobPath }
    }

    private static func with(_ engine: Engine, _ body: (Planted) async throws -> Void) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await content.create(on: drive)
            try await drive.sendAll(upload)
            let file = try await drive.complete(upload)
            let open = try await Content(100_000, seed: 4).create(on: drive)
            try await drive.send(0, of: open)
            #expect(try await drive.findings() == [])
            let path = try #require(try await drive.pools.open(nil).store.list().first)
            try await body(Planted(site: site, drive: drive, upload: upload, open: open, file: file, blobPath: path))
        }
    }

    /// Finds `kind` alone; after a repair it is gone, or still there where nothing can mend it.
    private static func expect(
        _ kind: String, count: Int = 1, isMended: Bool, in drive: Instance, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await drive.checker.run(repair: false)
        #expect(found.map(\.kind) == Array(repeating: kind, count: count), sourceLocation: sourceLocation)
        #expect(found.allSatisfy { !$0.repaired }, sourceLocation: sourceLocation)
        let repaired = try await drive.checker.run(repair: true)
        #expect(repaired.map(\.repaired) == Array(repeating: isMended, count: count), sourceLocation: sourceLocation)
        let after = try await drive.checker.run(repair: false)
        #expect(after.map(\.kind) == (isMended ? [] : found.map(\.kind)), sourceLocation: sourceLocation)
    }

    @Test(arguments: Engine.underTest)
    func findsAChangedByte(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try planted.site.damage(planted.blob, at: 100_000)
            try await Self.expect("blob.damaged", isMended: false, in: planted.drive)
        }
    }

    @Test(arguments: Engine.underTest, [0, 5, 200_000] as [UInt64])
    func findsAWrongLength(engine: Engine, length: UInt64) async throws {
        try await Self.with(engine) { planted in
            let handle = try #require(FileHandle(forUpdatingAtPath: planted.blob))
            try handle.truncate(atOffset: length)
            try handle.close()
            try await Self.expect("blob.damaged", isMended: false, in: planted.drive)
            // The reader gets an error, never a short success.
            await expectRefusal(.blobDamaged) {
                try await planted.drive.files.open(planted.file.id, account: planted.upload.owner.accountId)
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func findsAMissingBlob(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try FileManager.default.removeItem(atPath: planted.blob)
            try await Self.expect("blob.missing", isMended: false, in: planted.drive)
            await expectRefusal(.blobDamaged) {
                try await planted.drive.files.open(planted.file.id, account: planted.upload.owner.accountId)
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func removesBytesWithoutARow(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try FileManager.default.copyItem(atPath: planted.blob, toPath: planted.blob + "2")
            try await Self.expect("blob.orphaned", isMended: true, in: planted.drive)
            #expect(try await planted.drive.pools.open(nil).store.list() == [planted.blobPath])
        }
    }

    @Test(arguments: Engine.underTest, [0, 5] as [Int64])
    func recountsReferences(engine: Engine, count: Int64) async throws {
        try await Self.with(engine) { planted in
            try await planted.site.database.change("UPDATE file_checksums SET reference_count = $1", [.integer(count)])
            try await Self.expect("reference.count", isMended: true, in: planted.drive)
            // Mended for good: with its last file the blob goes.
            try await planted.drive.files.delete(planted.file.id, by: planted.upload.owner)
            planted.site.clock.advance(by: .seconds(4000))
            #expect(await planted.drive.housekeeping.sweep().collectedBlobs == 1)
            #expect(try await planted.drive.findings() == [])
        }
    }

    /// A count that was too high kept the blob when its last file went; once mended it is collected.
    @Test(arguments: Engine.underTest)
    func aRepairedCountOfZeroIsCollected(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.site.database.change("UPDATE file_checksums SET reference_count = 2")
            try await planted.drive.files.delete(planted.file.id, by: planted.upload.owner)
            try await Self.expect("reference.count", isMended: true, in: planted.drive)
            planted.site.clock.advance(by: .seconds(4000))
            #expect(await planted.drive.housekeeping.sweep().collectedBlobs == 1)
            #expect(try await planted.drive.findings() == [])
        }
    }

    /// A count that was too low had the blob marked for collection; once mended the mark is gone.
    @Test(arguments: Engine.underTest)
    func aRepairedBlobIsNotCollected(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.site.database.change(
                "UPDATE file_checksums SET reference_count = 0, unreferenced_at = $1", [.timestamp(planted.site.clock.now)])
            try await Self.expect("reference.count", isMended: true, in: planted.drive)
            #expect(
                try await planted.site.database.number("SELECT COUNT(*) AS value FROM file_checksums WHERE unreferenced_at IS NOT NULL")
                    == 0)
            planted.site.clock.advance(by: .seconds(4000))
            #expect(await planted.drive.housekeeping.sweep().collectedBlobs == 0)
            #expect(try await planted.drive.bytes(of: planted.file, owner: planted.upload.owner) == Self.content.bytes)
        }
    }

    @Test(arguments: Engine.underTest)
    func findsAFileWithoutABlobRow(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.site.database.change("DELETE FROM file_checksums")
            try FileManager.default.removeItem(atPath: planted.blob)
            try await Self.expect("file.blobless", isMended: false, in: planted.drive)
        }
    }

    @Test(arguments: Engine.underTest, ["used_bytes", "reserved_bytes", "file_count", "open_uploads"])
    func recomputesUsage(engine: Engine, column: String) async throws {
        try await Self.with(engine) { planted in
            try await planted.site.database.change(
                "UPDATE account_usage SET \(column) = \(column) + 7 WHERE account_id = $1", [.uuid(planted.upload.owner.accountId)])
            try await Self.expect("usage", isMended: true, in: planted.drive)
        }
    }

    @Test(arguments: Engine.underTest)
    func findsAccountsWithoutAUsageRow(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            let account = planted.upload.owner.accountId
            try await planted.site.database.change("DELETE FROM account_usage WHERE account_id = $1", [.uuid(account)])
            #expect(try await planted.drive.checker.run(repair: true).contains { $0.kind == "usage" && $0.repaired })
            #expect(try await planted.drive.findings() == [])
            #expect(try await planted.drive.files.quota(account: account, default: nil).usedBytes == planted.file.size)
        }
    }

    @Test(arguments: Engine.underTest)
    func recomputesOpenBytes(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.site.database.change("UPDATE pools SET open_bytes = 1")
            try await Self.expect("pool.openBytes", isMended: true, in: planted.drive)
        }
    }

    @Test(arguments: Engine.underTest)
    func removesOrphanedStaging(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            _ = try await planted.drive.pools.open(nil).store.createStaging("0123456789abcdefghijkl", size: 5, keepSize: false)
            try await Self.expect("staging.orphaned", isMended: true, in: planted.drive)
            #expect(planted.site.staged == [planted.open.taskId])
        }
    }

    @Test(arguments: Engine.underTest)
    func findsRowsThatDisagree(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.site.database.change(
                "UPDATE upload_tasks SET chunks_uploaded = 2 WHERE task_id = $1", [.text(planted.open.taskId)])
            try await Self.expect("task.chunks", isMended: false, in: planted.drive)
            try await planted.site.database.change(
                "UPDATE upload_tasks SET chunks_uploaded = 1 WHERE task_id = $1", [.text(planted.open.taskId)])
            try await planted.site.database.change("UPDATE tasks SET status = 'Failed' WHERE task_id = $1", [.text(planted.open.taskId)])
            try await Self.expect("task.status", isMended: false, in: planted.drive)
            try await planted.site.database.change("DELETE FROM tasks WHERE task_id = $1", [.text(planted.open.taskId)])
            try await Self.expect("task.missing", isMended: false, in: planted.drive)
        }
    }
}
