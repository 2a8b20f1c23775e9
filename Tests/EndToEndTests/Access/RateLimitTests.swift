import DriveModel
import Foundation
import NIOHTTP1
import Testing

@Suite struct RateLimitTests {
    private func expectLimited(_ reply: Reply, sourceLocation: SourceLocation = #_sourceLocation) {
        expectRefusal(reply, 429, "RATE_LIMITED", sourceLocation: sourceLocation)
        let seconds = reply.header("Retry-After").flatMap { Int($0) }
        #expect(seconds.map { $0 >= 1 } == true, "Retry-After: \(reply.headers)", sourceLocation: sourceLocation)
    }

    @Test func aFloodOfBadTokensIsSlowedDown() async throws {
        try await withServer("flood") { server in
            let token = try await server.data.token(account: "a")
            let client = TestClient(base: server.base, token: token)
            #expect(try await client.get("/files/me").status == 200)
            var first: (index: Int, reply: Reply)?
            for index in 0..<60 where first == nil {
                let reply = try await client.with(token: "bad-\(index)").get("/files/me")
                if reply.status != 401 { first = (index, reply) }
            }
            let limited = try #require(first, "sixty bad tokens and no limit")
            #expect((25...40).contains(limited.index), "thirty a minute by default: \(limited.index)")
            expectLimited(limited.reply)
            // Who does not sign in is not concerned.
            #expect(try await client.with(token: nil).send(.GET, "//health/live").status == 200)
        }
    }

    @Test func anAccountsLimitIsItsOwn() async throws {
        try await withServer("account-limit", environment: ["DRIVE_RATE_ACCOUNT": "1", "DRIVE_RATE_ACCOUNT_BURST": "5"]) { server in
            let first = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let second = TestClient(base: server.base, token: try await server.data.token(account: "b"))
            let replies = try await together(20) { _ in try await first.get("/files/me") }
            #expect((5...8).contains(replies.count { $0.status == 200 }))
            for reply in replies where reply.status != 200 { expectLimited(reply) }
            #expect(try await second.get("/files/me").status == 200)
        }
    }

    /// By default a fast client is never slowed down.
    @Test func chunksAreNotLimited() async throws {
        let client = try await SharedServer.client("fast")
        let upload = try await client.begin(bytes(300 * 65_536))
        let replies = try await together(16) { worker in
            try await stride(from: worker, to: 300, by: 16).asyncMap { try await client.sendChunk($0, of: upload).status }
        }
        #expect(replies.flatMap { $0 }.allSatisfy { $0 == 200 })
        let reply = try await client.delete("/files/upload/task/\(upload.taskId)")
        #expect((200..<300).contains(reply.status))
    }
}
