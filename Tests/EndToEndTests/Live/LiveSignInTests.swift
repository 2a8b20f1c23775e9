import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// How a client signs in, what its stream begins with, and when it ends (scenarios 40 and 41).
@Suite(.timeLimit(.minutes(1))) struct LiveSignInTests {
    enum Way: CaseIterable, Sendable { case header, query, message, messageLater }

    @Test(arguments: Way.allCases, ["/ws", "/api/ws", "/drive/ws"])
    func everyWayAndAddressGivesTheSameStream(way: Way, path: String) async throws {
        let client = try await SharedServer.client("live-sign-in-\(way)\(path.replacing("/", with: "-"))")
        let token = try #require(client.token)
        let kind = uniqueKind("live-sign-in")
        let running = try await client.makeCustom(kind)
        _ = try await client.leased(kind)
        let waiting = try await client.makeCustom(uniqueKind("live-waiting"))
        let ended = try await client.makeCustom(uniqueKind("live-ended"))
        try await client.changed(ended.taskId, "cancel")

        let live = try await LiveSocket.open(
            client.port, way == .query ? "\(path)?token=\(token)" : path, token: way == .header ? token : nil)
        if way == .messageLater { try await live.send(["type": "ping"]) }
        switch way {
        case .message: await live.signIn(client)
        case .messageLater:
            try await live.packet("pong")
            try await live.send(["type": "auth", "data": ["token": .string(token)]])
        case .header, .query: break
        }
        let ready = try await live.packet("ready")
        #expect(ready.data["accountId"]?.string?.lowercased() == HandSignedToken(token)?.account?.lowercased())
        #expect(ready.data["beginning"] == "now" && ready.data.object?.count == 4, "\(ready)")
        let sequence = try #require(ready.data["sequence"]?.integer)
        #expect(sequence == 4 && ready.data["latest"] == 4, "three were created, and one was cancelled")
        let snapshot = try await live.packet("snapshot")
        #expect(snapshot.data["sequence"]?.integer == sequence && snapshot.data["isComplete"] == true)
        let tasks = try JSONDecoder().decode(
            [TaskSummary].self, from: Data(DriveJSON.text(try #require(snapshot.data["tasks"])).utf8))
        #expect(tasks == [try await client.task(running.taskId), try await client.task(waiting.taskId)], "running first, no ended ones")
        #expect(tasks.first?.status == .inProgress)

        let next = try await client.makeCustom(kind)
        let event = try await live.packet("task.created")
        #expect(event.sequence == sequence + 1 && event.taskId == next.taskId, "\(event)")
    }

    /// What is wrong with a handshake is told also to who would sign in by a message; a token that is bad comes first.
    @Test func aBrokenHandshakeIsToldWithoutAToken() async throws {
        let client = try await SharedServer.client("live-broken")
        let whole = LiveSocket.handshake
        func without(_ name: String, _ others: String...) -> [String] { whole.filter { !$0.hasPrefix(name + ":") } + others }
        let broken: [(fields: [String], status: Int, code: String)] = [
            ([], 426, "UPGRADE_REQUIRED"),
            (without("Upgrade"), 426, "UPGRADE_REQUIRED"),
            (without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426, "UPGRADE_REQUIRED"),
            (without("Sec-WebSocket-Key", "Sec-WebSocket-Key: short"), 400, "INVALID_REQUEST"),
            (whole + ["Sec-WebSocket-Extensions: ;"], 400, "INVALID_REQUEST"),
        ]
        for (fields, status, code) in broken {
            for (token, status, code) in [(nil, status, code), (client.token, status, code), ("nonsense", 401, "UNAUTHENTICATED")] {
                do {
                    _ = try await LiveSocket.open(client.port, token: token, fields: fields)
                    Issue.record("a WebSocket for \(fields)")
                } catch let error as LiveSocket.Refused {
                    expectRefusal(error.reply, status, code, comment: "\(fields)")
                }
            }
        }
    }

    enum Token: CaseIterable, Sendable {
        case wrong, expired, revoked, session, worker, disabled

        /// The status that answers a handshake, the code of a close frame, and the error in both.
        var refusal: (status: Int, close: Int, code: String) {
            switch self {
            case .wrong, .expired: (401, 4401, "UNAUTHENTICATED")
            case .revoked: (401, 4401, "TOKEN_REVOKED")
            case .disabled: (403, 4401, "ACCOUNT_DISABLED")
            case .session, .worker: (403, 4403, "FORBIDDEN")
            }
        }
    }

    /// By the header and in the query it opens nothing; in the message it ends the connection.
    @Test(arguments: Token.allCases) func aTokenThatIsRefusedOpensNothing(_ kind: Token) async throws {
        let server = try await SharedServer.get()
        let client = TestClient(base: server.base, token: try await token(kind, account: "live-refused-\(kind)", of: server))
        let token = try #require(client.token)
        for (target, field) in [("/ws", token), ("/ws?token=\(token)", nil)] {
            do {
                _ = try await LiveSocket.open(client.port, target, token: field)
                Issue.record("a WebSocket for \(kind)")
            } catch let error as LiveSocket.Refused {
                expectRefusal(error.reply, kind.refusal.status, kind.refusal.code, comment: field == nil ? "query" : "header")
            }
        }
        let live = try await LiveSocket.open(client.port)
        await live.signIn(client)
        let (close, packets) = try await live.closed()
        #expect(close.code == kind.refusal.close, "\(close)")
        #expect(packets.map(\.type) == ["error"] && packets.first?.data["message"]?.string == close.reason, "\(packets), \(close)")
        #expect(packets.first?.data["code"]?.string == kind.refusal.code, "\(packets)")
    }

    private func token(_ kind: Token, account: String, of server: ServerProcess) async throws -> String {
        let good = try await server.data.token(account: account)
        switch kind {
        case .wrong: return good + "x"
        case .session: return try await TestClient(base: server.base, token: good).begin(bytes(1)).sessionToken
        case .worker:
            return try await DriveCommand.succeed(["token", "create", "--data", server.data.path, "--account", account, "--worker"]).line
        case .expired:
            var token = try #require(HandSignedToken(good))
            token.claims["exp"] = .integer(Int64(Date().timeIntervalSince1970) - 1)
            return try token.signed(with: try await SharedServer.signingKey())
        case .revoked: try await server.data.drive("token", "revoke", try #require(HandSignedToken(good)?.id))
        case .disabled: try await server.data.drive("account", "disable", account)
        }
        let client = TestClient(base: server.base, token: good)
        try await eventually(within: .seconds(5), "the token to be refused") { try await client.get("/files/me").status != 200 }
        return good
    }

    /// Ten seconds for everybody, whatever they say meanwhile.
    @Test func whoDoesNotSignInIsSentAway() async throws {
        let server = try await SharedServer.get()
        let start = ContinuousClock.now
        let times = try await together(3) { index -> Duration in
            let live = try await LiveSocket.open(server.port)
            if index == 1 { try await live.send(["type": "ping"]) }
            // The first half of a message.
            if index == 2 { await live.send(LiveFrame(opcode: LiveFrame.text, payload: [123], isFinal: false)) }
            let packets = try await live.closed(within: .seconds(15))
            #expect(packets.close.code == 4408, "\(packets)")
            return .now - start
        }
        for time in times { #expect((.seconds(9)...(.seconds(13))).contains(time), "\(time)") }
    }

    // MARK: What ends later

    /// A second, and more for a busy machine; `LiveSessionsTests` keeps the second.
    private static let endsWithin = Duration.seconds(5)

    enum Ending: CaseIterable, Sendable { case revoked, disabled }

    /// Within a second of the end of the command, on both kinds of streams; others of the account are left alone.
    @Test(arguments: Ending.allCases) func aStreamEndsWithItsToken(_ ending: Ending) async throws {
        let server = try await SharedServer.get()
        let account = "live-ending-\(ending)"
        let client = TestClient(base: server.base, token: try await server.data.token(account: account))
        let other = TestClient(
            base: server.base, token: try await server.data.token(account: ending == .revoked ? account : "live-not-ending"))
        let live = try await LiveSocket.signedIn(client)
        let stays = try await LiveSocket.signedIn(other)
        let stream = try await LiveStream.open(server.port, token: client.token)
        try await stream.begin()

        switch ending {
        case .revoked: try await server.data.drive("token", "revoke", try #require(client.token.flatMap { HandSignedToken($0)?.id }))
        case .disabled: try await server.data.drive("account", "disable", account)
        }
        let start = ContinuousClock.now
        async let closing = live.closing()
        let last = try await stream.packet("closed")
        let streamTime = ContinuousClock.now - start
        let (close, closed, packets) = try await closing
        let code = ending == .revoked ? "TOKEN_REVOKED" : "ACCOUNT_DISABLED"
        #expect(close.code == 4401, "\(close)")
        #expect(packets.map { $0.data["code"]?.string } == [code], "\(packets)")
        #expect(last.data["code"]?.string == code && last.data["message"]?.string == close.reason, "\(last)")
        #expect(try await stream.block() == nil, "nothing comes after it")
        #expect(streamTime < Self.endsWithin, "\(streamTime)")
        #expect(closed - start < Self.endsWithin, "\(closed - start)")

        let task = try await other.makeCustom(uniqueKind("live-ending"))
        #expect(try await stays.packet("task.created").taskId == task.taskId)
    }

    /// What waits for a slow client when it brings a newer token comes behind the number that it is told then.
    @Test func aNewerTokenPassesOverNothingThatWaits() async throws {
        let client = try await SharedServer.client("live-renewed-slowly")
        let kind = uniqueKind("live-renewed-slowly")
        let live = try await LiveSocket.signedIn(client, receiveBuffer: 4096)
        // More than are on the way to a client that does not read, or wait for it.
        try await client.makeBatch(600, kind, name: String(repeating: "n", count: 250))
        await live.signIn(client)
        // Longer than the sign-in takes.
        try await client.makeBatch(10, kind)
        let packets = try await live.packets { $0.type == "ready" }
        let events = Array(packets.dropLast())
        let ready = try #require(packets.last)
        expectGapless(events, after: 0)
        let (sequence, latest) = (ready.data["sequence"]?.integer, ready.data["latest"]?.integer ?? 0)
        #expect(ready.data["beginning"] == "resumed" && sequence == Int64(events.count) && latest >= events.count, "\(ready)")
        let marker = try await client.makeCustom(kind)
        expectGapless(try await live.packets(through: "task.created", of: marker.taskId), after: Int64(events.count))
    }

    @Test func aStreamEndsWhenItsTokenRunsOutUnlessANewerOneComes() async throws {
        let server = try await SharedServer.get()
        let newer = TestClient(base: server.base, token: try await server.data.token(account: "live-runs-out"))
        let stranger = newer.with(token: try await server.data.token(account: "live-runs-out-stranger"))
        // The last, so that there is time for the rest on a busy machine.
        let client = newer.with(token: try await server.data.token(account: "live-runs-out", lifetime: "6s"))
        let live = try await LiveSocket.signedIn(client)
        let renewed = try await LiveSocket.signedIn(client)
        let stream = try await LiveStream.open(server.port, token: client.token)
        try await stream.begin()
        await renewed.signIn(stranger)
        #expect(try await renewed.packet("error").data["code"] == "FORBIDDEN", "it is another account's")
        await renewed.signIn(newer)
        #expect(try await renewed.packet("ready").data["beginning"] == "resumed")

        let end = try #require(client.token.flatMap { HandSignedToken($0)?.claims["exp"]?.integer })
        async let closing = live.closing()
        #expect(try await stream.packet("closed").data["code"] == "UNAUTHENTICATED")
        let streamEnd = ContinuousClock.now
        let (close, closed, _) = try await closing
        #expect(close.code == 4401, "\(close)")
        let due = ContinuousClock.now - .seconds(Date().timeIntervalSince1970 - Double(end))
        for time in [streamEnd - due, closed - due] {
            #expect((.milliseconds(-100)..<Self.endsWithin).contains(time), "\(time) after its end")
        }

        let task = try await newer.makeCustom(uniqueKind("live-runs-out"))
        #expect(try await renewed.packet("task.created").taskId == task.taskId)
    }
}
