import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// A disk that fails or is full, a database whose answer gets lost: nothing acknowledged is lost, nothing is half published.
@Suite struct FaultTests {
    private static let content = Content(3 * 65_536 + 500)

    @Test(arguments: Engine.underTest, ["ENOSPC", "EIO"])
    func aFullDiskAtCreateLeavesNothing(engine: Engine, errno: String) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start(faults: "staging.preallocate:errno=\(errno)@1")
            let owner = Caller.someone()
            await expectRefusal(errno == "ENOSPC" ? .storageFull : .storageFailed) { try await Self.content.create(on: drive, by: owner) }
            #expect(site.staged == [])
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == 0)
            let upload = try await Self.content.create(on: drive, by: owner)
            try await drive.sendAll(upload)
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest, ["errno=ENOSPC", "errno=EIO", "short"])
    func aFailingWriteRefusesTheChunkAlone(engine: Engine, action: String) async throws {
        try await Site.with(engine) { site in
            // A chunk is written in four pieces: the fault meets the second chunk's second one.
            let drive = try await site.start(faults: "chunk.write.before:\(action)@6") {
                $0.defaultChunkSize = 7 * 65_536
                $0.writePiece = 128 << 10
            }
            let content = Content(3 * 7 * 65_536 + 500)
            let upload = try await content.create(on: drive, hash: content.hash)
            try await drive.send(0, of: upload)
            await expectRefusal(action == "errno=EIO" ? .storageFailed : .storageFull) { try await drive.send(1, of: upload) }
            #expect(try await drive.uploads.resume(upload.taskId, account: upload.owner.accountId).uploadedChunks == [0])
            for index in 1..<upload.count { try await drive.send(index, of: upload) }
            let file = try await drive.complete(upload)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    /// A failed flush is final: the kernel may have dropped the pages, so that the upload fails in the open.
    @Test(arguments: Engine.underTest)
    func aFailedFlushEndsTheUpload(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start(faults: "file.fsync.before:errno=EIO@1")
            let upload = try await Self.content.create(on: drive)
            try await drive.sendAll(upload)
            await expectRefusal(.storageFailed) { try await drive.complete(upload) }
            #expect(try await drive.status(upload) == .failed)
            #expect(site.staged == [])
            site.clock.advance(by: .seconds(7200))
            _ = await drive.housekeeping.sweep()
            #expect(try await drive.findings() == [])
        }
    }

    /// The rename or the folder's flush fails once: the next complete gives the file, and no chunk is asked for again.
    @Test(
        arguments: Engine.underTest,
        ["blob.rename.before:errno=EIO@1", "blob.rename.before:errno=ENOSPC@1", "directory.fsync.before:errno=EIO@2"])
    func aFailedPublicationIsTriedAgain(engine: Engine, fault: String) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start(faults: fault)
            // The first flush of a folder is that of the new blob folder's entry.
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            try await drive.sendAll(upload)
            let error = await #expect(throws: DriveError.self) { try await drive.complete(upload) }
            #expect(error?.code == .storageFailed || error?.code == .storageFull)
            #expect(try await drive.uploads.resume(upload.taskId, account: upload.owner.accountId).uploadedChunks == Array(0..<4))
            let file = try await drive.complete(upload)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == Self.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    /// The row was written and the answer lost: the chunk sent again is acknowledged, and counted once.
    @Test(arguments: Engine.underTest)
    func aLostAcknowledgementIsRepeated(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            try await drive.send(0, of: upload)
            site.database.loseReplies(1)
            await #expect(throws: (any Error).self) { try await drive.send(1, of: upload) }
            do {
                try await drive.send(1, of: upload)
            } catch let error as DriveError {
                #expect(error.code == .chunkAlreadyUploaded)
            }
            let record = try await drive.uploads.record(upload.taskId, account: upload.owner.accountId)
            #expect((record.chunksUploaded, record.bytesUploaded) == (2, 2 * 65_536))
            for index in 2..<upload.count { try await drive.send(index, of: upload) }
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    /// Complete has two transactions: the intent's, and the one that publishes.
    @Test(arguments: Engine.underTest, [1, 2])
    func aLostAnswerOfCompleteGivesTheSameFile(engine: Engine, lost: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            try await drive.sendAll(upload)
            site.database.loseReplies(lost)
            for _ in 0..<lost { _ = try? await drive.complete(upload) }
            let file = try await drive.complete(upload)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == Self.content.bytes)
            #expect(try await drive.files.list(.init(), account: upload.owner.accountId).total == 1)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aLostAnswerOfCancelIsRepeated(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            site.database.loseReplies(1)
            await #expect(throws: (any Error).self) { try await drive.uploads.cancel(upload.taskId, by: upload.owner) }
            try await drive.uploads.cancel(upload.taskId, by: upload.owner)
            #expect(try await drive.status(upload) == .cancelled)
            let next = try await site.start()
            _ = try await next.housekeeping.recover()
            #expect(try await next.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aLostAnswerOfCreateIsFoundByItsKey(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            site.database.loseReplies(1)
            await #expect(throws: (any Error).self) { try await Self.content.create(on: drive, by: owner, key: "k") }
            let upload = try await Self.content.create(on: drive, by: owner, key: "k")
            try await drive.sendAll(upload)
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.uploads.list(.init(), account: owner.accountId).total == 1)
            #expect(try await drive.findings() == [])
        }
    }

    /// Dedup by sharing: the flush of bytes that are not needed any more must not matter.
    @Test(arguments: Engine.underTest)
    func aFailedFlushOfSharedBytesIsNoFailure(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start(faults: "file.fsync.before:errno=EIO@2")
            let first = try await Self.content.create(on: drive)
            try await drive.sendAll(first)
            _ = try await drive.complete(first)
            let second = try await Self.content.create(on: drive)
            try await drive.sendAll(second)
            _ = try? await drive.complete(second)
            let file = try await drive.complete(second)
            #expect(try await drive.bytes(of: file, owner: second.owner) == Self.content.bytes)
            #expect(site.staged == [])
            #expect(try await drive.findings() == [])
        }
    }
}
