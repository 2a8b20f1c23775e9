import DriveModel
import Foundation
import Testing

/// A token in a query, as browsers must send it, is in no line of the log (scenario 47).
@Suite(.timeLimit(.minutes(1))) struct LiveLogTests {
    @Test func aTokenInTheQueryIsNotLogged() async throws {
        try await withServer("live-log", environment: ["LOG_LEVEL": "trace"], checks: false) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let token = try #require(client.token)
            // Each of them works, and is spoken to.
            let live = try await LiveSocket.open(server.port, "/ws?token=\(token)")
            let stream = try await LiveStream.open(server.port, "/api/events?token=\(token)")
            let sources: [any LiveSource] = [live, stream]
            for source in sources { try await source.begin() }
            let task = try await client.makeCustom("live-log")
            for source in sources { #expect(try await source.packet("task.created").taskId == task.taskId) }
            await live.send(LiveFrame(opcode: LiveFrame.close, payload: [0x03, 0xE8]))
            try await live.expectClosed(1000)
            // And those that fail: here the route answers, which has a line in the log.
            for (target, token) in [("/ws?since=x&token=\(token)", nil), ("/ws?token=\(token)x", nil), ("/ws?token=", token)] {
                do {
                    _ = try await LiveSocket.open(server.port, target, token: token, fields: [])
                    Issue.record("a WebSocket at \(target)")
                } catch is LiveSocket.Refused {}
            }
            #expect(try await server.terminate() == .exited(0))
            let log = server.log
            let lines = [#""path":"/ws""#, #""path":"/api/events""#].map { log.components(separatedBy: $0).count - 1 }
            #expect(lines == [3, 1], "\(log.prefix(4000))")
            // Neither whole nor its signature alone.
            for secret in [token, String(token.suffix(40))] {
                let isLogged = (log + server.lines.joined()).contains(secret)
                #expect(!isLogged, "\(secret.count) characters of it")
            }
        }
    }
}
