import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// The bytes that one account's unfinished uploads may hold.
@Suite struct OpenBytesTests {
    @Test func areCappedBySetting() async throws {
        let environment = ["UPLOAD_MAX_OPEN_BYTES_PER_ACCOUNT": "640KiB", "DRIVE_QUOTA": "unlimited"]
        try await withServer("open-bytes", environment: environment) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let replies = try await together(30) { _ in try await client.create(size: 65_536) }
            let created = replies.filter { $0.status == 200 }
            #expect(created.count == 10)
            for reply in replies where reply.status != 200 {
                expectRefusal(reply, 429, "TOO_MANY_OPEN_UPLOADS")
                #expect(reply.error?.details["rule"] == "maxOpenBytesPerAccount")
                #expect(reply.header("Retry-After") == "60")
            }
            let large = try await client.create(size: 640 * 1024 + 1)
            expectRefusal(large, 413, "FILE_TOO_LARGE")
            #expect(large.error?.details["rule"] == "maxOpenBytesPerAccount")
            // A finished one makes room.
            let taskId = try #require(try created.first?.decode(CreateUploadReply.self).taskId)
            #expect(try await client.sendChunk("0", taskId: taskId, bytes: bytes(65_536)).status == 200)
            _ = try await client.finish(taskId)
            #expect(try await client.create(size: 65_536).status == 200)
            expectRefusal(try await client.direct([1]), 429, "TOO_MANY_OPEN_UPLOADS")
        }
    }
}
