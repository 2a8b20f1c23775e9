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

    /// How many requests a limit of five at once, and then one a second, lets pass from this moment until now.
    static func passing(since start: ContinuousClock.Instant) -> ClosedRange<Int> {
        5...6 + Int((ContinuousClock.now - start) / .seconds(1))
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
            let start = ContinuousClock.now
            let replies = try await together(20) { _ in try await first.get("/files/me") }
            #expect(Self.passing(since: start).contains(replies.count { $0.status == 200 }))
            for reply in replies where reply.status != 200 { expectLimited(reply) }
            #expect(try await second.get("/files/me").status == 200)
        }
    }

    /// Opens WebSockets, which stay open, until one is refused.
    private func openWebSockets(_ port: Int, token: String?) async throws -> (opened: [LiveSocket], refusal: Reply?) {
        var opened: [LiveSocket] = []
        do {
            while opened.count < 20 { opened.append(try await LiveSocket.open(port, token: token)) }
        } catch let error as LiveSocket.Refused {
            return (opened, error.reply)
        }
        return (opened, nil)
    }

    /// A bad token of a handshake counts once, although two look at it.
    @Test func aFloodOfHandshakesWithBadTokensIsSlowedDown() async throws {
        try await withServer("websocket-flood") { server in
            var refusals: [Reply] = []
            while refusals.last?.status ?? 401 == 401, refusals.count < 60 {
                do {
                    _ = try await LiveSocket.open(server.port, token: "bad-\(refusals.count)")
                    Issue.record("a WebSocket")
                    return
                } catch let error as LiveSocket.Refused {
                    refusals.append(error.reply)
                }
            }
            #expect((25...40).contains(refusals.count - 1), "thirty a minute by default: \(refusals.count - 1)")
            expectLimited(try #require(refusals.last))
        }
    }

    /// With the token to come in a message, too.
    @Test func aWebSocketIsARequestFromItsAddress() async throws {
        try await withServer("address-limit", environment: ["DRIVE_RATE_ADDRESS": "1", "DRIVE_RATE_ADDRESS_BURST": "5"]) { server in
            let start = ContinuousClock.now
            let (opened, refusal) = try await openWebSockets(server.port, token: nil)
            #expect(Self.passing(since: start).contains(opened.count))
            expectLimited(try #require(refusal, "twenty WebSockets and no limit"))
        }
    }

    /// One, although a token of the handshake is looked at twice.
    @Test func aWebSocketIsOneRequestOfItsAccount() async throws {
        try await withServer("account-limit", environment: ["DRIVE_RATE_ACCOUNT": "1", "DRIVE_RATE_ACCOUNT_BURST": "5"]) { server in
            let token = try await server.data.token(account: "a")
            let start = ContinuousClock.now
            let (opened, refusal) = try await openWebSockets(server.port, token: token)
            #expect(Self.passing(since: start).contains(opened.count))
            for live in opened { try await live.begin() }
            expectLimited(try #require(refusal, "twenty WebSockets and no limit"))
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
