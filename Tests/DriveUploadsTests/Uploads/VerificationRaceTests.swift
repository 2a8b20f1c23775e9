import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveStorage
import EngineTestSupport
import Foundation
import Testing

@testable import DriveUploads

/// Chunks that came before their turn are hashed by a follower: against cancel, complete, and other bytes in their place.
@Suite(.timeLimit(.minutes(1))) struct VerificationRaceTests {
    private static let chunkSize = 65_536

    /// An upload whose chunks from the second on came before the first, so that a follower hashes them once that is there. Returns
    /// when the follower is started, and the thread on which it reads stands still.
    private static func startFollower(
        _ content: Content, hash: String? = nil, on drive: Instance, _ io: StoppableIO, _ site: Site
    ) async throws -> (Content.Upload, UploadSession) {
        let upload = try await content.create(on: drive, hash: hash)
        for index in 1..<upload.count { try await drive.send(index, of: upload) }
        // All bytes of the first chunk are written when its row is.
        let (written, acknowledge) = (Gate(), Gate())
        site.database.hold(reached: written, until: acknowledge)
        async let first = drive.send(0, of: upload)
        await written.wait()
        await io.stop()
        acknowledge.open()
        _ = try await first
        let session = try #require(drive.openSession(upload))
        #expect(session.withState { $0.follower != nil })
        #expect(session.withState { $0.frontier.byteCount } == Int64(chunkSize))
        return (upload, session)
    }

    /// Cancel does not wait for the hash, the hash stops at its next piece, and who waits for the file is told.
    @Test(arguments: Engine.underTest)
    func cancelEndsAVerification(engine: Engine) async throws {
        try await Site.with(engine) { site in
            try await StoppableIO.with(site, { $0.verificationPatience = .seconds(60) }) { drive, io in
                // The follower reads in pieces of 1 MiB: there is a second one.
                let (upload, session) = try await Self.startFollower(Content(40 * Self.chunkSize), on: drive, io, site)
                async let completed = Result { () async throws in try await drive.uploads.complete(upload.taskId, by: upload.owner) }
                try await eventually { session.withState { $0.ledger.phase } == .completing }
                try await drive.uploads.cancel(upload.taskId, by: upload.owner)
                #expect(try await drive.status(upload) == .cancelled)
                io.go()
                guard case .failure(let error) = await completed else { throw TimedOut() }
                #expect((error as? DriveError)?.code == .taskClosed)
                try await eventually { session.withState { $0.follower == nil && $0.completion == nil } }
                #expect(session.withState { $0.verifiedBytes } <= Int64(Self.chunkSize + 1 << 20))
                #expect(session.withState { $0.ledger.phase } == .closed)
                #expect(drive.openSession(upload) == nil)
                #expect(site.staged == [])
                #expect(try await drive.files.list(.init(), account: upload.owner.accountId).total == 0)
                #expect(try await drive.files.quota(account: upload.owner.accountId, default: nil).reservedBytes == 0)
                #expect(try await drive.findings() == [])
            }
        }
    }

    /// A caller that waits no longer hears how far it is, and gets the file later by the same call.
    @Test(arguments: Engine.underTest)
    func completeAnswersBeforeTheHashIsThere(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let content = Content(4 * Self.chunkSize)
            try await StoppableIO.with(site, { $0.verificationPatience = .zero }) { drive, io in
                let (upload, session) = try await Self.startFollower(content, hash: content.hash, on: drive, io, site)
                guard case .verifying(let progress) = try await drive.uploads.complete(upload.taskId, by: upload.owner) else {
                    throw TimedOut()
                }
                #expect(progress == 25)
                // It is open meanwhile: a wrong chunk could be replaced.
                #expect(session.withState { $0.ledger.phase } == .open)
                io.go()
                try await drive.untilIdle(upload)
                #expect(try await drive.complete(upload).hash == content.hash)
                #expect(try await drive.findings() == [])
            }
        }
    }

    /// Where the follower is when its chunk gets other bytes.
    enum Moment: String, CaseIterable, Sendable, CustomTestStringConvertible {
        /// It reaches the end while the chunk is being given up: that hash goes.
        case endsDuring
        /// It was begun before and ends after: its hash counts for nothing.
        case endsAfter

        var testDescription: String { rawValue }
    }

    /// The file's hash is over the bytes that are kept, whenever they came.
    @Test(arguments: Engine.underTest, Moment.allCases)
    func aHashOverReplacedBytesIsDropped(engine: Engine, moment: Moment) async throws {
        try await Site.with(engine) { site in
            try await StoppableIO.with(site) { drive, io in
                let content = Content(5 * Self.chunkSize + 7)
                let wrong = content.differing(at: 2 * Self.chunkSize + 9)
                let (sent, session) = try await Self.startFollower(wrong, hash: content.hash, on: drive, io, site)
                let upload = Content.Upload(content: content, taskId: sent.taskId, chunkSize: sent.chunkSize, owner: sent.owner)
                let (deleting, delete) = (Gate(), Gate())
                site.database.hold(reached: deleting, until: delete)
                async let replaced = drive.send(2, of: upload, replace: true)
                await deleting.wait()
                if moment == .endsDuring {
                    io.go()
                    try await eventually { session.withState { $0.frontier.byteCount } == Int64(content.bytes.count) }
                }
                delete.open()
                try await eventually { session.withState { $0.epoch } == 1 }
                if moment == .endsAfter { io.go() }
                #expect(try await replaced.chunksUploaded == upload.count)
                let file = try await drive.complete(upload)
                #expect(file.hash == content.hash)
                #expect(try await drive.bytes(of: file, owner: upload.owner) == content.bytes)
                #expect(try await drive.findings() == [])
            }
        }
    }

    /// A chunk that is being given up is neither there nor missing: nobody completes, and no second one is given up.
    @Test(arguments: Engine.underTest)
    func nobodyCompletesWhileAChunkIsGivenUp(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let content = Content(3 * Self.chunkSize)
            let upload = try await content.create(on: drive, hash: content.hash)
            try await drive.sendAll(upload)
            let (deleting, delete) = (Gate(), Gate())
            site.database.hold(reached: deleting, until: delete)
            async let replaced = drive.send(1, of: upload, replace: true)
            await deleting.wait()
            await expectRefusal(.taskClosed) { try await drive.uploads.complete(upload.taskId, by: upload.owner) }
            await expectRefusal(.chunkInProgress) { try await drive.send(2, of: upload, replace: true) }
            delete.open()
            #expect(try await replaced.chunksUploaded == upload.count)
            #expect(try await drive.complete(upload).hash == content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    /// The rule alone: a hash begun before a chunk was given up, and one that is shorter than what is known, change nothing.
    @Test func onlyANewerAndLongerHashCounts() async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start()
            let upload = try await Content(4 * Self.chunkSize).create(on: drive)
            let session = try #require(drive.openSession(upload))
            let hashes = [1, 2, 3].map { count in
                var hash = FileDigest()
                upload.content.bytes[..<(count * Self.chunkSize)].withUnsafeBytes { hash.update($0) }
                return hash
            }
            let reached = session.withState { state in
                [(1, 0), (0, 0), (2, 1)].map { hash, epoch -> Int64 in
                    state.advance(to: hashes[hash], epoch: UInt64(epoch))
                    return state.frontier.byteCount / Int64(Self.chunkSize)
                }
            }
            #expect(reached == [2, 2, 2])
        }
    }
}

extension Content {
    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// The same but for one byte.
    fileprivate func differing(at index: Int) -> Content {
        var bytes = bytes
        bytes[index] ^= 1
        return Content(bytes: bytes)
    }
}
