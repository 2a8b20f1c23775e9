import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Notifications to devices, by stand-ins of the push services that check every header, token and ciphertext.
@Suite(.timeLimit(.minutes(3))) struct PushTests {
    @Test func anUploadIsToldToEveryDevice() async throws {
        try await PushScene.with("push-all") { scene in
            for number in 0..<2 { try await scene.registerBrowser(number) }
            try await scene.register(["platform": "apns", "token": .string(PushScene.apnsToken), "name": "phone"])
            try await scene.register(["platform": "fcm", "token": "fcm-token"])
            // Again: the same device.
            let tablet = try await scene.register(["platform": "fcm", "token": "fcm-token", "name": "tablet"], as: 200)
            let file = try await scene.client.store([1, 2, 3], name: "told.txt")
            let pushes = try await scene.services.pushes(4)
            #expect(Set(pushes.map(\.service)) == ["webpush", "apns", "fcm"] && pushes.count == 4, "\(pushes)")
            for push in pushes where push.service == "webpush" {
                #expect(push.payload?["title"] == "Upload complete" && push.payload?["body"] == "told.txt", "\(push)")
                #expect(push.payload?["topic"] == "upload.completed" && push.payload?["meta"]?["fileId"]?.string == file.id, "\(push)")
            }
            try await eventually(within: .seconds(10), "the successes") {
                try await scene.devices().allSatisfy { $0["lastSuccessAt"] != nil && $0["lastFailure"] == nil }
            }
            let devices = try await scene.client.get("/notifications/subscription")
            let text = String(decoding: devices.body, as: UTF8.self)
            #expect(!text.contains("fcm-token") && !text.contains(PushScene.apnsToken) && text.contains("tablet"), "\(text)")
            try await expectMarks(scene)
            #expect(!scene.server.log.contains(PushScene.apnsToken), "a token in the log")

            // One that is taken back is told nothing more.
            #expect(try await scene.client.delete("/notifications/subscription?id=\(tablet)").status == 204)
            _ = try await scene.client.store([4], name: "later.txt")
            let later = try await scene.services.pushes(7).dropFirst(4)
            #expect(later.map(\.service).sorted() == ["apns", "webpush", "webpush"], "\(later)")
        }
    }

    private func expectMarks(_ scene: PushScene) async throws {
        let client = scene.client
        let item = try #require(try await scene.list().first)
        #expect(item["title"] == "Upload complete" && item["readAt"] == nil, "\(item)")
        #expect(try await client.get("/notifications?unread=true").header("X-Total") == "1")
        let id = try #require(item["id"])
        #expect(try await client.send(.POST, "/notifications/read", json: ["ids": [id]]).json == ["changed": 1])
        #expect(try await client.get("/notifications?unread=true").header("X-Total") == "0")
        #expect(try await client.send(.POST, "/notifications/read", json: ["ids": [id], "read": false]).json == ["changed": 1])
        for body: JSONValue in [[:], ["ids": [], "upTo": 1], ["id": id]] {
            expectRefusal(try await client.send(.POST, "/notifications/read", json: body), 400, "INVALID_REQUEST", comment: "\(body)")
        }
    }

    /// While somebody looks, an upload is not told at all, and the rest is listed.
    @Test func whoWatchesIsNotRung() async throws {
        try await PushScene.with("push-watching") { scene in
            let client = scene.client
            try await scene.registerBrowser(0)
            let preferences = try await client.send(.PUT, "/notifications/preferences", json: ["task.cancelled": "push"])
            #expect(preferences.json["task.cancelled"] == "push" && preferences.json["task.failed"] == "push", "\(preferences)")
            let live = try await LiveSocket.signedIn(client)
            try await live.send(["type": "presence", "data": ["foreground": true]])
            // Its word takes a moment. A cancelled task behind the upload says that the upload was looked at.
            var watched = ""
            try await eventually(within: .seconds(20), "presence to hold") {
                watched = "watched-\(UUID().uuidString)"
                _ = try await client.store(Array(watched.utf8), name: watched)
                let task = try await client.makeCustom("push-watching")
                try await client.changed(task.taskId, "cancel")
                try await eventually(within: .seconds(20), "the cancelled task in the list") {
                    try await scene.list().contains { $0["taskId"]?.string == task.taskId }
                }
                return try await !scene.list().contains { $0["body"]?.string == watched }
            }
            await live.send(LiveFrame(opcode: LiveFrame.close, payload: [3, 232]))
            _ = try await live.closed()
            // Until that is told too.
            var number = 0
            try await eventually(within: .seconds(20), "pushes to come again", every: .milliseconds(300)) {
                number += 1
                _ = try await client.store(Array("\(number)".utf8), name: "back-\(number)")
                return try scene.texts().contains { $0.hasPrefix("back-") }
            }
            #expect(try !scene.texts().contains(watched))
        }
    }

    /// After `kill -9` at any moment each event has one notification, and is pushed at least once.
    @Test func aKilledServerTellsEachEventOnce() async throws {
        let services = try await PushStandIn.start()
        let data = try DataFolder.make("push-killed")
        defer { data.remove() }
        var names: Set<String> = []
        for round in 0..<4 {
            let server = try await ServerProcess.start(data, environment: services.environment)
            defer { server.kill() }
            let client = TestClient(base: server.base, token: try await data.token(account: "a"))
            if round == 0 {
                let reply = try await client.send(
                    .PUT, "/notifications/subscription", json: ["platform": "webPush", "subscription": services.subscriptions[0]])
                try #require(reply.status == 201, "\(reply)")
            }
            for number in 0..<5 {
                let name = "killed-\(round)-\(number)"
                _ = try await client.store(Array(name.utf8), name: name)
                names.insert(name)
            }
            guard round == 3 else {
                // With the events in the outbox, with the first of them in the list, with the first of them pushed.
                switch round {
                case 1:
                    try await eventually(within: .seconds(30), "the first in the list", every: .milliseconds(5)) {
                        guard case .array(let items) = try await client.get("/notifications").json else { return false }
                        return items.contains { $0["body"]?.string?.hasPrefix("killed-1-") == true }
                    }
                case 2:
                    try await eventually(within: .seconds(30), "the first push", every: .milliseconds(5)) {
                        try services.pushes().contains { $0.payload?["body"]?.string?.hasPrefix("killed-2-") == true }
                    }
                default: break
                }
                server.kill()
                _ = try await server.waitForEnd()
                continue
            }
            let wanted = names
            try await eventually(within: .seconds(60), "every push") {
                wanted.isSubset(of: Set(try services.pushes().compactMap { $0.payload?["body"]?.string }))
            }
            guard case .array(let items) = try await client.get("/notifications?limit=500").json else {
                Issue.record("no list")
                return
            }
            #expect(items.compactMap { $0["body"]?.string }.sorted() == names.sorted(), "each once")
            // Several attempts of one push have its id.
            let ids = Dictionary(grouping: try services.pushes()) { $0.payload?["body"]?.string ?? "" }
                .mapValues { Set($0.compactMap { $0.payload?["id"]?.string }).count }
            #expect(ids.values.allSatisfy { $0 == 1 }, "\(ids)")
            #expect(try await server.terminate() == .exited(0))
        }
        try await data.expectClean()
    }
}
