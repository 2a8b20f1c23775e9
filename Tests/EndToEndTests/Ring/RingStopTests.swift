import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// The server's stop is its own affair: no name that nobody knows, and nobody who holds a connection, hold it up.
@Suite(.timeLimit(.minutes(2))) struct RingStopTests {
    @Test func aNameThatNobodyKnowsHoldsNothingUp() async throws {
        try await withServer("ring-stop-name", environment: ["RING_URL": "http://ring.invalid:50051"]) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            _ = try await client.makeCustom("ring-stop")
            #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
        }
    }

    @Test func aCallerWhoSaysNothingHoldsNothingUp() async throws {
        try await RingStage.with("ring-stop-caller") { stage in
            // No preface, no token, nothing.
            let silent = try DeadlineSocket(port: stage.port)
            #expect(try await stage.server.terminate() == .exited(0), "\(stage.server.log.suffix(2000))")
            withExtendedLifetime(silent) {}
        }
    }
}
