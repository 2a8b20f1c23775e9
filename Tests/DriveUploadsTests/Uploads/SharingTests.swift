import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// Content that is there already: early for its owner, late for everybody else.
@Suite struct SharingTests {
    private static let content = Content(2 * 65_536 + 9)

    private static func upload(_ content: Content, by owner: Caller, on drive: Instance) async throws -> CloudFile {
        let upload = try await content.create(on: drive, by: owner)
        try await drive.sendAll(upload)
        return try await drive.complete(upload)
    }

    private static func references(_ site: Site) async throws -> Int64 {
        try await site.database.number("SELECT COALESCE(SUM(reference_count), 0) AS value FROM file_checksums")
    }

    @Test(arguments: Engine.underTest)
    func accountsShareBytesAndNothingElse(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owners = (0..<3).map { _ in Caller.someone() }
            var files: [CloudFile] = []
            for owner in owners { files.append(try await Self.upload(Self.content, by: owner, on: drive)) }
            #expect(Set(files.map(\.id)).count == 3)
            #expect(try await Self.references(site) == 3)
            #expect(try await drive.pools.open(nil).store.list().count == 1)
            #expect(site.staged == [])
            for (owner, file) in zip(owners, files) {
                #expect(try await drive.bytes(of: file, owner: owner) == Self.content.bytes)
                // Each pays for its own.
                #expect(try await drive.files.quota(account: owner.accountId, default: nil).usedBytes == file.size)
            }
            #expect(try await drive.findings() == [])
            try await drive.files.delete(files[0].id, by: owners[0])
            #expect(try await Self.references(site) == 2)
            #expect(try await drive.bytes(of: files[1], owner: owners[1]) == Self.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    /// Knowing a hash gives nothing: only who owns the content already is spared the upload.
    @Test(arguments: Engine.underTest)
    func theEarlyCheckSeesOwnFilesOnly(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let (owner, stranger) = (Caller.someone(), Caller.someone())
            let file = try await Self.upload(Self.content, by: owner, on: drive)
            let request = CreateUploadRequest(fileName: "copy", fileSize: file.size, hash: Self.content.hash)
            #expect(try await drive.uploads.create(request, idempotencyKey: nil, by: owner).existing == file)
            #expect(try await drive.uploads.create(request, idempotencyKey: nil, by: stranger).existing == nil)
            var wrongSize = request
            wrongSize.fileSize -= 1
            #expect(try await drive.uploads.create(wrongSize, idempotencyKey: nil, by: owner).existing == nil)
            var noHash = request
            noHash.hash = nil
            #expect(try await drive.uploads.create(noHash, idempotencyKey: nil, by: owner).existing == nil)
            try await drive.files.delete(file.id, by: owner)
            #expect(try await drive.uploads.create(request, idempotencyKey: nil, by: owner).existing == nil)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func theSameContentAtOnceIsOneBlob(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<12 {
                    group.addTask {
                        let owner = Caller.someone()
                        let file = try await Self.upload(Self.content, by: owner, on: drive)
                        #expect(try await drive.bytes(of: file, owner: owner) == Self.content.bytes)
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await Self.references(site) == 12)
            #expect(try await drive.pools.open(nil).store.list().count == 1)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM blob_intents") == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func poolsDoNotShare(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let other = try await drive.pools.create(name: "other", path: nil, policy: PoolPolicy(costMultiplier: 2))
            let owner = Caller.someone()
            _ = try await Self.upload(Self.content, by: owner, on: drive)
            let upload = try await Self.content.create(on: drive, by: owner, pool: other.id)
            #expect(
                try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == Int64(2 * Self.content.bytes.count))
            try await drive.sendAll(upload)
            let file = try await drive.complete(upload)
            #expect(file.poolId == other.id)
            #expect(try await drive.pools.open(other.id).store.list().count == 1)
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).usedBytes == Int64(3 * Self.content.bytes.count))
            #expect(try await drive.findings() == [])
        }
    }

    /// The last reference went, the grace period runs, and somebody brings the same content again.
    @Test(arguments: Engine.underTest)
    func aBlobComesBackWithinItsGracePeriod(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let file = try await Self.upload(Self.content, by: owner, on: drive)
            try await drive.files.delete(file.id, by: owner)
            site.clock.advance(by: .seconds(3000))
            let again = try await Self.upload(Self.content, by: owner, on: drive)
            site.clock.advance(by: .seconds(3000))
            #expect(await drive.housekeeping.sweep().collectedBlobs == 0)
            #expect(try await drive.bytes(of: again, owner: owner) == Self.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    /// Bytes that changed in place keep their length: once somebody has seen it, the next upload of the content mends it,
    /// and nobody is told that he owns the content already.
    @Test(arguments: Engine.underTest, [false, true])
    func aBlobFoundDamagedIsReplaced(engine: Engine, byChecker: Bool) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let file = try await Self.upload(Self.content, by: owner, on: drive)
            let path = try #require(try await drive.pools.open(nil).store.list().first)
            try site.damage(site.folder + "/pools/default/" + path, at: 5)
            if byChecker {
                #expect(try await drive.checker.run(repair: true).map(\.kind) == ["blob.damaged"])
            } else {
                await drive.files.recordDamage(of: file, seenBy: owner)
            }
            // With the hash announced, as a client that saves an upload does.
            let upload = try await Self.content.create(on: drive, by: owner, hash: Self.content.hash)
            try await drive.sendAll(upload)
            let again = try await drive.complete(upload)
            for file in [file, again] { #expect(try await drive.bytes(of: file, owner: owner) == Self.content.bytes) }
            #expect(try await drive.findings() == [])
            // It is sound now: the next one shares it.
            #expect(
                try await drive.uploads.create(
                    CreateUploadRequest(fileName: "b", fileSize: Int64(Self.content.bytes.count), hash: Self.content.hash),
                    idempotencyKey: nil, by: owner
                ).existing != nil)
        }
    }

    /// Stored bytes that are gone or cut must not swallow a good copy of the same content.
    @Test(arguments: Engine.underTest, [false, true])
    func aDamagedBlobIsNotShared(engine: Engine, isMissing: Bool) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            _ = try await Self.upload(Self.content, by: .someone(), on: drive)
            let path = try #require(try await drive.pools.open(nil).store.list().first)
            let full = site.folder + "/pools/default/" + path
            if isMissing {
                try FileManager.default.removeItem(atPath: full)
            } else {
                let handle = try #require(FileHandle(forUpdatingAtPath: full))
                try handle.truncate(atOffset: 10)
                try handle.close()
            }
            let owner = Caller.someone()
            let file = try await Self.upload(Self.content, by: owner, on: drive)
            #expect(try await drive.bytes(of: file, owner: owner) == Self.content.bytes)
        }
    }
}
