import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// Two servers on one PostgreSQL: another program may call either, and is called for each event once.
@Suite(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"), .timeLimit(.minutes(3)))
struct RingPostgresTests {
    @Test func twoServersAreOneToOtherPrograms() async throws {
        let service = try await RingServiceStandIn.start()
        let ports = try LoopbackPort.free(2)
        let settings = service.environment.merging(["DRIVE_MASTER_KEY": Data(repeating: 7, count: 32).base64EncodedString()]) { $1 }
        try await PostgresTaskScene.with("ring-two-servers") { scene in
            let first = try await ServerProcess.start(
                scene.data, environment: settings.merging(RingCaller.environment(port: ports[0])) { $1 })
            defer { first.kill() }
            // A folder each: one process alone may own a pool's folder, which is told by its mark. No bytes are stored here.
            let data = try DataFolder.make("ring-second", environment: scene.data.environment)
            defer { data.remove() }
            try FileManager.default.createDirectory(
                atPath: data.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try FileManager.default.copyItem(atPath: scene.data.path + "/pools", toPath: data.path + "/pools")
            let second = try await ServerProcess.start(
                data, environment: settings.merging(RingCaller.environment(port: ports[1])) { $1 })
            defer { second.kill() }
            let client = TestClient(base: first.base, token: try await scene.data.token(account: "a"))
            let far = TestClient(base: second.base, token: try await data.token(account: "a"))
            let user = try client.ringUser
            #expect(try far.ringUser == user)

            try await expectEachOnce(service, client, far)

            // Called at one, shown at the other.
            let callers = [try RingCaller(port: ports[0]), try RingCaller(port: ports[1])]
            func isConnected(_ caller: RingCaller) async throws -> Bool {
                try await caller.taken("GetWebsocketConnectionStatus", ["user_id": .string(user)])["is_connected"] == true
            }
            let device = try await client.registerDevice()
            let listener = try await RingListener.open(far, device: device)
            for caller in callers {
                try await eventually(within: .seconds(20), "the connection to be known") { try await isConnected(caller) }
                try await caller.taken("PushWebSocketPacket", ["user_id": .string(user), "packet": ringPacket("chat.user")])
                try await caller.taken("PushWebSocketPacketToDevice", ["device_id": .string(device), "packet": ringPacket("chat.device")])
                #expect(try await [listener.next().type, listener.next().type] == ["chat.user", "chat.device"])
            }
            // With its server it is gone, within a minute of a bad end.
            second.kill()
            _ = try await second.waitForEnd()
            try await eventually(within: .seconds(90), "the connection to be gone", every: .seconds(1)) {
                try await !isConnected(callers[0])
            }
            // None of it was for the other program.
            #expect(try !service.calls().contains { $0.type?.hasPrefix("chat.") == true })
            #expect(try await first.terminate() == .exited(0), "\(first.log.suffix(2000))")
        }
    }

    /// By turns on either server.
    private func expectEachOnce(_ service: RingServiceStandIn, _ client: TestClient, _ far: TestClient) async throws {
        let preferences = try await client.send(.PUT, "/notifications/preferences", json: ["task.cancelled": "push"])
        #expect(preferences.status == 200, "\(preferences)")
        var tasks: [String] = []
        for round in 0..<10 {
            let maker = round.isMultiple(of: 2) ? client : far
            let task = try await maker.makeCustom("ring-two")
            try await maker.changed(task.taskId, "cancel")
            tasks.append(task.taskId)
        }
        try await service.calls(through: "task.cancelled", of: tasks)
        let calls = try await service.calls("the notifications") { $0.filter(\.isNotification).count >= tasks.count }
        let told = calls.filter(\.isPacket).map { [$0.type ?? "", $0.taskId ?? ""] }
        #expect(told == tasks.flatMap { [["task.created", $0], ["task.cancelled", $0]] }, "\(told)")
        #expect(calls.filter(\.isNotification).compactMap(\.taskId).sorted() == tasks.sorted(), "\(calls)")
    }
}
