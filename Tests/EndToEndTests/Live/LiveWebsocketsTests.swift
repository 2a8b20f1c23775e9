import DriveModel
import Foundation
import Testing

/// The library websockets for Python, unchanged: its handshake, its compression, and what it does after a lost connection.
@Suite(.timeLimit(.minutes(1))) struct LiveWebsocketsTests {
    enum Way: String, CaseIterable, Sendable { case message, header, query }

    /// More than the 256 bytes from which on the server compresses a message.
    private static let text = String(repeating: "Grüße, Welt! ", count: 2000)

    @Test(arguments: Way.allCases, [true, false]) func itMissesNothing(way: Way, compressed: Bool) async throws {
        let client = try await SharedServer.client("live-websockets-\(way)-\(compressed)")
        let token = try #require(client.token)
        let proxy = try LoopbackProxy(to: client.port)
        defer { proxy.close() }
        let program = try LiveProgram(
            .websockets,
            [
                "ws://127.0.0.1:\(proxy.port)/ws", "--sign-in", way.rawValue, compressed ? "--compression" : "--no-compression",
            ], token: token)
        try await program.told("its sign-in") { Self.beginnings($0).count == 1 }
        try await done(client)
        // It closes by itself, and comes back while more happens.
        try await client.makeCustom(uniqueKind("live-websockets"), ["name": "close"])
        try await done(client)
        try await program.told("its return") { Self.beginnings($0).count == 2 }
        // It loses its connection, and for a while there is no other.
        proxy.goDown()
        let refused = proxy.refused
        try await done(client)
        try await eventually(within: .seconds(10), "it to try") { proxy.refused > refused }
        proxy.comeBack()
        let end = try await client.makeCustom(uniqueKind("live-websockets"), ["name": "end"])

        let lines = try await program.ended()
        let extensions: JSONValue = compressed ? ["permessage-deflate"] : []
        #expect(lines.compactMap { $0["opened"] } == [extensions, extensions, extensions])
        #expect(lines.compactMap { $0["closed"]?.integer } == [1000, 1006, 1000])
        #expect(Self.beginnings(lines) == ["now", "resumed", "resumed"])
        let packets = try Self.packets(lines)
        // At least in the first connection, which lasts long enough.
        #expect(packets.contains { $0.type == "pong" } && lines.contains { $0["pong"] != nil }, "both kinds of pings are answered")
        let own: Set<String> = ["ready", "snapshot", "pong"]
        let events = packets.filter { !own.contains($0.type) }
        expectGapless(events, after: 0)
        let live = try await LiveSocket.open(client.port, "/ws?since=0", token: token)
        try await live.begin(as: "resumed")
        let expected = try await live.packets(through: "task.created", of: end.taskId)
        let areSame = events.map(\.description) == expected.map(\.description)
        #expect(areSame, "the same as a client without compression gets: \(events.map { "\($0)".prefix(200) })")

        let size = expected.reduce(0) { $0 + "\($1)".utf8.count }
        #expect(size > 3 * Self.text.utf8.count)
        let passed = proxy.passed(.down)
        #expect(compressed ? passed < size / 3 : passed > size * 3 / 4, "\(passed) bytes for \(size) of events")
    }

    /// A task with everything that it can tell.
    private func done(_ client: TestClient) async throws {
        let kind = uniqueKind("live-websockets")
        try await client.makeCustom(kind, ["name": .string(String(repeating: "Ein langer Name. ", count: 12))])
        let lease = try await client.leased(kind)
        #expect(try await client.work("progress", lease.leaseId, ["progress": 50, "statusMessage": "😀 halb"]).status == 200)
        #expect(try await client.work("complete", lease.leaseId, ["results": ["text": .string(Self.text)]]).status == 200)
    }

    private static func packets(_ lines: [JSONValue]) throws -> [LivePacket] {
        try lines.compactMap { $0["packet"]?.string }.map { try LivePacket(json: Array($0.utf8)) }
    }

    private static func beginnings(_ lines: [JSONValue]) -> [String] {
        (try? packets(lines))?.filter { $0.type == "ready" }.compactMap { $0.data["beginning"]?.string } ?? []
    }
}
