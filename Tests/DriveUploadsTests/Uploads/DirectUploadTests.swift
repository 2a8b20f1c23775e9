import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// A small file in one request.
@Suite(.timeLimit(.minutes(3))) struct DirectUploadTests {
    private static func send(
        _ content: Content, on drive: Instance, by owner: Caller, name: String = "a.bin", hash: String? = nil,
        digests: [ExpectedDigest] = [],
        length: Int64? = nil, key: String? = nil
    ) async throws -> CloudFile {
        try await drive.uploads.uploadDirectly(
            DirectUploadRequest(fileName: name, hash: hash), body: ScriptedBody(content.bytes, digests: digests), length: length,
            idempotencyKey: key, by: owner)
    }

    @Test(arguments: Engine.underTest, [0, 1, 65_536, 300_000])
    func storesTheFile(engine: Engine, size: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let content = Content(size)
            for length in [nil, Int64(size), Int64(size + 200)] {
                let file = try await Self.send(
                    content, on: drive, by: owner, hash: content.hash, digests: [.sha256(try #require(Content.sha256(content.bytes)))],
                    length: length)
                #expect((file.size, file.hash) == (Int64(size), content.hash))
                #expect(try await drive.bytes(of: file, owner: owner) == content.bytes)
            }
            #expect(site.staged == [])
            #expect(try await drive.pools.open(nil).store.list().count == 1)
            let quota = try await drive.files.quota(account: owner.accountId, default: nil)
            #expect((quota.usedBytes, quota.reservedBytes) == (Int64(3 * size), 0))
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func keepsNothingOfARefusedFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start {
                $0.maximumDirectSize = 100_000
                $0.defaultQuota = 1_000_000
            }
            let owner = Caller.someone()
            let content = Content(90_000)
            await expectRefusal(.payloadTooLarge) { try await Self.send(content, on: drive, by: owner, length: 100_001) }
            await expectRefusal(.payloadTooLarge) { try await Self.send(Content(100_001), on: drive, by: owner) }
            await expectRefusal(.hashMismatch) { try await Self.send(content, on: drive, by: owner, hash: Content(1).hash) }
            await expectRefusal(.chunkDigestMismatch) { try await Self.send(content, on: drive, by: owner, digests: [.crc32c(1)]) }
            await expectRefusal(.chunkDigestMismatch) { try await Self.send(content, on: drive, by: owner, digests: [.sha256([1])]) }
            await expectRefusal(.invalidFileName) { try await Self.send(content, on: drive, by: owner, name: "a/b") }
            await expectRefusal(.bodyTruncated) {
                try await drive.uploads.uploadDirectly(
                    DirectUploadRequest(fileName: "a"),
                    body: ScriptedBody([.bytes(content.bytes), .fail(DriveError(.bodyTruncated, "cut"))]),
                    length: nil, idempotencyKey: nil, by: owner)
            }
            #expect(site.staged == [])
            #expect(try await drive.pools.open(nil).store.list() == [])
            let quota = try await drive.files.quota(account: owner.accountId, default: nil)
            #expect((quota.usedBytes, quota.reservedBytes) == (0, 0))
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM blob_intents") == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(
        arguments: Engine.underTest,
        [
            "staging.preallocate:errno=ENOSPC@1", "chunk.write.before:short@1", "chunk.write.before:errno=EIO@2",
            "file.fsync.before:errno=EIO@1",
            "blob.rename.before:errno=EIO@1", "directory.fsync.before:errno=EIO@2",
        ])
    func aFailingDiskLeavesNothing(engine: Engine, fault: String) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start(faults: fault)
            let owner = Caller.someone()
            // More than one piece, so that a write in the middle can fail.
            let content = Content(300_000)
            let error = await #expect(throws: DriveError.self) { try await Self.send(content, on: drive, by: owner) }
            #expect(error?.code == .storageFailed || error?.code == .storageFull)
            #expect(site.staged == [])
            #expect(try await drive.pools.open(nil).store.list() == [])
            #expect(try await Self.send(content, on: drive, by: owner).hash == content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aKeyStoresOneFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let files = try await withThrowingTaskGroup(of: CloudFile.self) { group in
                for _ in 0..<8 { group.addTask { try await Self.send(Content(70_000), on: drive, by: owner, key: "k") } }
                return try await group.reduce(into: Set<CloudFile>()) { $0.insert($1) }
            }
            #expect(files.count == 1)
            #expect(try await drive.files.usage(account: owner.accountId).fileCount == 1)
            #expect(try await drive.findings() == [])
        }
    }

    /// Killed while the file came in: its reservation goes back at the next start.
    @Test(arguments: Engine.underTest)
    func aCrashGivesTheReservationBack(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let first = try await site.start()
            let owner = Caller.someone()
            let (reached, until) = (Gate(), Gate())
            let body = ScriptedBody([.bytes(Array(repeating: 1, count: 50_000)), .pause(reached: reached, until: until)])
            let request = Task {
                try await first.uploads.uploadDirectly(
                    DirectUploadRequest(fileName: "a"), body: body, length: 50_000, idempotencyKey: nil, by: owner)
            }
            await reached.wait()
            // A small body comes in while its quota is reserved; that is another crash, which leaves a staging file alone.
            try await eventually { try await first.files.quota(account: owner.accountId, default: nil).reservedBytes > 0 }
            site.clock.advance(by: .seconds(1))
            let drive = try await site.start()
            _ = try await drive.housekeeping.recover()
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == 0)
            #expect(site.staged == [])
            #expect(try await drive.findings() == [])
            until.open()
            // The request of the process that was not really killed meets an ended upload.
            await #expect(throws: (any Error).self) { try await request.value }
            #expect(try await drive.findings() == [])
        }
    }

    /// Received while its quota was being refused: the refusal is the answer, and nothing of the bytes stays.
    @Test(arguments: Engine.underTest, [1000, 300_000])
    func aRefusedReservationLeavesNothing(engine: Engine, size: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.defaultQuota = 500 }
            let owner = Caller.someone()
            for body in [
                ScriptedBody([.bytes(Array(repeating: 1, count: size))]), ScriptedBody([.fail(DriveError(.bodyTruncated, "gone"))]),
            ] {
                await expectRefusal(.quotaExceeded) {
                    try await drive.uploads.uploadDirectly(
                        DirectUploadRequest(fileName: "a"), body: body, length: Int64(size), idempotencyKey: nil, by: owner)
                }
            }
            #expect(site.staged == [])
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == 0)
            #expect(try await drive.findings() == [])
        }
    }

    /// A slow line: the file takes longer than an intent is left alone. The sweep must not take its bytes.
    @Test(arguments: Engine.underTest)
    func aSweepSparesAFileUnderWay(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start(faults: "blob.rename.after:delay=1500ms@1")
            let owner = Caller.someone()
            let (reached, until) = (Gate(), Gate())
            let content = Content(50_000)
            let body = ScriptedBody([.bytes(content.bytes), .pause(reached: reached, until: until)])
            async let file = drive.uploads.uploadDirectly(
                DirectUploadRequest(fileName: "a"), body: body, length: 50_000, idempotencyKey: nil, by: owner)
            await reached.wait()
            site.clock.advance(by: .seconds(2 * 3600))
            until.open()
            let store = try await drive.pools.open(nil).store
            try await eventually { try await !store.list().isEmpty }
            // Between the rename and the transaction.
            _ = await drive.housekeeping.sweep()
            let stored = try await file
            #expect(try await drive.bytes(of: stored, owner: owner) == content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    /// The client went away: the clean-up runs in a cancelled task, and runs all the same.
    @Test(arguments: Engine.underTest)
    func aCancelledRequestCleansUp(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let (reached, until) = (Gate(), Gate())
            let body = ScriptedBody([
                .bytes(Array(repeating: 1, count: 50_000)), .pause(reached: reached, until: until),
                .fail(DriveError(.bodyTruncated, "cut")),
            ])
            let request = Task {
                try await drive.uploads.uploadDirectly(
                    DirectUploadRequest(fileName: "a"), body: body, length: nil, idempotencyKey: nil, by: owner)
            }
            await reached.wait()
            request.cancel()
            until.open()
            await #expect(throws: (any Error).self) { try await request.value }
            #expect(site.staged == [])
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == 0)
            #expect(try await drive.findings() == [])
        }
    }
}
