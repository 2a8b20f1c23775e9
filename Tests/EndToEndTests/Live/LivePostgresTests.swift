import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// Two servers on one PostgreSQL: what happens on one is told by the other, also after PostgreSQL ended their connections.
@Suite(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"), .timeLimit(.minutes(2)))
struct LivePostgresTests {
    @Test func whatHappensOnOneServerIsToldByTheOther() async throws {
        try await PostgresTaskScene.with("live-two-servers") { scene in
            let first = try await ServerProcess.start(scene.data)
            defer { first.kill() }
            // A folder each: one process alone may own a pool's folder, which is told by its mark. No bytes are stored here.
            let data = try DataFolder.make("live-second", environment: scene.data.environment)
            defer { data.remove() }
            try FileManager.default.createDirectory(
                atPath: data.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try FileManager.default.copyItem(atPath: scene.data.path + "/pools", toPath: data.path + "/pools")
            let second = try await ServerProcess.start(data)
            defer { second.kill() }
            let client = TestClient(base: first.base, token: try await scene.data.token(account: "a"))
            let far = TestClient(base: second.base, token: try await data.token(account: "a"))
            let here = try await LiveSocket.signedIn(client)
            let there = try await LiveSocket.signedIn(far)
            let stream = try await LiveStream.open(second.port, token: far.token)
            try await stream.begin()
            let sources: [any LiveSource] = [here, there, stream]

            var last: Int64 = 0
            for round in 0..<4 {
                // By turns on either server.
                let maker = round.isMultiple(of: 2) ? client : far
                let start = ContinuousClock.now
                let task = try await maker.makeCustom("live-two")
                try await maker.changed(task.taskId, "cancel")
                for source in sources {
                    let events = try await source.packets(through: "task.cancelled", of: task.taskId)
                    expectGapless(events, after: last)
                    #expect(events.map(\.type) == ["task.created", "task.cancelled"], "\(events)")
                }
                last += 2
                // Told, not found by the look that comes every five seconds.
                if round < 2 { #expect(ContinuousClock.now - start < .milliseconds(4500), "\(ContinuousClock.now - start)") }
                switch round {
                case 1:
                    let ended = try await scene.query(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '\(scene.name)' AND query ILIKE 'LISTEN%'")
                    #expect(ended.count >= 2, "each server listens: \(ended)")
                case 2: try await scene.endConnections()
                default: break
                }
            }

            try await expectGap(scene, client, last: last)
            for server in [first, second] { #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))") }
            #expect(try await here.closed().close.code == 1001)
            #expect(try await stream.packets { $0.type == "closed" }.last?.data["code"] == "SHUTTING_DOWN")
        }
    }

    /// What was removed with the days cannot be told any more.
    private func expectGap(_ scene: PostgresTaskScene, _ client: TestClient, last: Int64) async throws {
        let open = try await client.makeCustom("live-open")
        try await scene.execute("DELETE FROM events WHERE sequence <= 5")
        for (since, beginning) in [(5, "resumed"), (4, "gap"), (0, "gap")] {
            let live = try await LiveSocket.open(client.port, "/ws?since=\(since)", token: client.token)
            let (sequence, tasks) = try await live.begin(as: beginning)
            #expect(sequence == (beginning == "gap" ? last + 1 : Int64(since)))
            #expect(tasks.map(\.taskId) == (beginning == "gap" ? [open.taskId] : []))
            if beginning == "resumed" { #expect(try await live.packet().sequence == Int64(since) + 1) }
        }
    }

    /// Two readers are slower than what they have not got is removed: each gets what waited for it and nothing behind the hole, is told
    /// to come back, and finds the snapshot then.
    @Test func whatIsRemovedBeforeItIsReadEndsTheStream() async throws {
        try await PostgresTaskScene.with("live-removed") { scene in
            let server = try await ServerProcess.start(scene.data)
            defer { server.kill() }
            let client = TestClient(base: server.base, token: try await scene.data.token(account: "a"))
            let live = try await LiveSocket.signedIn(client, receiveBuffer: 4096)
            let stream = try await LiveStream.open(server.port, token: client.token, receiveBuffer: 4096)
            try await stream.begin()
            let quick = try await LiveSocket.signedIn(client)
            // Twice what the system keeps on the way to a client (4 MiB).
            let tasks = 40
            let text = JSONValue.string(String(repeating: "x", count: 200_000))
            for _ in 0..<tasks {
                try await client.makeCustom("live-removed")
                let lease = try await client.leased("live-removed")
                #expect(try await client.work("complete", lease.leaseId, ["results": ["text": text]]).status == 200)
            }
            _ = try await quick.packets { $0.sequence == Int64(2 * tasks) }
            try await scene.execute("DELETE FROM events")

            // At the same time: each is read before it counts as dead, after a minute.
            async let reading = stream.packets(within: .seconds(50)) { $0.type == "closed" }
            let (close, packets) = try await live.closed(within: .seconds(50))
            #expect(close == LiveClosed(code: 1013, reason: "events it had not read were removed; come back"))
            let told = try await reading
            let end = try #require(told.last)
            #expect(end.data["code"] == "EVENTS_GONE" && end.data["status"] == 410, "\(end)")
            #expect(try await stream.block() == nil, "nothing comes after it")
            for events in [packets, Array(told.dropLast())] {
                expectGapless(events, after: 0)
                #expect(events.count < 2 * tasks)
                let back = try await LiveSocket.open(server.port, "/ws?since=\(events.count)", token: client.token)
                #expect(try await back.begin(as: "gap").sequence == Int64(2 * tasks))
            }
            #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
        }
    }

    /// PostgreSQL is away while clients listen: they stay, and hear of what follows.
    @Test func aDatabaseThatIsAwayForAWhileIsNoEnd() async throws {
        try await PostgresTaskScene.with("live-database-away") { scene in
            let server = try await ServerProcess.start(scene.data)
            defer { server.kill() }
            let client = TestClient(base: server.base, token: try await scene.data.token(account: "a"))
            let live = try await LiveSocket.signedIn(client)
            try await scene.limitConnections(0)
            try await scene.endConnections()
            try await eventually(within: .seconds(20), "the database to be away") { try await client.get("/tasks").status == 503 }
            try await live.send(["type": "ping"])
            try await live.packet("pong")
            // Who comes now is told to come later.
            let newcomer = try await LiveSocket.open(server.port)
            await newcomer.signIn(client)
            let (close, _) = try await newcomer.closed(within: .seconds(40))
            #expect(close.code == 1013, "\(close)")
            try await scene.limitConnections(-1)
            try await eventually(within: .seconds(30), "the database to be back") { try await client.get("/tasks").status == 200 }
            let task = try await client.makeCustom("live-away")
            try await client.changed(task.taskId, "cancel")
            let events = try await live.packets(through: "task.cancelled", of: task.taskId)
            expectGapless(events, after: 0)
            #expect(try await server.terminate() == .exited(0))
        }
    }
}
