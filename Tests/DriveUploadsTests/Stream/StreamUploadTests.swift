import DriveCrypto
import DriveEvents
import DriveModel
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// Uploads that come as one stream: every byte that came is kept, and the newest request has the word.
@Suite(.timeLimit(.minutes(3))) struct StreamUploadTests {
    private static let content = Content(200_001)
    private static var count: Int { content.bytes.count }

    @Test(arguments: Engine.underTest, [[], [1], [65_536], [1, 2, 3, 4_096, 100_000], [200_000]] as [[Int]])
    func comesInAnyCuts(engine: Engine, cuts: [Int]) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive) { $0.hash = Self.content.hash }
            var start = 0
            for cut in cuts {
                let upload = try await scene.send(start..<cut, to: drive)
                #expect(upload.offset == Int64(cut))
                #expect(try await scene.offset(drive) == cut)
                start = cut
            }
            let file = try #require(try await scene.finish(drive))
            #expect(file.hash == Self.content.hash && file.name == "file.bin")
            #expect(try await scene.look(drive).isComplete)
            #expect(try await scene.send(Self.count..<Self.count, to: drive).isComplete)
            #expect(try await drive.uploads.record(scene.taskId, account: scene.owner.accountId).progress == 100)
            #expect(try await drive.findings() == [])
            #expect(site.staged.isEmpty)
        }
    }

    @Test(arguments: Engine.underTest, [0, 1, 4_095, 32_768, 65_537, 150_000])
    func keepsWhatCameOfABrokenBody(engine: Engine, arrived: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive)
            let body = StreamedBytes([.bytes(Array(Self.content.bytes[..<arrived])), .fail(StreamedBytes.broken)])
            await expectRefusal(.bodyTruncated) { try await scene.send(body, at: 0, to: drive) }
            #expect(try await scene.offset(drive) == arrived)
            #expect(try await scene.finish(drive) != nil)
            #expect(try await drive.findings() == [])
        }
    }

    /// Killed while bytes come: what was written counts, whatever the rows say.
    @Test(arguments: Engine.underTest)
    func keepsWhatWasWrittenBeforeAKill(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (killed, stalled, never) = (try await site.start(), Gate(), Gate())
            let scene = try await StreamScene.create(Self.content, on: killed)
            try await scene.send(0..<50_000, to: killed)
            let body = StreamedBytes([
                .bytes(Array(Self.content.bytes[50_000..<120_000])), .silence, .silence, .stall(reached: stalled, goOn: never),
            ])
            let sending = Task { try? await scene.send(body, at: 50_000, to: killed) }
            await stalled.wait()
            try await eventually { try site.size(ofStaged: scene.taskId) == 120_000 }
            let drive = try await site.start()
            _ = try await drive.housekeeping.recover()
            #expect(try await scene.offset(drive) == 120_000)
            #expect(try await scene.finish(drive) != nil)
            #expect(try await drive.findings() == [])
            never.open()
            _ = await sending.value
        }
    }

    /// After a loss of power only what matches its rows counts.
    @Test(arguments: Engine.underTest, [0, 60_000, 119_999])
    func trustsOnlyWhatMatchesAfterAnotherBoot(engine: Engine, damaged: Int) async throws {
        try await Site.with(engine) { site in
            let killed = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: killed) { $0.hash = Self.content.hash }
            try await scene.send(0..<120_000, to: killed)
            #expect(try await scene.offset(try await site.start(boot: "boot-2")) == 120_000)
            try site.damage(site.stagingFolder + "/" + scene.taskId, at: UInt64(damaged))
            let drive = try await site.start(boot: "boot-3")
            #expect(try await scene.offset(drive) == 0)
            #expect(try await scene.finish(drive) != nil)
            #expect(try await drive.findings() == [])
        }
    }

    /// Over the IETF protocol an offset never shrinks: an upload that lost promised bytes ends.
    @Test(arguments: Engine.underTest)
    func endsAResumableUploadThatLostPromisedBytes(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let killed = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: killed) { $0.face = UploadFace.resumable }
            try await scene.send(0..<120_000, to: killed, ending: .never)
            try site.damage(site.stagingFolder + "/" + scene.taskId, at: 7)
            let drive = try await site.start(boot: "boot-2")
            await expectRefusal(.uploadGone) { try await scene.look(drive) }
            await expectRefusal(.uploadGone) { try await scene.look(drive) }
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func theNewestRequestTakesOver(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive)
            let (stalled, never) = (Gate(), Gate())
            let body = StreamedBytes([.bytes(Array(Self.content.bytes[..<70_000])), .stall(reached: stalled, goOn: never)])
            let old = Task { try await scene.send(body, at: 0, to: drive) }
            await stalled.wait()
            await expectRefusal(.offsetMismatch) { try await scene.send(StreamedBytes([]), at: 90_000, to: drive) }
            await expectRefusal(.uploadTakenOver) { try await old.value }
            #expect(try await scene.offset(drive) == 70_000)
            #expect(try await scene.finish(drive) != nil)
            #expect(try await drive.findings() == [])
        }
    }

    /// A digest makes all bytes of its request count, or none: also where the request breaks off, is taken over, or is killed.
    @Test(arguments: DigestAlgorithm.allCases, [false, true])
    func bytesWithADigestCountOrDoNot(algorithm: DigestAlgorithm, trailing: Bool) async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive) { $0.hash = Self.content.hash }
            try await scene.send(0..<1_000, to: drive)
            let right = try #require(Self.digest(of: Self.content.bytes[1_000..<90_000], algorithm))
            let wrong = try #require(ExpectedDigest(algorithm, right.value.map { $0 ^ 1 }))
            await expectRefusal(.checksumMismatch) {
                try await scene.send(1_000..<90_000, to: drive, digests: [wrong], trailing: trailing)
            }
            #expect(try await scene.offset(drive) == 1_000)
            let broken = StreamedBytes(
                [.bytes(Array(Self.content.bytes[1_000..<50_000])), .fail(StreamedBytes.broken)], digests: [right], trailing: trailing)
            await expectRefusal(.bodyTruncated) { try await scene.send(broken, at: 1_000, to: drive) }
            #expect(try await scene.offset(drive) == 1_000)
            #expect(try await scene.send(1_000..<90_000, to: drive, digests: [right], trailing: trailing).offset == 90_000)
            #expect(try await scene.finish(drive) != nil)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func bytesWithADigestDoNotCountBeforeAKill(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (killed, stalled, never) = (try await site.start(), Gate(), Gate())
            let scene = try await StreamScene.create(Self.content, on: killed)
            try await scene.send(0..<1_000, to: killed)
            let digest = try #require(Self.digest(of: Self.content.bytes[1_000...], .sha1))
            let body = StreamedBytes(
                [.bytes(Array(Self.content.bytes[1_000..<90_000])), .silence, .stall(reached: stalled, goOn: never)], digests: [digest])
            let sending = Task { try? await scene.send(body, at: 1_000, to: killed) }
            await stalled.wait()
            try await eventually { try site.size(ofStaged: scene.taskId) > 1_000 }
            let drive = try await site.start()
            #expect(try await scene.offset(drive) == 1_000)
            #expect(try await scene.finish(drive) != nil)
            never.open()
            _ = await sending.value
        }
    }

    @Test(arguments: Engine.underTest)
    func learnsItsLengthLate(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive) { $0.length = nil }
            #expect(try await scene.look(drive).length == nil)
            try await scene.send(0..<100_000, to: drive)
            #expect(try await drive.findings() == [])
            await expectRefusal(.lengthMismatch) { try await scene.send(StreamedBytes([]), at: 100_000, to: drive, length: 99_999) }
            // The body does not tell its length: room is reserved as it comes.
            try await scene.send(StreamedBytes(Self.content.bytes[100_000...]), at: 100_000, to: drive)
            #expect(try await scene.look(drive).length == nil)
            let upload = try await scene.send(StreamedBytes([]), at: Self.count, to: drive, contentLength: 0, length: Int64(Self.count))
            #expect(upload.isComplete)
            #expect(try await scene.look(drive).length == Int64(Self.count))
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func endsWithTheBodyWhereItSaysSo(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            for length in [nil, Int64(Self.count)] {
                let scene = try await StreamScene.create(Self.content, on: drive) {
                    $0.face = UploadFace.resumable
                    $0.length = length
                }
                try await scene.send(0..<Self.count, to: drive, ending: .never)
                #expect(try await !scene.look(drive).isComplete)
                #expect(try await scene.send(StreamedBytes([]), at: Self.count, to: drive, contentLength: 0, ending: .atEnd).isComplete)
            }
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func takesNoMoreThanItsLength(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive)
            await expectRefusal(.lengthExceeded) {
                try await scene.send(StreamedBytes([]), at: 0, to: drive, contentLength: Int64(Self.count + 1))
            }
            #expect(try await scene.offset(drive) == 0)
            await expectRefusal(.lengthExceeded) { try await scene.send(StreamedBytes(Self.content.bytes + [1]), at: 0, to: drive) }
            // Which of them were meant nobody knows: they do not make a file.
            #expect(try await scene.offset(drive) == 0)
            #expect(try await scene.finish(drive) != nil)
            #expect(try await drive.findings() == [])
        }
    }

    /// Other bytes than announced: nothing is published, and nobody is told that it was.
    @Test(arguments: Engine.underTest)
    func isNeverCompleteWithOtherBytes(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive) { $0.hash = Content(10).hash }
            await expectRefusal(.hashMismatch) { try await scene.send(0..<Self.count, to: drive) }
            await expectRefusal(.uploadGone) { try await scene.look(drive) }
            #expect(try await drive.uploads.record(scene.taskId, account: scene.owner.accountId).status == .failed)
            #expect(try await drive.findings() == [])
            #expect(site.staged.isEmpty)
        }
    }

    /// A publication that fails for a moment: the offset does not pass for success, and the next look publishes.
    @Test(arguments: Engine.underTest)
    func publishesAgainAfterAPassingFault(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start(faults: "blob.rename.before:errno=EIO@1")
            let scene = try await StreamScene.create(Self.content, on: drive)
            await expectRefusal(.storageFailed) { try await scene.send(0..<Self.count, to: drive) }
            #expect(try await scene.look(drive).isComplete)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func belongsToItsOwner(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive)
            let thief = StreamScene(content: Self.content, owner: .someone(), taskId: scene.taskId)
            await expectRefusal(.taskNotFound) { try await thief.look(drive) }
            await expectRefusal(.taskNotFound) { try await thief.send(0..<10, to: drive) }
            await expectRefusal(.taskNotFound) {
                try await drive.uploads.terminateStream(thief.taskId, removingFile: true, by: thief.owner)
            }
            #expect(try await scene.finish(drive) != nil)
        }
    }

    @Test(arguments: Engine.underTest)
    func goesWhenItsOwnerEndsIt(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive)
            let (stalled, never) = (Gate(), Gate())
            let body = StreamedBytes([.bytes(Array(Self.content.bytes[..<70_000])), .stall(reached: stalled, goOn: never)])
            let old = Task { try await scene.send(body, at: 0, to: drive) }
            await stalled.wait()
            try await drive.uploads.terminateStream(scene.taskId, removingFile: true, by: scene.owner)
            await expectRefusal(.uploadGone) { try await old.value }
            await expectRefusal(.uploadGone) { try await scene.look(drive) }
            await expectRefusal(.uploadGone) { try await scene.send(0..<1, to: drive) }
            #expect(site.staged.isEmpty)
            let other = try await StreamScene.create(Self.content, on: drive, by: scene.owner)
            let file = try #require(try await other.finish(drive))
            try await drive.uploads.terminateStream(other.taskId, removingFile: true, by: scene.owner)
            await expectRefusal(.uploadGone) { try await other.look(drive) }
            await expectRefusal(.fileNotFound) { try await drive.files.open(file.id, account: scene.owner.accountId) }
            #expect(try await drive.findings() == [])
        }
    }

    /// A client that remembers the upload would take its end for that of the file.
    @Test(arguments: Engine.underTest)
    func isGoneWithItsFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive)
            let file = try #require(try await scene.finish(drive))
            try await drive.files.delete(file.id, by: scene.owner)
            await expectRefusal(.uploadGone) { try await scene.look(drive) }
            #expect(try await drive.findings() == [])
        }
    }

    /// Each protocol promises something else: it sees its own uploads alone.
    @Test(arguments: Engine.underTest)
    func isSeenThroughItsOwnDoor(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let scene = try await StreamScene.create(Self.content, on: drive)
            let (uploads, other) = (drive.uploads, UploadFace.resumable)
            await expectRefusal(.taskNotFound) { try await uploads.stream(scene.taskId, over: other, by: scene.owner) }
            await expectRefusal(.taskNotFound) { try await uploads.expectOpenStream(scene.taskId, over: other, by: scene.owner) }
            await expectRefusal(.taskNotFound) {
                try await uploads.terminateStream(scene.taskId, over: other, removingFile: true, by: scene.owner)
            }
            await expectRefusal(.taskClosed) {
                try await uploads.receiveChunk(0, of: scene.taskId, body: ScriptedBody([]), length: nil, by: scene.owner)
            }
            #expect(try await scene.finish(drive) != nil)
        }
    }

    private static func digest(of bytes: some Collection<UInt8>, _ algorithm: DigestAlgorithm) -> ExpectedDigest? {
        var digest = RunningDigest(algorithm)
        Array(bytes).withUnsafeBytes { digest.update($0) }
        return ExpectedDigest(algorithm, digest.value())
    }
}
