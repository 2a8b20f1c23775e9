import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Quota is reserved, settled and given back exactly, also at once.
@Suite struct QuotaTests {
    @Test func fiftyUploadsAgainstAQuotaForTen() async throws {
        try await withServer("quota-race") { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let size = 65_536
            try await server.data.drive("account", "quota", "a", "\(10 * size)")
            let replies = try await together(50) { _ in try await client.create(size: size) }
            let created = replies.filter { $0.status == 200 }
            #expect(created.count == 10)
            for reply in replies where reply.status != 200 { expectRefusal(reply, 403, "QUOTA_EXCEEDED") }
            #expect(try await client.quota() == QuotaReply(quotaBytes: Int64(10 * size), usedBytes: 0, reservedBytes: Int64(10 * size)))

            // Half is completed, half cancelled: five places are free again.
            for (index, reply) in created.enumerated() {
                let taskId = try #require(try reply.decode(CreateUploadReply.self).taskId)
                if index < 5 {
                    let chunk = try await client.sendChunk("0", taskId: taskId, bytes: bytes(size, seed: UInt64(index)))
                    #expect(chunk.status == 200, "\(chunk)")
                    _ = try await client.finish(taskId)
                } else {
                    _ = try await client.delete("/files/upload/task/\(taskId)")
                }
            }
            #expect(try await client.quota() == QuotaReply(quotaBytes: Int64(10 * size), usedBytes: Int64(5 * size), reservedBytes: 0))

            // The same by one request each: content by turns equal and different.
            let direct = try await together(50) { index in try await client.direct(bytes(size, seed: UInt64(index / 2))) }
            #expect(direct.count { $0.status == 200 } == 5)
            for reply in direct where reply.status != 200 { expectRefusal(reply, 403, "QUOTA_EXCEEDED") }
            #expect(try await client.quota() == QuotaReply(quotaBytes: Int64(10 * size), usedBytes: Int64(10 * size), reservedBytes: 0))

            // A deleted file gives its place back.
            let files: [CloudFile] = try await client.get("/files/me").decode()
            let deleted = try await client.delete("/files/\(try #require(files.first).id)")
            #expect((200..<300).contains(deleted.status), "\(deleted)")
            #expect(try await client.quota().availableBytes == Int64(size))
            _ = try await client.store(bytes(size))
            // An empty file needs no room.
            _ = try await client.store([])
            expectRefusal(try await client.direct([1]), 403, "QUOTA_EXCEEDED")
            expectRefusal(try await client.create(size: 1), 403, "QUOTA_EXCEEDED")
        }
    }

    @Test func completesAndDeletesAtOnceKeepTheBooks() async throws {
        try await withServer("quota-mixed") { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            _ = try await together(24) { index -> Bool in
                let content = bytes(1000 + index % 3, seed: UInt64(index % 3))
                if index % 2 == 0 {
                    let file = try await client.store(content)
                    if index % 4 == 0 { _ = try await client.delete("/files/\(file.id)") }
                } else {
                    let upload = try await client.begin(content)
                    try await client.sendChunks(upload.indexes, of: upload)
                    _ = try await client.finish(upload.taskId)
                }
                return true
            }
            let usage: UsageReply = try await client.get("/billing/usage").decode()
            let quota = try await client.quota()
            #expect(usage.fileCount == 18)
            #expect(usage.chargedBytes == quota.usedBytes)
            #expect(quota.reservedBytes == 0)
        }
    }

    @Test func tooManyOpenUploadsAreRefused() async throws {
        try await withServer("open-uploads", environment: ["UPLOAD_MAX_OPEN_PER_ACCOUNT": "3"]) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let replies = try await together(8) { _ in try await client.create(size: 10) }
            #expect(replies.count { $0.status == 200 } == 3)
            for reply in replies where reply.status != 200 {
                expectRefusal(reply, 429, "TOO_MANY_OPEN_UPLOADS")
                #expect(reply.header("Retry-After").flatMap { Int($0) } != nil)
            }
        }
    }
}
