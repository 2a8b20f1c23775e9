import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// Two servers on one PostgreSQL and one master key: each event is told once, and who watches at one is not rung by the other.
@Suite(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"), .timeLimit(.minutes(2)))
struct PushPostgresTests {
    @Test func twoServersTellEachEventOnce() async throws {
        let services = try await PushStandIn.start()
        let settings = services.environment.merging(["DRIVE_MASTER_KEY": Data(repeating: 7, count: 32).base64EncodedString()]) { $1 }
        try await PostgresTaskScene.with("push-two-servers") { scene in
            let first = try await ServerProcess.start(scene.data, environment: settings)
            defer { first.kill() }
            // A folder each: one process alone may own a pool's folder, which is told by its mark. No bytes are stored here.
            let data = try DataFolder.make("push-second", environment: scene.data.environment)
            defer { data.remove() }
            try FileManager.default.createDirectory(
                atPath: data.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try FileManager.default.copyItem(atPath: scene.data.path + "/pools", toPath: data.path + "/pools")
            let second = try await ServerProcess.start(data, environment: settings)
            defer { second.kill() }
            let client = TestClient(base: first.base, token: try await scene.data.token(account: "a"))
            let far = TestClient(base: second.base, token: try await data.token(account: "a"))

            let registered = try await client.send(
                .PUT, "/notifications/subscription", json: ["platform": "webPush", "subscription": services.subscriptions[0]])
            try #require(registered.status == 201, "\(registered)")
            _ = try await far.send(.PUT, "/notifications/preferences", json: ["task.cancelled": "push"])

            // By turns on either server.
            var told: [String] = []
            for round in 0..<10 { told.append(try await cancelled(by: round.isMultiple(of: 2) ? client : far)) }
            let pushes = try await services.pushes(10)
            #expect(pushes.compactMap { $0.payload?["meta"]?["taskId"]?.string }.sorted() == told.sorted(), "\(pushes)")

            // Somebody looks at the second server; the first is where things happen.
            let live = try await LiveSocket.signedIn(far)
            try await live.send(["type": "presence", "data": ["foreground": true]])
            try await eventually(within: .seconds(10), "presence") {
                try await scene.query("SELECT server_id FROM ring_presence").count == 1
            }
            let watched = try await cancelled(by: client)
            try await eventually(within: .seconds(10), "the list") {
                String(decoding: try await client.get("/notifications").body, as: UTF8.self).contains(watched)
            }
            // It stops, and nobody is there any more.
            #expect(try await second.terminate() == .exited(0), "\(second.log.suffix(2000))")
            #expect(try await scene.query("SELECT server_id FROM ring_presence").isEmpty)
            let after = try await cancelled(by: client)
            let all = try await services.pushes(11)
            #expect(all.last?.payload?["meta"]?["taskId"]?.string == after && all.count == 11, "\(all)")
            #expect(try await first.terminate() == .exited(0), "\(first.log.suffix(2000))")
        }
    }

    private func cancelled(by client: TestClient) async throws -> String {
        let task = try await client.makeCustom("push-two")
        try await client.changed(task.taskId, "cancel")
        return task.taskId
    }
}
