import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveStorage
import EngineTestSupport
import Foundation
import Testing

@testable import DriveUploads

/// Many at once, and against each other.
@Suite(.timeLimit(.minutes(3))) struct UploadRaceTests {
    private static let content = Content(4 * 65_536 + 77)

    @Test(arguments: Engine.underTest)
    func theSameChunkBySixtyFourIsStoredOnce(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.stallTime = .seconds(60) }
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            let outcomes = await withTaskGroup(of: String.self) { group in
                for _ in 0..<64 {
                    group.addTask {
                        do {
                            return "\(try await drive.send(2, of: upload).chunksUploaded)"
                        } catch {
                            return (error as? DriveError)?.code.name ?? "\(error)"
                        }
                    }
                }
                return await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(outcomes == ["1": 1, "CHUNK_ALREADY_UPLOADED": 63])
            #expect(try await drive.uploads.record(upload.taskId, account: upload.owner.accountId).bytesUploaded == 65_536)
            for index in [0, 1, 3, 4] { try await drive.send(index, of: upload) }
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func thirtyTwoCompletesGiveOneFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            for index in (0..<upload.count).reversed() { try await drive.send(index, of: upload) }
            let files = try await withThrowingTaskGroup(of: CloudFile.self) { group in
                for _ in 0..<32 { group.addTask { try await drive.complete(upload) } }
                return try await group.reduce(into: [CloudFile]()) { $0.append($1) }
            }
            #expect(files.count == 32)
            #expect(Set(files).count == 1)
            let usage = try await drive.files.usage(account: upload.owner.accountId)
            #expect((usage.fileCount, usage.chargedBytes) == (1, Int64(Self.content.bytes.count)))
            #expect(try await drive.findings() == [])
        }
    }

    /// Who keeps bytes takes the upload's row and then the task's. A pause that took them the other way round, and two chunks, would
    /// wait for each other in a circle until the database ended one of them.
    @Test(.enabled(if: Engine.underTest.contains(.postgresql), "SQLite has one writer")) func aPauseTakesTheRowsAsChunksDo() async throws {
        try await Site.with(.postgresql) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            let held = Gate()
            async let chunk: Void = site.database.write { sql in
                // Also where a statement fails: a gate is waited at without end.
                defer { held.open() }
                let id = [SQLValue.text(upload.taskId)]
                try sql.query("SELECT 1 AS held FROM upload_tasks WHERE task_id = $1 FOR UPDATE", id)
                held.open()
                let start = ContinuousClock.now
                let waiters = "SELECT 1 AS waits FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
                while try sql.query(waiters).isEmpty {
                    guard ContinuousClock.now - start < .seconds(20) else { throw DatabaseError(.statement, "the pause waits for nothing") }
                    try sql.query("SELECT 1 AS slept FROM pg_sleep(0.01)")
                }
                try sql.query("SELECT 1 AS held FROM tasks WHERE task_id = $1 FOR UPDATE NOWAIT", id)
            }
            await held.wait()
            try await drive.uploads.pauseTask(upload.taskId, by: upload.owner)
            try await chunk
        }
    }

    @Test(arguments: Engine.underTest)
    func completeAndCancelHaveOneWinner(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            for round in 0..<20 {
                let upload = try await Content(70_000, seed: UInt64(round)).create(on: drive)
                try await drive.sendAll(upload)
                async let completed = Result { () async throws in try await drive.complete(upload) }
                async let cancelled = Result { () async throws in try await drive.uploads.cancel(upload.taskId, by: upload.owner) }
                switch (await completed, await cancelled) {
                case (.success(let file), .failure(let error)):
                    #expect((error as? DriveError)?.code == .taskClosed)
                    #expect(try await drive.bytes(of: file, owner: upload.owner) == upload.content.bytes)
                case (.failure(let error), .success):
                    #expect((error as? DriveError)?.code == .taskClosed)
                    #expect(try await drive.files.list(.init(), account: upload.owner.accountId).total == 0)
                case (let completed, let cancelled): Issue.record("\(completed) and \(cancelled)")
                }
            }
            #expect(try await drive.findings() == [])
        }
    }

    /// Cancel wins between the rename and the transaction: the bytes go, wherever they are.
    @Test(arguments: Engine.underTest)
    func cancelBetweenRenameAndCommitLeavesNothing(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            try await drive.sendAll(upload)
            let moment = BeforeCommit(site.database)
            async let completed = Result { () async throws in try await drive.complete(upload) }
            defer { moment.pass() }
            await moment.reached()
            #expect(site.staged == [])
            try await drive.uploads.cancel(upload.taskId, by: upload.owner)
            moment.pass()
            guard case .failure(let error) = await completed else { throw TimedOut() }
            #expect((error as? DriveError)?.code == .taskClosed)
            #expect(try await drive.status(upload) == .cancelled)
            site.clock.advance(by: .seconds(7200))
            _ = await drive.housekeeping.sweep()
            #expect(site.staged == [])
            #expect(try await drive.findings() == [])
        }
    }

    /// Paused between the rename and the transaction: the upload is not over, and its bytes go back to staging.
    @Test(arguments: Engine.underTest)
    func pauseBetweenRenameAndCommitKeepsTheBytes(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            try await drive.sendAll(upload)
            let moment = BeforeCommit(site.database)
            async let completed = Result { () async throws in try await drive.complete(upload) }
            defer { moment.pass() }
            await moment.reached()
            #expect(site.staged == [])
            let setStatus = "UPDATE tasks SET status = $1 WHERE task_id = $2"
            try await site.database.change(setStatus, [.text(TaskStatus.paused.rawValue), .text(upload.taskId)])
            moment.pass()
            guard case .failure(let error) = await completed else { throw TimedOut() }
            #expect((error as? DriveError)?.code == .taskPaused)
            try await site.database.change(setStatus, [.text(TaskStatus.inProgress.rawValue), .text(upload.taskId)])
            let next = try await site.start()
            #expect(try await next.uploads.resume(upload.taskId, account: upload.owner.accountId).uploadedChunks == Array(0..<upload.count))
            #expect(try await next.complete(upload).hash == Self.content.hash)
            #expect(try await next.findings() == [])
        }
    }

    /// A row that is being written is no stall: nobody may write over bytes whose acknowledgement is under way.
    @Test(arguments: Engine.underTest)
    func aSlowAcknowledgementKeepsItsChunk(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.stallTime = .milliseconds(30) }
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            let (reached, until) = (Gate(), Gate())
            site.database.hold(reached: reached, until: until)
            async let first = drive.send(0, of: upload)
            await reached.wait()
            async let second = Result { () async throws in try await drive.send(0, of: upload) }
            defer { until.open() }
            // It waited for the time a stall takes, asked again, and waits once more.
            let session = try #require(drive.openSession(upload))
            try await eventually { session.withState { $0.lastWaiter } >= 3 }
            until.open()
            #expect(try await first.chunksUploaded == 1)
            guard case .failure(let error) = await second else { throw TimedOut() }
            #expect((error as? DriveError)?.code == .chunkAlreadyUploaded)
            for index in 1..<upload.count { try await drive.send(index, of: upload) }
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aSilentSenderIsReplaced(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.stallTime = .milliseconds(50) }
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            let (reached, until) = (Gate(), Gate())
            let body = ScriptedBody([
                .bytes(Array(repeating: 7, count: 40_000)), .pause(reached: reached, until: until),
                .bytes(Array(repeating: 7, count: 25_536)),
            ])
            async let silent = Result { () async throws in
                try await drive.uploads.receiveChunk(0, of: upload.taskId, body: body, length: nil, by: upload.owner)
            }
            await reached.wait()
            #expect(try await drive.send(0, of: upload).chunksUploaded == 1)
            until.open()
            guard case .failure(let error) = await silent else { throw TimedOut() }
            #expect((error as? DriveError)?.code == .chunkTakenOver)
            for index in 1..<upload.count { try await drive.send(index, of: upload) }
            let file = try await drive.complete(upload)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == Self.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    /// On a slow line bytes come in drops smaller than a written piece; each drop is a sign of life.
    @Test(arguments: Engine.underTest)
    func aSlowSenderIsNotStalled(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start {
                $0.stallTime = .milliseconds(1500)
                $0.claimPatience = .seconds(2)
                $0.writePiece = 256 << 10
            }
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            let body = DrippingBody(upload.chunk(0), drop: 300, every: .milliseconds(60))
            async let slow = drive.uploads.receiveChunk(0, of: upload.taskId, body: body, length: nil, by: upload.owner)
            defer { body.flow.raise() }
            await body.begun.wait()
            await expectRefusal(.chunkInProgress) { try await drive.send(0, of: upload) }
            body.flow.raise()
            #expect(try await slow.chunksUploaded == 1)
            #expect(try await drive.findings() == [])
        }
    }

    /// Cancel waits for no sender that is silent, and nothing of a late one is kept.
    @Test(arguments: Engine.underTest)
    func cancelRevokesASenderUnderWay(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            let (reached, until) = (Gate(), Gate())
            let body = ScriptedBody([
                .bytes(Array(repeating: 7, count: 40_000)), .pause(reached: reached, until: until),
                .bytes(Array(repeating: 7, count: 25_536)),
            ])
            async let sender = Result { () async throws in
                try await drive.uploads.receiveChunk(0, of: upload.taskId, body: body, length: nil, by: upload.owner)
            }
            await reached.wait()
            try await drive.uploads.cancel(upload.taskId, by: upload.owner)
            until.open()
            guard case .failure(let error) = await sender else { throw TimedOut() }
            #expect((error as? DriveError)?.code == .taskClosed)
            #expect(site.staged == [])
            #expect(try await drive.findings() == [])
        }
    }

    /// The third sender must wait for the first one's write too, through the second, which waits itself.
    @Test func takingOverTwiceWaitsForTheFirstWrite() async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start { $0.stallTime = .milliseconds(30) }
            let upload = try await Self.content.create(on: drive)
            try await drive.uploads.withSession(upload.taskId, account: upload.owner.accountId) { session in
                let first = try await session.claim(0, patience: .seconds(10))
                #expect(first.beginWrite())
                let (granted, isGranted) = (Gate(), Flag())
                let senders = (0..<2).map { _ in
                    Task {
                        guard (try? await session.claim(0, patience: .seconds(10))) != nil else { return }
                        isGranted.raise()
                        granted.open()
                    }
                }
                // The third has the second's place; a grant that does not wait would be on its way now.
                try await eventually { session.withState { $0.claims.keys.max() } == first.id + 2 }
                for _ in 0..<1000 { await Task.yield() }
                #expect(!isGranted.isRaised)
                first.endWrite()
                await granted.wait()
                for sender in senders { await sender.value }
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func theQuotaHoldsUnderRaces(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.defaultQuota = 1_000_000 }
            let owner = Caller.someone()
            let uploads = await withTaskGroup(of: Content.Upload?.self) { group in
                for seed in 0..<30 { group.addTask { try? await Content(90_000, seed: UInt64(seed)).create(on: drive, by: owner) } }
                return await group.reduce(into: [Content.Upload]()) { if let upload = $1 { $0.append(upload) } }
            }
            #expect(uploads.count == 11)
            #expect(try await drive.files.quota(account: owner.accountId, default: 1_000_000).reservedBytes == 990_000)
            let error = await #expect(throws: DriveError.self) { try await Content(90_000).create(on: drive, by: owner) }
            #expect(error?.code == .quotaExceeded)
            #expect(error?.details["neededBytes"] == 90_000)
            // Half completes, half is cancelled, all at once.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, upload) in uploads.enumerated() {
                    group.addTask {
                        if number < 5 {
                            try await drive.sendAll(upload)
                            _ = try await drive.complete(upload)
                        } else {
                            try await drive.uploads.cancel(upload.taskId, by: owner)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let quota = try await drive.files.quota(account: owner.accountId, default: 1_000_000)
            #expect((quota.usedBytes, quota.reservedBytes, quota.availableBytes) == (450_000, 0, 550_000))
            for file in try await drive.files.list(.init(), account: owner.accountId).items {
                try await drive.files.delete(file.id, by: owner)
            }
            #expect(try await drive.files.quota(account: owner.accountId, default: 1_000_000).usedBytes == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func openUploadsAreBounded(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.maximumOpenPerAccount = 3 }
            let owner = Caller.someone()
            let upload = try await Self.content.create(on: drive, by: owner)
            for _ in 0..<2 { _ = try await Self.content.create(on: drive, by: owner) }
            await expectRefusal(.tooManyOpenUploads) { try await Self.content.create(on: drive, by: owner) }
            _ = try await Self.content.create(on: drive)
            try await drive.uploads.cancel(upload.taskId, by: owner)
            _ = try await Self.content.create(on: drive, by: owner)
            #expect(try await drive.findings() == [])
        }
    }
}

extension Result where Failure == any Error {
    init(_ work: () async throws -> Success) async {
        do {
            self = .success(try await work())
        } catch {
            self = .failure(error)
        }
    }
}
