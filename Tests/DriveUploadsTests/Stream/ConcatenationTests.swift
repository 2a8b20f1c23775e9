import DriveEvents
import DriveModel
@testable import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// Final uploads made of parts: put together after the answer, once, whatever happens meanwhile.
@Suite struct ConcatenationTests {
    private static let content = Content(300_000)

    private static func part(_ range: Range<Int>, on drive: Instance, by owner: Caller, whole: Bool = true) async throws -> StreamScene {
        let bytes = Content(Array(content.bytes[range]))
        let scene = try await StreamScene.create(bytes, on: drive, by: owner) { $0.isPartial = true }
        if whole, !range.isEmpty { try await scene.send(0..<range.count, to: drive) }
        return scene
    }

    private static func join(_ parts: [StreamScene], on drive: Instance, by owner: Caller) async throws -> StreamScene {
        var request = NewStream(face: UploadFace.tus)
        request.fileName = "joined.bin"
        request.hash = Content(parts.flatMap(\.content.bytes)).hash
        let upload = try await drive.uploads.concatenate(
            parts.map(\.taskId), text: "final;" + parts.map(\.taskId).joined(separator: " "), as: request, by: owner)
        return StreamScene(content: Content(parts.flatMap(\.content.bytes)), owner: owner, taskId: upload.taskId)
    }

    /// The file, once it stands.
    private static func file(of scene: StreamScene, on drive: Instance) async throws -> CloudFile {
        var found: CloudFile?
        try await eventually {
            if case .completed(let file) = try await scene.look(drive).phase { found = file }
            return found != nil
        }
        let file = try #require(found)
        #expect(try await drive.bytes(of: file, owner: scene.owner) == scene.content.bytes)
        return file
    }

    @Test(arguments: Engine.underTest)
    func joinsPartsInTheirOrder(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (drive, owner) = (try await site.start(), Caller.someone())
            let a = try await Self.part(0..<100_000, on: drive, by: owner)
            let empty = try await Self.part(0..<0, on: drive, by: owner)
            let b = try await Self.part(100_000..<300_000, on: drive, by: owner)
            #expect(try await a.look(drive).offset == 100_000)
            let final = try await Self.join([b, empty, a, a], on: drive, by: owner)
            let file = try await Self.file(of: final, on: drive)
            #expect(file.size == 400_000)
            // The same request again gives the same upload; its parts are still told as whole, and are not there twice.
            #expect(try await Self.join([b, empty, a, a], on: drive, by: owner).taskId == final.taskId)
            #expect(try await a.look(drive).offset == 100_000)
            try await eventually { site.staged.isEmpty }
            #expect(try await drive.findings() == [])
            await expectRefusal(.invalidConcatenation) { try await Self.join([a, b], on: drive, by: owner) }
            await expectRefusal(.uploadCompleted) { try await final.send(0..<0, to: drive) }
        }
    }

    @Test(arguments: Engine.underTest)
    func waitsForItsParts(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (drive, owner) = (try await site.start(), Caller.someone())
            let a = try await Self.part(0..<100_000, on: drive, by: owner, whole: false)
            let b = try await Self.part(100_000..<300_000, on: drive, by: owner)
            let final = try await Self.join([a, b], on: drive, by: owner)
            let upload = try await final.look(drive)
            #expect(upload.length == 300_000)
            if case .assembling = upload.phase {} else { Issue.record("it has a state of \(upload.phase)") }
            await expectRefusal(.uploadCompleted) { try await final.send(0..<0, to: drive) }
            try await a.send(0..<50_000, to: drive)
            try await a.send(50_000..<100_000, to: drive)
            _ = try await Self.file(of: final, on: drive)
            #expect(try await drive.findings() == [])
        }
    }

    /// Killed at any step, it goes on: nothing is lost, and nothing counted twice.
    @Test(arguments: Engine.underTest, ["staging.copy:errno=EIO@1", "blob.rename.before:errno=EIO@1"])
    func goesOnAfterAStop(engine: Engine, fault: String) async throws {
        try await Site.with(engine) { site in
            let owner = Caller.someone()
            let killed = try await site.start(faults: fault) { $0.checkpointBytes = 30_000 }
            let a = try await Self.part(0..<100_000, on: killed, by: owner)
            let b = try await Self.part(100_000..<300_000, on: killed, by: owner)
            let final = try await Self.join([a, b], on: killed, by: owner)
            try await eventually { !killed.uploads.isAssembling(final.taskId) }
            let drive = try await site.start()
            _ = try await drive.housekeeping.recover()
            _ = try await Self.file(of: final, on: drive)
            try await eventually { site.staged.isEmpty }
            #expect(try await drive.findings() == [])
        }
    }

    /// A flush that fails may have lost bytes: no file is made of them, and nobody is told that one was.
    @Test(arguments: Engine.underTest)
    func failsWhereTheDiskDoes(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (drive, owner) = (try await site.start(faults: "file.fsync.before:errno=EIO@1"), Caller.someone())
            let a = try await Self.part(0..<100_000, on: drive, by: owner)
            let final = try await Self.join([a], on: drive, by: owner)
            try await eventually {
                do {
                    _ = try await final.look(drive)
                    return false
                } catch let error as DriveError {
                    return error.code == .uploadGone
                }
            }
            #expect(try await drive.findings() == [])
        }
    }

    /// Equal requests at once make one upload.
    @Test(arguments: Engine.underTest)
    func equalRequestsMakeOneUpload(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (drive, owner) = (try await site.start(), Caller.someone())
            let parts = [
                try await Self.part(0..<1_000, on: drive, by: owner, whole: false),
                try await Self.part(1_000..<2_000, on: drive, by: owner),
            ]
            let ids = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<8 { group.addTask { try await Self.join(parts, on: drive, by: owner).taskId } }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
            #expect(try await drive.findings() == [])
        }
    }

    /// One small part in many places is a large file: the quota is asked before a byte is copied.
    @Test(arguments: Engine.underTest)
    func staysWithinTheQuota(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (drive, owner) = (try await site.start { $0.defaultQuota = 400_000 }, Caller.someone())
            let a = try await Self.part(0..<100_000, on: drive, by: owner)
            await expectRefusal(.quotaExceeded) { try await Self.join([a, a, a, a, a], on: drive, by: owner) }
            _ = try await Self.file(of: try await Self.join([a, a, a, a], on: drive, by: owner), on: drive)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func takesOnlyItsOwnersParts(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (drive, owner, thief) = (try await site.start(), Caller.someone(), Caller.someone())
            let a = try await Self.part(0..<1_000, on: drive, by: owner)
            let whole = try await StreamScene.create(Content(10), on: drive, by: owner)
            await expectRefusal(.invalidConcatenation) { try await Self.join([a], on: drive, by: thief) }
            await expectRefusal(.invalidConcatenation) { try await Self.join([a, whole], on: drive, by: owner) }
            await expectRefusal(.invalidConcatenation) { try await Self.join([], on: drive, by: owner) }
            #expect(try await drive.findings() == [])
        }
    }

    /// A part that goes takes the upload with it that waits for it: it is never told as a success.
    @Test(arguments: Engine.underTest)
    func failsWithoutItsParts(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let (drive, owner) = (try await site.start(), Caller.someone())
            let a = try await Self.part(0..<1_000, on: drive, by: owner, whole: false)
            let b = try await Self.part(1_000..<2_000, on: drive, by: owner)
            let final = try await Self.join([a, b], on: drive, by: owner)
            try await drive.uploads.terminateStream(a.taskId, removingFile: true, by: owner)
            try await eventually {
                do {
                    _ = try await final.look(drive)
                    return false
                } catch let error as DriveError {
                    return error.code == .uploadGone
                }
            }
            #expect(try await drive.findings() == [])
        }
    }
}
