import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// An upload from create to file, in every order.
@Suite struct UploadPathTests {
    private static let content = Content(5 * 65_536 + 123)

    @Test(arguments: Engine.underTest, [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2], [1, 0, 3, 2, 5, 4]])
    func chunksInAnyOrderGiveTheFile(engine: Engine, order: [Int]) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash.uppercased())
            #expect(upload.chunkSize == 65_536)
            for (sent, index) in order.enumerated() {
                let reply = try await drive.send(index, of: upload)
                #expect(reply.chunkIndex == index)
                #expect(reply.size == Int64(upload.chunk(index).count))
                #expect(reply.chunksUploaded == sent + 1)
                #expect(reply.chunksTotal == 6)
                #expect(reply.checksum == CRC32C.hex(upload.chunk(index).withUnsafeBytes { CRC32C.checksum(of: $0) }))
                #expect(
                    try await drive.uploads.resume(upload.taskId, account: upload.owner.accountId).uploadedChunks == order[...sent].sorted()
                )
            }
            let file = try await drive.complete(upload)
            #expect(file.hash == Self.content.hash)
            #expect(file.size == Int64(Self.content.bytes.count))
            #expect(file.contentType == "application/octet-stream")
            #expect(try await drive.bytes(of: file, owner: upload.owner) == Self.content.bytes)
            #expect(try await drive.complete(upload) == file)
            #expect(try await drive.status(upload) == .completed)
            #expect(site.staged == [])
            #expect(drive.uploads.openSessionCount == 0)
            let quota = try await drive.files.quota(account: upload.owner.accountId, default: nil)
            #expect((quota.usedBytes, quota.reservedBytes) == (file.size, 0))
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func chunksInParallelGiveTheFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let content = Content(64 * 65_536 - 1, seed: 5)
            let upload = try await content.create(on: drive, hash: content.hash)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in (0..<upload.count).shuffled() { group.addTask { try await drive.send(index, of: upload) } }
                try await group.waitForAll()
            }
            let file = try await drive.complete(upload)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func anEmptyFileIsAFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Content(0).create(on: drive)
            await expectRefusal(.invalidChunkIndex) {
                try await drive.uploads.receiveChunk(0, of: upload.taskId, body: ScriptedBody([UInt8]()), length: nil, by: upload.owner)
            }
            let file = try await drive.complete(upload)
            #expect(file.size == 0)
            #expect(file.hash == Content(0).hash)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == [])
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func gapsAreNamed(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            for index in [0, 2, 3] { try await drive.send(index, of: upload) }
            let error = await #expect(throws: DriveError.self) { try await drive.complete(upload) }
            #expect(error?.code == .uploadIncomplete)
            #expect(error?.details["missingChunks"] == [1, 4, 5])
            for index in [5, 1, 4] { try await drive.send(index, of: upload) }
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest, [-1, 6, .max, .min])
    func otherIndexesAreRefused(engine: Engine, index: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            for replace in [false, true] {
                await expectRefusal(.invalidChunkIndex) {
                    try await drive.uploads.receiveChunk(
                        index, of: upload.taskId, body: ScriptedBody([1, 2, 3]), length: 3, replace: replace, by: upload.owner)
                }
            }
            #expect(try await drive.findings() == [])
        }
    }

    /// Nothing of a refused chunk is kept, and the hash is as before it.
    @Test(arguments: Engine.underTest, [0, 65_535, 65_537, 200_000])
    func wrongSizesAreRefused(engine: Engine, size: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            let bytes = Content(size, seed: 9).bytes
            for length in [nil, Int64(size)] {
                await expectRefusal(.chunkSizeMismatch) {
                    try await drive.uploads.receiveChunk(0, of: upload.taskId, body: ScriptedBody(bytes), length: length, by: upload.owner)
                }
            }
            #expect(try await drive.uploads.resume(upload.taskId, account: upload.owner.accountId).uploadedChunks == [])
            try await drive.sendAll(upload)
            #expect(try await drive.bytes(of: try await drive.complete(upload), owner: upload.owner) == Self.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aBrokenBodyKeepsNothing(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            let broken = ScriptedBody([.bytes([UInt8](repeating: 7, count: 60_000)), .fail(DriveError(.bodyTruncated, "cut"))])
            await expectRefusal(.bodyTruncated) {
                try await drive.uploads.receiveChunk(0, of: upload.taskId, body: broken, length: nil, by: upload.owner)
            }
            try await drive.sendAll(upload)
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func digestsAreChecked(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            let chunk = upload.chunk(0)
            let crc = chunk.withUnsafeBytes { CRC32C.checksum(of: $0) }
            let sha = try #require(Content.sha256(chunk))
            for wrong in [[.crc32c(crc ^ 1)], [.sha256(sha.reversed())], [.crc32c(crc), .sha256([])], [.sha256(sha), .crc32c(0)]]
                as [[ExpectedDigest]]
            {
                await expectRefusal(.chunkDigestMismatch) { try await drive.send(0, of: upload, digests: wrong) }
            }
            try await drive.send(0, of: upload, digests: [.crc32c(crc), .sha256(sha)])
            await expectRefusal(.chunkAlreadyUploaded) { try await drive.send(0, of: upload) }
            for index in 1..<upload.count { try await drive.send(index, of: upload) }
            #expect(try await drive.complete(upload).hash == Self.content.hash)
            #expect(try await drive.findings() == [])
        }
    }

    /// A wrong whole-file hash publishes nothing and names every chunk's checksum; the bad one is sent again.
    @Test(arguments: Engine.underTest, [0, 2, 5])
    func aWrongChunkIsFoundAndReplaced(engine: Engine, bad: Int) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive, hash: Self.content.hash)
            for index in 0..<upload.count {
                var chunk = upload.chunk(index)
                if index == bad { chunk[7] ^= 1 }
                _ = try await drive.uploads.receiveChunk(index, of: upload.taskId, body: ScriptedBody(chunk), length: nil, by: upload.owner)
            }
            let error = await #expect(throws: DriveError.self) { try await drive.complete(upload) }
            #expect(error?.code == .hashMismatch)
            guard case .array(let chunks) = error?.details["chunks"] else { throw TimedOut() }
            let wrong = chunks.filter { entry in
                guard let index = entry["index"]?.integer else { return true }
                return entry["checksum"]?.string != CRC32C.hex(upload.chunk(Int(index)).withUnsafeBytes { CRC32C.checksum(of: $0) })
            }
            #expect(wrong.map { $0["index"]?.integer } == [Int64(bad)])
            #expect(try await drive.files.list(.init(), account: upload.owner.accountId).total == 0)
            await expectRefusal(.chunkAlreadyUploaded) { try await drive.send(bad, of: upload) }
            let reply = try await drive.send(bad, of: upload, replace: true)
            #expect(reply.chunksUploaded == 6)
            let file = try await drive.complete(upload)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == Self.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func anotherAccountSeesNothing(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            try await drive.sendAll(upload)
            let other = Content.Upload(
                content: upload.content, taskId: upload.taskId, chunkSize: upload.chunkSize, owner: .someone(role: .admin))
            await expectRefusal(.taskNotFound) { try await drive.send(0, of: other, replace: true) }
            await expectRefusal(.taskNotFound) { try await drive.complete(other) }
            await expectRefusal(.taskNotFound) { try await drive.uploads.cancel(other.taskId, by: other.owner) }
            await expectRefusal(.taskNotFound) { try await drive.uploads.resume(other.taskId, account: other.owner.accountId) }
            await expectRefusal(.taskNotFound) { try await drive.uploads.progress(other.taskId, account: other.owner.accountId) }
            await expectRefusal(.taskNotFound) { try await drive.uploads.extend(other.taskId, by: other.owner) }
            let file = try await drive.complete(upload)
            await expectRefusal(.fileNotFound) { try await drive.files.file(file.id, account: other.owner.accountId) }
            await expectRefusal(.fileNotFound) { try await drive.files.delete(file.id, by: other.owner) }
            #expect(try await drive.bytes(of: file, owner: upload.owner) == Self.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }

    /// Another account that asks first, while the upload is not open, must not make it vanish for its owner.
    @Test(arguments: Engine.underTest)
    func anotherAccountCannotHideAnUpload(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let upload = try await Self.content.create(on: try await site.start())
            let other = Content.Upload(content: upload.content, taskId: upload.taskId, chunkSize: upload.chunkSize, owner: .someone())
            for index in 0..<upload.count {
                let drive = try await site.start()
                async let foreign = try? drive.send(index, of: other)
                async let own = drive.send(index, of: upload)
                #expect(await foreign == nil)
                #expect(try await own.chunksUploaded == index + 1)
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func cancelFreesEverything(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            try await drive.send(0, of: upload)
            try await drive.uploads.cancel(upload.taskId, by: upload.owner)
            try await drive.uploads.cancel(upload.taskId, by: upload.owner)
            #expect(try await drive.status(upload) == .cancelled)
            #expect(site.staged == [])
            await expectRefusal(.taskClosed) { try await drive.send(1, of: upload) }
            await expectRefusal(.taskClosed) { try await drive.complete(upload) }
            let quota = try await drive.files.quota(account: upload.owner.accountId, default: nil)
            #expect((quota.usedBytes, quota.reservedBytes) == (0, 0))
            #expect(try await drive.uploads.cleanUp(by: upload.owner) == 1)
            #expect(try await drive.uploads.list(.init(), account: upload.owner.accountId).total == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func eventsAreNumberedAndEndWithTheFile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Self.content.create(on: drive)
            try await drive.sendAll(upload)
            _ = try await drive.complete(upload)
            let events = try await site.database.read { sql in
                try sql.query("SELECT sequence, type FROM events WHERE account_id = $1 ORDER BY sequence", [.uuid(upload.owner.accountId)])
                    .map { (try $0.int64("sequence"), try $0.text("type")) }
            }
            #expect(events.map(\.0) == Array(1...Int64(events.count)))
            #expect(events.first?.1 == "task.created")
            #expect(events.suffix(2).map(\.1) == ["file.created", "task.completed"])
            // Each whole chunk is more than five points; the last one is less, and the last.
            #expect(events.map(\.1).filter { $0 == "task.progress" }.count == 6)
        }
    }
}
