import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import EngineTestSupport
import Foundation
import Testing

@testable import DriveUploads

/// No more uploads are open in memory than allowed: the longest unused ones are closed, and open again from their rows.
@Suite(.timeLimit(.minutes(1))) struct SessionEvictionTests {
    private static let content = Content(3 * 65_536 + 5)

    @Test(arguments: Engine.underTest)
    func theLongestUnusedAreClosedAndOpenAgainAsTheyWere(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.maximumOpenSessions = 8 }
            let first = try await Self.content.create(on: drive, hash: Self.content.hash)
            for index in [0, 2] { try await drive.send(index, of: first) }
            try await drive.untilIdle(first)
            var others: [Content.Upload] = []
            for _ in 0..<7 { others.append(try await Self.content.create(on: drive)) }
            #expect(drive.uploads.openSessionCount == 8)
            // Used since: the second one stays.
            _ = try await drive.uploads.resume(others[0].taskId, account: others[0].owner.accountId)
            others.append(try await Self.content.create(on: drive))
            // One more than allowed; room for one more beside it is made.
            #expect(drive.uploads.openSessionCount == 7)
            #expect(drive.openSession(first) == nil)
            #expect(others.map { drive.openSession($0) != nil } == [true, false] + Array(repeating: true, count: 6))

            // Bytes the hash covers are not read again, or the damage would show.
            try site.damage(site.stagingFolder + "/" + first.taskId, at: 5)
            let resumed = try await drive.uploads.resume(first.taskId, account: first.owner.accountId)
            #expect(resumed.uploadedChunks == [0, 2])
            #expect(drive.openSession(first)?.withState { $0.frontier.byteCount } == 65_536)
            await expectRefusal(.chunkAlreadyUploaded) { try await drive.send(2, of: first) }
            for index in [3, 1] { try await drive.send(index, of: first) }
            #expect(try await drive.complete(first).hash == Self.content.hash)
            #expect(try await drive.checker.run(repair: false).map(\.kind) == ["blob.damaged"])
        }
    }

    /// A chunk's first bytes are there and its sender is alive until `release`.
    private struct BusyUpload {
        let upload: Content.Upload
        let release = Gate()
        let sender: Task<ChunkReply, any Error>

        init(on drive: Instance) async throws {
            let upload = try await SessionEvictionTests.content.create(on: drive, hash: SessionEvictionTests.content.hash)
            let (reached, bytes, release) = (Gate(), upload.chunk(0), release)
            self.upload = upload
            sender = Task {
                try await drive.uploads.receiveChunk(
                    0, of: upload.taskId,
                    body: ScriptedBody([
                        .bytes(Array(bytes[..<40_000])), .pause(reached: reached, until: release), .bytes(Array(bytes[40_000...])),
                    ]), length: nil, by: upload.owner)
            }
            await reached.wait()
        }

        /// The sender sends the rest, and so do others after it.
        func finish(on drive: Instance) async throws {
            release.open()
            #expect(try await sender.value.chunksUploaded == 1)
            for index in 1..<upload.count { try await drive.send(index, of: upload) }
            #expect(try await drive.complete(upload).hash == SessionEvictionTests.content.hash)
        }
    }

    @Test(arguments: Engine.underTest)
    func anUploadInUseIsKept(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.maximumOpenSessions = 4 }
            // Older than all that follow, and used last before them.
            let busy = try await BusyUpload(on: drive)
            let session = try #require(drive.openSession(busy.upload))
            for _ in 0..<12 { _ = try await Self.content.create(on: drive) }
            #expect(drive.uploads.openSessionCount <= 4)
            // The same one: two of them would each let a sender have the same chunk.
            #expect(drive.openSession(busy.upload) === session)
            try await busy.finish(on: drive)
            #expect(try await drive.findings() == [])
        }
    }

    /// The limit is no refusal: where all are in use, one more opens all the same, and room is made as soon as they are idle.
    @Test(arguments: Engine.underTest)
    func whereAllAreInUseOneMoreOpens(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.maximumOpenSessions = 2 }
            var busy: [BusyUpload] = []
            for _ in 0..<3 { busy.append(try await BusyUpload(on: drive)) }
            #expect(drive.uploads.openSessionCount == 3)
            for upload in busy { #expect(drive.openSession(upload.upload) != nil) }
            for upload in busy {
                upload.release.open()
                #expect(try await upload.sender.value.chunksUploaded == 1)
                try await drive.untilIdle(upload.upload)
            }
            _ = try await Self.content.create(on: drive)
            #expect(drive.uploads.openSessionCount <= 2)
            // Closed or not, each goes on.
            for upload in busy { try await upload.finish(on: drive) }
            #expect(try await drive.findings() == [])
        }
    }
}
