import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// What clients see of an upload's way: as the throttle says, and always the last.
@Suite(.timeLimit(.minutes(3))) struct UploadProgressTests {
    struct Pace: Sendable, CustomTestStringConvertible {
        var chunks: Int
        var apart: Duration
        var testDescription: String { "\(chunks) chunks, \(apart) apart" }
    }

    private static func told(_ upload: Content.Upload, at site: Site, _ type: String = "task.progress") async throws -> [[String:
        JSONValue]]
    {
        try await site.database.read { sql in
            try sql.query(
                "SELECT data FROM events WHERE account_id = $1 AND type = $2 ORDER BY sequence",
                [.uuid(upload.owner.accountId), .text(type)]
            ).map { try $0.decoded("data", as: [String: JSONValue].self) }
        }
    }

    private static func number(_ value: JSONValue?) -> Double? {
        switch value {
        case .double(let value): value
        case .integer(let value): Double(value)
        default: nil
        }
    }

    private static func percents(_ upload: Content.Upload, at site: Site) async throws -> [Double] {
        try await told(upload, at: site).map { Self.number($0["progress"]) ?? -1 }
    }

    /// An upload of a hundred chunks after its first ones, which came at once.
    private static func afterChunks(
        _ count: Int, _ engine: Engine, _ body: (Site, Instance, TaskEngine, Content.Upload) async throws -> Void
    ) async throws {
        try await Site.with(engine) { site in
            let tasks = TaskEngine(database: site.database, surroundings: site.clock.surroundings, logger: Engine.logger)
            let drive = try await site.start(tasks: tasks) { $0.legacyUploadEvents = true }
            let upload = try await Content(65_536 * 100).create(on: drive)
            for index in 0..<count { try await drive.send(index, of: upload) }
            try await body(site, drive, tasks, upload)
        }
    }

    /// The events of whole uploads are those that the rule lets through, however many chunks there are and however fast they come.
    @Test(
        arguments: Engine.underTest,
        [
            Pace(chunks: 5, apart: .zero), Pace(chunks: 5, apart: .seconds(3)), Pace(chunks: 60, apart: .milliseconds(700)),
            Pace(chunks: 5000, apart: .milliseconds(4)),
        ])
    func theClientSeesWhatTheRuleSays(engine: Engine, pace: Pace) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            // One chunk's bytes over and over.
            let chunk = Content(65_536)
            let owner = Caller.someone()
            let created = try await drive.uploads.create(
                CreateUploadRequest(fileName: "file.bin", fileSize: Int64(pace.chunks * 65_536), chunkSize: 65_536), idempotencyKey: nil,
                by: owner)
            let upload = Content.Upload(content: chunk, taskId: try #require(created.taskId), chunkSize: 65_536, owner: owner)
            var throttle = ProgressThrottle(sentProgress: 0, sentAt: site.clock.now)
            var expected: [Double] = []
            for index in 0..<pace.chunks {
                site.clock.advance(by: pace.apart)
                let progress = try await drive.uploads.receiveChunk(
                    index, of: upload.taskId, body: ScriptedBody(chunk.bytes), length: nil, replace: false, by: owner
                ).progress
                if throttle.shouldSend(progress, now: site.clock.now) { expected.append(progress) }
            }
            let seen = try await Self.percents(upload, at: site)
            #expect(seen == expected)
            #expect(seen.last == 100 && seen.count <= 22 + Int((pace.apart * pace.chunks).inSeconds))
            _ = try await drive.complete(upload)
        }
    }

    /// A small step before a silence is told when its second has passed, not with the next chunk.
    @Test(arguments: Engine.underTest)
    func aSmallStepBeforeASilenceIsTold(engine: Engine) async throws {
        try await Self.afterChunks(5, engine) { site, drive, tasks, upload in
            let before = ContinuousClock.now
            for index in 5..<9 { try await drive.send(index, of: upload) }
            let came = site.clock.now
            #expect(try await Self.percents(upload, at: site) == [5])
            await tasks.heldProgress.tellDue(at: before)
            #expect(try await Self.percents(upload, at: site) == [5], "its second has not passed")

            site.clock.advance(by: .seconds(1))
            await tasks.heldProgress.tellDue(at: .now + .seconds(2))
            #expect(try await Self.percents(upload, at: site) == [5, 9])
            let last = try #require(try await Self.told(upload, at: site).last)
            #expect(last["lastActivity"] == .string("\(came)"), "when it moved, not when that was told")
            let legacy = try #require(try await Self.told(upload, at: site, "upload.progress").last)
            #expect(Self.number(legacy["progress"]) == 9 && legacy["chunksUploaded"] == 9 && legacy["chunksTotal"] == 100)
            #expect(tasks.heldProgress.count == 0)
            await tasks.heldProgress.tellDue(at: .now + .seconds(4))
            #expect(try await Self.percents(upload, at: site) == [5, 9], "once")

            // The rule counts from what was told.
            try await drive.send(9, of: upload)
            #expect(try await Self.percents(upload, at: site) == [5, 9])
            site.clock.advance(by: .seconds(1))
            try await drive.send(10, of: upload)
            #expect(try await Self.percents(upload, at: site) == [5, 9, 11])
            #expect(tasks.heldProgress.count == 0, "a newer one took its place")
        }
    }

    @Test(arguments: Engine.underTest)
    func nothingIsToldOfWhatEnded(engine: Engine) async throws {
        try await Self.afterChunks(7, engine) { site, drive, tasks, upload in
            try await drive.uploads.cancel(upload.taskId, by: upload.owner)
            #expect(tasks.heldProgress.count == 1)
            await tasks.heldProgress.tellDue(at: .now + .seconds(2))
            #expect(try await Self.percents(upload, at: site) == [5])
            #expect(tasks.heldProgress.count == 0)
        }
    }

    /// How far a paused upload came is told too, and that it is paused.
    @Test(arguments: Engine.underTest)
    func aPauseHidesNothing(engine: Engine) async throws {
        try await Self.afterChunks(7, engine) { site, drive, tasks, upload in
            try await drive.uploads.pauseTask(upload.taskId, by: upload.owner)
            await tasks.heldProgress.tellDue(at: .now + .seconds(2))
            #expect(try await Self.percents(upload, at: site) == [5, 7])
            #expect(try await Self.told(upload, at: site).map { $0["status"] } == ["InProgress", "Paused"])
        }
    }

    /// A database that is away has the event later, and a newer progress is not told as an older one.
    @Test(arguments: Engine.underTest)
    func whatCannotBeWrittenIsToldLater(engine: Engine) async throws {
        try await Self.afterChunks(8, engine) { site, drive, tasks, upload in
            site.database.refuse(1)
            await tasks.heldProgress.tellDue(at: .now + .seconds(2))
            #expect(try await Self.percents(upload, at: site) == [5] && tasks.heldProgress.count == 1)
            try await drive.send(8, of: upload)
            #expect(tasks.heldProgress.count == 1)
            await tasks.heldProgress.tellDue(at: .now + .seconds(5))
            #expect(try await Self.percents(upload, at: site) == [5, 9])
        }
    }

    /// Small steps that come while the clock is behind do not put each other off.
    @Test(arguments: Engine.underTest)
    func aClockThatIsSetBackPutsNothingOff(engine: Engine) async throws {
        try await Self.afterChunks(5, engine) { site, drive, tasks, upload in
            site.clock.advance(by: .seconds(-10))
            try await drive.send(5, of: upload)
            let between = ContinuousClock.now
            try await drive.send(6, of: upload)
            await tasks.heldProgress.tellDue(at: between + .milliseconds(1250))
            #expect(try await Self.percents(upload, at: site) == [5, 7])
        }
    }

    /// Clients of other servers wait for it.
    @Test(arguments: Engine.underTest)
    func aStopTellsWhatIsHeld(engine: Engine) async throws {
        try await Self.afterChunks(8, engine) { site, _, tasks, upload in
            let telling = Task { await tasks.heldProgress.run() }
            telling.cancel()
            await telling.value
            let seen = try await Self.percents(upload, at: site)
            #expect(seen == [5, 8])
        }
    }

    @Test(arguments: Engine.underTest)
    func streamsAreToldLikewise(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let tasks = TaskEngine(database: site.database, surroundings: site.clock.surroundings, logger: Engine.logger)
            let drive = try await site.start(tasks: tasks)
            let stream = try await StreamScene.create(Content(100_000), on: drive)
            try await stream.send(0..<3000, to: drive)
            try await stream.send(3000..<4000, to: drive)
            let upload = Content.Upload(content: stream.content, taskId: stream.taskId, chunkSize: 1, owner: stream.owner)
            #expect(try await Self.percents(upload, at: site) == [])
            await tasks.heldProgress.tellDue(at: .now + .seconds(2))
            #expect(try await Self.percents(upload, at: site) == [4])
        }
    }
}
