import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// The main job: a file goes up in chunks or by one request and comes down the same.
@Suite struct UploadPathTests {
    struct Way: Sendable, CustomTestStringConvertible {
        var form: ChunkForm
        var size: Int
        var order: Order
        var prefix = "/api"
        var announcesHash = false

        enum Order: Sendable { case ascending, descending, shuffled, parallel }
        var testDescription: String { "\(form) \(size) bytes \(order) \(prefix)\(announcesHash ? " with hash" : "")" }
    }

    static let ways: [Way] = [
        Way(form: .raw, size: 5 * 65_536, order: .ascending),
        Way(form: .multipart, size: 5 * 65_536, order: .ascending),
        Way(form: .raw, size: 5 * 65_536 + 1, order: .descending, announcesHash: true),
        Way(form: .multipart, size: 5 * 65_536 - 1, order: .shuffled, announcesHash: true),
        Way(form: .raw, size: 12 * 65_536 + 17, order: .parallel),
        Way(form: .multipart, size: 12 * 65_536 + 17, order: .parallel),
        Way(form: .raw, size: 1, order: .ascending),
        Way(form: .multipart, size: 65_535, order: .ascending),
        Way(form: .raw, size: 65_536, order: .ascending, prefix: "/drive"),
        Way(form: .multipart, size: 65_537, order: .descending, prefix: "/drive"),
        Way(form: .raw, size: 0, order: .ascending),
    ]

    @Test(arguments: ways) func chunksGoUpAndComeDown(_ way: Way) async throws {
        let client = try await SharedServer.client("path", prefix: way.prefix)
        let content = bytes(way.size, seed: UInt64(way.size) * 2 + (way.form == .raw ? 0 : 1))
        let upload = try await client.begin(content, name: "päth.bin", hash: way.announcesHash ? sha256(content) : nil)
        #expect(upload.plan.count == (way.size + 65_535) / 65_536)
        switch way.order {
        case .ascending: try await client.sendChunks(upload.indexes, of: upload, as: way.form)
        case .descending: try await client.sendChunks(upload.indexes.reversed(), of: upload, as: way.form)
        case .shuffled: try await client.sendChunks(upload.indexes.shuffled(), of: upload, as: way.form)
        case .parallel:
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in upload.indexes.shuffled() {
                    group.addTask { try await client.sendChunks([index], of: upload, as: way.form) }
                }
                try await group.waitForAll()
            }
        }
        let file = try await client.finish(upload.taskId)
        #expect(file.name == "päth.bin")
        try await client.expectContent(content, of: file)
        #expect(try await client.get("/files/\(file.id)/info").decode() == file)
        // A second complete gives the same file.
        #expect(try await client.finish(upload.taskId) == file)
        let progress = try await client.progress(upload.taskId)
        #expect(progress.status == .completed)
        #expect(progress.progress == 100)
    }

    @Test func aChunkReplyTellsChecksumAndProgress() async throws {
        let client = try await SharedServer.client("chunk-reply")
        let upload = try await client.begin(bytes(4 * 65_536))
        for index in upload.indexes {
            let reply = try await client.sendChunk(index, of: upload)
            let chunk: ChunkReply = try reply.decode()
            #expect(chunk.taskId == upload.taskId)
            #expect(chunk.chunkIndex == index)
            #expect(chunk.size == 65_536)
            #expect(chunk.checksum == String(format: "%08x", crc32c(upload.chunk(index))))
            #expect(chunk.chunksUploaded == index + 1)
            #expect(chunk.chunksTotal == 4)
            #expect(chunk.progress == Double(index + 1) * 25)
        }
    }

    @Test(arguments: ChunkForm.allCases) func aRightDigestIsTaken(_ form: ChunkForm) async throws {
        let client = try await SharedServer.client("digest-\(form)")
        let upload = try await client.begin(bytes(3 * 65_536))
        for index in upload.indexes {
            let chunk = upload.chunk(index)
            let reply: Reply
            switch form {
            case .raw:
                let digest = index == 0 ? contentDigest(crc32c: crc32c(chunk)) : contentDigest(sha256: chunk)
                reply = try await client.sendChunk(index, of: upload, headers: [("Content-Digest", digest)])
            case .multipart:
                // The field may stand before or after the bytes.
                let field = Multipart.Part.field("checksum", index == 0 ? String(format: "%08x", crc32c(chunk)) : sha256(chunk))
                let file = Multipart.Part.file("anything", chunk)
                let body = Multipart(parts: index == 1 ? [file, field] : [field, file])
                reply = try await client.send(
                    .POST, "/files/upload/chunk/\(upload.taskId)/\(index)", headers: [("Content-Type", body.contentType)], body: body.bytes)
            }
            #expect(reply.status == 200, "chunk \(index): \(reply)")
        }
        try await client.expectContent(upload.bytes, of: client.finish(upload.taskId))
    }

    @Test func aRequestMayUseSnakeCase() async throws {
        let client = try await SharedServer.client("snake")
        let reply = try await client.send(
            .POST, "/files/upload/create",
            json: ["file_name": "snake.txt", "file_size": 3, "content_type": "text/plain", "chunk_size": 65_536])
        #expect(reply.status == 200, "\(reply)")
        let created: CreateUploadReply = try reply.decode()
        #expect(created.chunksCount == 1)
    }

    struct Plan: Sendable {
        var size: Int64
        var wish: Int64?
        var chunkSize: Int64
        var count: Int
    }

    @Test(
        arguments: [
            Plan(size: 12 << 20, wish: nil, chunkSize: 5 << 20, count: 3),
            Plan(size: 1 << 20, wish: 1, chunkSize: 65_536, count: 16),
            Plan(size: 1 << 20, wish: 65_537, chunkSize: 131_072, count: 8),
            Plan(size: 40 << 20, wish: 1 << 40, chunkSize: 16 << 20, count: 3),
            Plan(size: 100, wish: 65_536, chunkSize: 100, count: 1),
        ]) func theReplySaysWhichChunkSizeHolds(_ plan: Plan) async throws
    {
        let client = try await SharedServer.client("plan")
        let reply = try await client.create(size: Int(plan.size), chunkSize: plan.wish.map { Int($0) })
        let created: CreateUploadReply = try reply.decode()
        #expect(created.chunkSize == plan.chunkSize)
        #expect(created.chunksCount == plan.count)
        let cancelled = try await client.delete("/files/upload/task/\(try #require(created.taskId))")
        #expect((200..<300).contains(cancelled.status), "\(cancelled)")
    }

    @Test func anInterruptedUploadGoesOnWhereItWas() async throws {
        let client = try await SharedServer.client("resume")
        let content = bytes(6 * 65_536 + 5, seed: 6)
        let upload = try await client.begin(content, name: "resume.bin", hash: sha256(content))
        try await client.sendChunks([0, 2, 5], of: upload)
        let resume: ResumeInformation = try await client.get("/files/upload/resume/\(upload.taskId)").decode()
        #expect(resume.uploadedChunks == [0, 2, 5])
        #expect(resume.status == .inProgress)
        #expect(resume.fileName == "resume.bin")
        #expect(resume.fileSize == Int64(content.count))
        #expect(resume.hash == sha256(content))
        #expect(resume.chunkSize == 65_536)
        #expect(resume.chunksCount == 7)
        let again = try await client.sendChunk(2, of: upload)
        expectRefusal(again, 409, "CHUNK_ALREADY_UPLOADED")
        try await client.sendChunks(upload.indexes.filter { !resume.uploadedChunks.contains($0) }, of: upload)
        let file = try await client.finish(upload.taskId)
        try await client.expectContent(content, of: file)
        let finished: ResumeInformation = try await client.get("/files/upload/resume/\(upload.taskId)").decode()
        #expect(finished.status == .completed)
        #expect(finished.fileId == file.id)
    }

    @Test func fieldsOfCreateTakeEffect() async throws {
        let client = try await SharedServer.client("fields")
        let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "holiday"]).decode()
        let pool = try #require(try await client.get("/pools").decode([Pool].self).first { $0.isDefault })
        let file = try await client.upload(
            bytes(10), name: "photo.png",
            more: [
                "contentType": "image/png", "bundleId": .string(bundle.id.uuidString.lowercased()),
                "poolId": .string(pool.id.uuidString.lowercased()), "expiredAt": "2099-12-31T23:59:59Z",
            ])
        #expect(file.contentType == "image/png")
        #expect(file.bundleId == bundle.id)
        #expect(file.poolId == pool.id)
        #expect(file.expiredAt?.description == "2099-12-31T23:59:59Z")
    }

    @Test func aCancelledUploadGivesEverythingBack() async throws {
        let client = try await SharedServer.client("cancel")
        let upload = try await client.begin(bytes(4 * 65_536))
        try await client.sendChunks([0, 1], of: upload)
        #expect(try await client.quota().reservedBytes == 4 * 65_536)
        for _ in 1...2 {
            let reply = try await client.delete("/files/upload/task/\(upload.taskId)")
            #expect((200..<300).contains(reply.status), "cancelling twice is fine: \(reply)")
        }
        #expect(try await client.quota().reservedBytes == 0)
        expectRefusal(try await client.sendChunk(2, of: upload), 409, "TASK_CLOSED")
        expectRefusal(try await client.complete(upload.taskId), 409, "TASK_CLOSED")
        expectRefusal(try await client.get("/files/upload/resume/\(upload.taskId)"), 409, "TASK_CLOSED")
        #expect(try await client.progress(upload.taskId).status == .cancelled)
        let data = try await SharedServer.get().data
        #expect(!data.stagedFiles.contains { $0.contains(upload.taskId) })
    }
}
