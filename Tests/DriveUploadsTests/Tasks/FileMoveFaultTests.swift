import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import EngineTestSupport
import Foundation
import Synchronization
import Testing

@testable import DriveUploads

/// Moves that are interrupted, fenced, or meet damage: at every point there is one authoritative copy.
@Suite(.timeLimit(.minutes(3))) struct FileMoveFaultTests {
    /// Stopped at every look for an interruption, one attempt after another, and at the end the file has moved.
    @Test(arguments: Engine.underTest)
    func anInterruptedMoveGoesOn(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            var resumedAt: Set<Int64> = []
            for checks in 0..<12 {
                let attempt = try await bench.attempt(interruptAt: checks)
                if let offset = attempt.checkpoint?["copy"]?["offset"]?.integer { resumedAt.insert(offset) }
                do {
                    _ = try await scene.fileMove.run(attempt)
                    break
                } catch TaskInterruption.stopped {
                    try await scene.expectSound(file, in: file.poolId)
                    #expect(try await scene.blobs(in: scene.target.id) <= 1, "every attempt goes on with the first one's copy")
                }
            }
            #expect(resumedAt.isSuperset(of: [0, 2 * MoveScene.step, 4 * MoveScene.step]))
            #expect(try await bench.outcomes() == ["succeeded"])
            try await scene.expectSound(file, in: scene.target.id)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    /// Another attempt takes the task at each of the commits in turn: the first one's fails, and the second one finishes.
    @Test(arguments: Engine.underTest)
    func aFencedAttemptChangesNothing(engine: Engine) async throws {
        for commit in 1...5 {
            try await Site.with(engine) { site in
                let scene = try await MoveScene(site)
                let file = try await scene.upload()
                let bench = try await scene.moving([file])
                let first = try await bench.attempt { number in
                    if number == commit { _ = try await bench.attempt() }
                }
                await #expect(throws: TaskInterruption.fenced) { try await scene.fileMove.run(first) }
                #expect(first.commitCount == commit)
                try await scene.expectSound(file, in: file.poolId)
                #expect(try await bench.run(scene.fileMove)["movedFiles"] == 1)
                try await scene.expectSound(file, in: scene.target.id)
                try await scene.expectTidy(after: bench, blobs: [0, 1])
            }
        }
    }

    /// Two attempts write the same copy at the same time; the one with the lease publishes it whole.
    @Test(arguments: Engine.underTest)
    func anAttemptTakenForDeadDoesNoHarm(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            let (reached, goOn) = (Gate(), Gate())
            // Held after its first kept place.
            let first = try await bench.attempt { number in
                guard number == 3 else { return }
                reached.open()
                await goOn.wait()
            }
            async let dead = #expect(throws: TaskInterruption.fenced) { try await scene.fileMove.run(first) }
            await reached.wait()
            #expect(try await bench.run(scene.fileMove)["movedFiles"] == 1)
            goOn.open()
            _ = await dead
            try await scene.expectSound(file, in: scene.target.id)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    /// A task that failed loses its copy to housekeeping; begun again, it does not publish a path that is gone.
    @Test(arguments: Engine.underTest)
    func aTaskBegunAgainDoesNotTrustItsOldCopy(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            let first = try await bench.attempt(interruptAt: 5)
            await #expect(throws: TaskInterruption.stopped) { try await scene.fileMove.run(first) }
            // While the task is open its copy stays.
            #expect(await scene.drive.housekeeping.sweep().settledIntents == 0)
            #expect(try await scene.blobs(in: scene.target.id) == 1)
            for status in [TaskStatus.pending, .paused] {
                try await bench.end(status)
                #expect(await scene.drive.housekeeping.sweep().settledIntents == 0, "\(status)")
            }
            try await bench.end(.failed)
            #expect(await scene.drive.housekeeping.sweep().settledIntents == 1)
            #expect(try await scene.blobs(in: scene.target.id) == 0)
            try await bench.end(.inProgress)
            #expect(try await bench.run(scene.fileMove)["movedFiles"] == 1)
            try await scene.expectSound(file, in: scene.target.id)
        }
    }

    /// Housekeeping takes the path between the copy and the transaction: it is copied anew.
    @Test(arguments: Engine.underTest)
    func aPathThatHousekeepingTookIsNotPublished(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            let attempt = try await bench.attempt { number in
                guard number == 5 else { return }
                try await bench.end(.failed)
                _ = await scene.drive.housekeeping.sweep()
                try await bench.end(.inProgress)
            }
            #expect(try await scene.fileMove.run(attempt)["movedFiles"] == 1)
            #expect(attempt.commitCount > 5)
            try await scene.expectSound(file, in: scene.target.id)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    @Test(arguments: Engine.underTest, ["changed", "cut", "missing"])
    func aDamagedSourceFailsItsFileAlone(engine: Engine, damage: String) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let path = try #require(try await scene.drive.pools.open(nil).store.list().first)
            let full = site.folder + "/pools/default/" + path
            switch damage {
            case "changed": try site.damage(full, at: 70_000)
            case "cut":
                let handle = try #require(FileHandle(forUpdatingAtPath: full))
                try handle.truncate(atOffset: 70_000)
                try handle.close()
            default: try FileManager.default.removeItem(atPath: full)
            }
            let small = Content(99, seed: 9)
            let good = try await scene.upload(small)
            let bench = try await scene.moving([file, good])
            let results = try await bench.run(scene.fileMove)
            #expect(try await bench.outcomes() == ["failed BLOB_DAMAGED", "succeeded"])
            #expect(results["failedFiles"] == 1)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM file_checksums WHERE damaged_at IS NOT NULL") == 1)
            let current = try await scene.drive.files.file(file.id, account: scene.owner.accountId)
            #expect(current.poolId == file.poolId, "it stays where it was")
            // Who uploads the content again mends it.
            let again = try await scene.upload()
            try await scene.expectSound(again, in: file.poolId)
            try await scene.expectSound(good, in: scene.target.id, content: small)
            try await scene.expectTidy(after: bench, blobs: [1, 1])
        }
    }

    /// Disks that refuse are the whole task's matter: it fails for now, and its next attempt succeeds.
    @Test(
        arguments: Engine.underTest,
        [
            ("staging.copy:errno=ENOSPC@3", "STORAGE_FULL"), ("staging.copy:errno=EIO@2", "STORAGE_FAILED"),
            ("staging.preallocate:errno=ENOSPC@2", "STORAGE_FULL"), ("file.fsync.before:errno=EIO@3", "STORAGE_FAILED"),
        ])
    func aFailingDiskIsTriedAgain(engine: Engine, fault: (String, String)) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site, faults: fault.0)
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            await expectRefusal(DriveError.Code(fault.1, .unavailable)) { try await bench.run(scene.fileMove) }
            try await scene.expectSound(file, in: file.poolId)
            #expect(try await bench.run(scene.fileMove)["movedFiles"] == 1)
            try await scene.expectSound(file, in: scene.target.id)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    /// The copy is spoiled behind the task's back before it is read back: it is dropped, never published.
    @Test(arguments: Engine.underTest)
    func aCopyThatReadsBackWrongIsDropped(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            let folder = site.folder + "/pools/\(scene.target.id.uuidString.lowercased())/"
            let attempt = try await bench.attempt { number in
                // At the last kept place: the bytes before it are not written again.
                guard number == 4 else { return }
                let path = try #require(try await scene.drive.pools.open(scene.target.id).store.list().first)
                try site.damage(folder + path, at: 11)
            }
            await expectRefusal(.storageFailed) { try await scene.fileMove.run(attempt) }
            try await scene.expectSound(file, in: file.poolId)
            #expect(try await bench.run(scene.fileMove)["movedFiles"] == 1)
            try await scene.expectSound(file, in: scene.target.id)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    /// What others do between the copy and the transaction.
    @Test(arguments: Engine.underTest, ["deleted", "published", "moved"])
    func theFileChangesMeanwhile(engine: Engine, change: String) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let other = try await scene.upload(Content(50, seed: 5))
            let bench = try await scene.moving([file, other])
            let stranger = Caller.someone()
            let attempt = try await bench.attempt { number in
                guard number == 5 else { return }
                switch change {
                case "deleted": try await scene.drive.files.delete(file.id, by: scene.owner)
                case "published": _ = try await scene.upload(by: stranger, pool: scene.target.id)
                default: try await scene.moving([file]).run(scene.fileMove)
                }
            }
            _ = try await scene.fileMove.run(attempt)
            let expected = ["deleted": "failed FILE_NOT_FOUND", "published": "succeeded", "moved": "skipped"]
            #expect(try await bench.outcomes() == [expected[change], "succeeded"])
            if change != "deleted" { try await scene.expectSound(file, in: scene.target.id) }
            try await scene.expectTidy(after: bench, blobs: [0, change == "deleted" ? 1 : 2])
        }
    }
}
