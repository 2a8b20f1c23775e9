import DriveModel
import Foundation
import TestSupport
import Testing

/// A server that stops says so, and waits for nobody.
@Suite(.timeLimit(.minutes(1))) struct LiveStopTests {
    @Test func everyStreamIsClosedInTime() async throws {
        try await Slots.servers.with {
            let data = try DataFolder.make("live-stop")
            defer { data.remove() }
            let server = try await ServerProcess.start(data, environment: ["DRIVE_STOP_DEADLINE": "15s"])
            defer { server.kill() }
            let client = TestClient(base: server.base, token: try await data.token(account: "a"))
            let live = try await LiveSocket.signedIn(client)
            let stranger = try await LiveSocket.open(server.port)
            // Neither reads nor answers the close frame.
            let silent = try await LiveSocket.signedIn(client, receiveBuffer: 4096)
            let stream = try await LiveStream.open(server.port, token: client.token)
            try await stream.begin()
            let task = try await client.makeCustom("live-stop")

            let start = ContinuousClock.now
            server.send(SIGTERM)
            async let first = live.closed()
            async let second = stranger.closed()
            let last = try await stream.packets { $0.type == "closed" }
            #expect(try await stream.block() == nil)
            let (close, packets) = try await first
            #expect(close.code == 1001, "\(close)")
            #expect(packets.map(\.taskId) == [task.taskId], "what happened before is told: \(packets)")
            let (strangers, nothing) = try await second
            #expect(strangers.code == 1001 && nothing.isEmpty, "\(strangers)")
            #expect(last.map(\.type) == ["task.created", "closed"], "\(last)")
            #expect(last.last?.data["code"] == "SHUTTING_DOWN", "\(last)")
            #expect(ContinuousClock.now - start < .seconds(3), "\(ContinuousClock.now - start)")

            #expect(try await server.waitForEnd() == .exited(0), "\(server.log.suffix(2000))")
            #expect(ContinuousClock.now - start < .seconds(12), "\(ContinuousClock.now - start)")
            try await silent.expectClosed(1001, "its close frame waits for it")  // after task.created
            try await data.expectClean()
        }
    }
}
