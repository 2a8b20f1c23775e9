import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// PostgreSQL is gone for a minute, not only its connections: those who listen stay, nothing can happen meanwhile, and what happens
/// afterwards is told without a gap. The minute is the one, too, after which a peer that answers no ping is gone.
@Suite(.enabled(if: PrivatePostgres.programs != nil, "there is no PostgreSQL to start here"), .timeLimit(.minutes(4)))
struct LiveOutageTests {
    private static let outage = Duration.seconds(60)

    @Test func aMinuteWithoutTheDatabaseIsNoEnd() async throws {
        try await Slots.servers.with {
            try await PrivatePostgres.with { postgres in
                let data = try DataFolder.make("live-outage", environment: ["DATABASE_URL": postgres.url])
                defer { data.remove() }
                let server = try await ServerProcess.start(data)
                defer { server.kill() }
                do {
                    try await run(postgres, server, TestClient(base: server.base, token: try await data.token(account: "a")))
                } catch {
                    Issue.record("\(error)\nthe server's log ends with:\n\(server.log.suffix(4000))")
                    throw error
                }
                #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
            }
        }
    }

    private func run(_ postgres: PrivatePostgres, _ server: ServerProcess, _ client: TestClient) async throws {
        let live = try await LiveSocket.signedIn(client)
        let stream = try await LiveStream.open(server.port, token: client.token)
        try await stream.begin()
        let before = try await client.makeCustom("live-outage")
        for source in [live, stream] as [any LiveSource] { _ = try await source.packets(through: "task.created", of: before.taskId) }
        // One says nothing at all, one answers the server's pings and says nothing else.
        let (silent, quiet) = (try await LiveSocket.signedIn(client), try await LiveSocket.signedIn(client))
        async let silence: Void = Self.expectDropped(silent)
        async let last = quiet.packets(within: .seconds(150)) { $0.type == "task.created" }

        try await postgres.crash()
        let back = ContinuousClock.now + Self.outage
        let newcomer = try await LiveSocket.open(server.port)
        await newcomer.signIn(client)
        #expect(try await newcomer.closed(within: .seconds(40)).close.code == 1013, "who comes now is told to come later")
        var pongs = 0
        while ContinuousClock.now < back {
            try await live.send(["type": "ping"])
            try await live.packet("pong")
            pongs += 1
            // As clients do that keep a connection alive.
            try await Task.sleep(for: .seconds(2))
        }
        #expect(pongs > 5 && server.ended == nil)
        try await postgres.startAgain()

        try await eventually(within: .seconds(60), "the database to be back") { try await client.get("/tasks").status == 200 }
        try await client.changed(before.taskId, "cancel")
        let after = try await client.makeCustom("live-outage")
        try await client.changed(after.taskId, "cancel")
        for source in [live, stream] as [any LiveSource] {
            let events = try await source.packets(through: "task.cancelled", of: after.taskId)
            expectGapless(events, after: 1)
            #expect(events.map(\.type) == ["task.cancelled", "task.created", "task.cancelled"], "\(events)")
        }
        try await silence
        #expect(try await last.map(\.taskId) == [before.taskId, after.taskId], "who answers pings is still there")
        // An outage is said, not shouted: each part of the server has its own line a second at most.
        let warnings = server.log.split(separator: "\n").count { $0.contains(#""level":"warning""#) || $0.contains(#""level":"error""#) }
        #expect(warnings < 600, "\(warnings) lines: \(server.log.suffix(3000))")
    }

    /// Pinged after 30 s of quiet; gone 30 s later, without a close frame that nobody would read.
    private static func expectDropped(_ live: LiveSocket) async throws {
        let start = ContinuousClock.now
        let ping = try await live.frame(within: .seconds(40))
        let pinged = ContinuousClock.now - start
        #expect(ping == LiveFrame(opcode: LiveFrame.ping) && (.seconds(29)..<(.seconds(39))).contains(pinged), "\(ping) after \(pinged)")
        do {
            let frame = try await live.frame(within: .seconds(45))
            Issue.record("\(frame) for who answers no ping")
        } catch let end as LiveClosed {
            let gone = ContinuousClock.now - start
            #expect(!end.hasFrame && (.seconds(59)..<(.seconds(75))).contains(gone), "\(end) after \(gone)")
        }
    }
}
