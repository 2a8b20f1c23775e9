import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Notifications, presence and mail that another program asks for over Drive's RingService.
@Suite(.timeLimit(.minutes(2))) struct RingServiceNotificationTests {
    @Test func aNotificationIsShownListedAndPushed() async throws {
        let services = try await PushStandIn.start()
        try await RingStage.with("ring-notify", environment: services.environment) { stage in
            let (anna, ben) = (try await stage.client("anna"), try await stage.client("ben"))
            let device = try await anna.registerDevice(["platform": "webPush", "subscription": services.subscriptions[0]])
            _ = try await ben.registerDevice(["platform": "webPush", "subscription": services.subscriptions[1]])
            let (listener, other) = (try await stage.socket(anna), try await stage.socket(ben))

            let meta = #"{"room":7,"deep":{"a":[true,null]}}"#
            let whole = ringNotification(
                "Tea?", ["subtitle": "from Ben", "body": "In the kitchen.", "meta": ringBytes(meta), "action_uri": "https://example.org/7"])
            try await stage.caller.taken("SendPushNotificationToUser", ["user_id": .string(listener.user), "notification": whole])
            let packet = try await listener.next()
            #expect(packet.type == "notification.received" && packet.sequence == 1, "\(packet)")
            let members: JSONValue = ["room": 7, "deep": ["a": [true, .null]]]
            let expected: [String: JSONValue] = [
                "topic": "chat.message", "title": "Tea?", "subtitle": "from Ben", "body": "In the kitchen.", "meta": members,
                "actionUri": "https://example.org/7", "isSilent": false, "isSavable": true,
            ]
            for (name, value) in expected { #expect(packet.data[name] == value, "\(name): \(packet)") }

            let push = try #require(try await services.pushes(1).first)
            #expect(push.path == Self.path(of: services.subscriptions[0]), "\(push)")
            for name in ["topic", "title", "subtitle", "body", "actionUri"] {
                #expect(push.payload?[name] == expected[name], "\(name): \(push)")
            }
            #expect(push.payload?["meta"]?["room"] == 7, "\(push)")
            try await eventually(within: .seconds(10), "the list") { try await !anna.pastNotifications().isEmpty }
            let item = try #require(try await anna.pastNotifications().first)
            for name in ["title", "subtitle", "body", "actionUri"] { #expect(item[name] == expected[name], "\(name): \(item)") }
            #expect(item["readAt"] == nil && item["sequence"] == 1 && item["meta"]?["room"] == 7, "\(item)")
            #expect(try await ben.pastNotifications().isEmpty)
            #expect(try await stage.heard(other) == [[]])

            try await expectToSeveral(stage, services, [listener.user, other.user], of: [anna, ben])
            try await expectUnsubscribed(stage, services, device, of: [anna, ben])
        }
    }

    /// Each of them gets it, and a stranger's id harms nobody.
    private func expectToSeveral(
        _ stage: RingStage, _ services: PushStandIn, _ users: [String], of clients: [TestClient]
    ) async throws {
        let ids = JSONValue.array((users + [users[0], UUID().uuidString.lowercased()]).map { .string($0) })
        // Neither in the list nor shown: the one is not kept, the other wakes a program.
        let passing: JSONValue = ["topic": "chat.typing", "title": "typing", "is_silent": true]
        for notification in [ringNotification("To both"), passing] {
            try await stage.caller.taken("SendPushNotificationToUsers", ["user_ids": ids, "notification": notification])
        }
        let pushes = try await services.pushes(5)
        #expect(pushes.count == 5, "one for each: \(pushes)")
        for subscription in services.subscriptions.prefix(2) {
            let own = pushes.filter { $0.path == Self.path(of: subscription) }
            let silent = own.filter { $0.payload?["isSilent"] == true }.map { $0.payload?["topic"] }
            #expect(silent == ["chat.typing"] && own.filter { $0.payload?["title"] == "To both" }.count == 1, "\(own)")
        }
        for (client, wanted) in zip(clients, [["To both", "Tea?"], ["To both"]]) {
            #expect(try await client.pastNotifications().map { $0["title"]?.string } == wanted)
        }
    }

    private func expectUnsubscribed(
        _ stage: RingStage, _ services: PushStandIn, _ device: String, of clients: [TestClient]
    ) async throws {
        // What is so already is so.
        for _ in 0..<2 { try await stage.caller.taken("UnsubscribePushNotifications", ["device_id": .string(device)]) }
        let users = JSONValue.array(try clients.map { .string(try $0.ringUser) })
        #expect(try await clients[0].get("/notifications/subscription").json == [])
        let entries = try await stage.audited("device.remove")
        #expect(entries.count == 1 && entries.first?["objectId"] == .string(device), "once, as it went once: \(entries)")
        try await stage.caller.taken("SendPushNotificationToUsers", ["user_ids": users, "notification": ringNotification("Last")])
        let pushes = try await services.pushes(6)
        #expect(pushes.count == 6 && pushes.last?.path == Self.path(of: services.subscriptions[1]), "\(pushes)")
        try await eventually(within: .seconds(10), "the list") {
            try await clients[0].pastNotifications().first?["title"] == "Last"
        }
    }

    private static func path(of subscription: JSONValue) -> String? {
        subscription["endpoint"]?.string.flatMap { URLComponents(string: $0)?.path }
    }

    /// A gateway's client says over the handler that somebody looks at its screen.
    @Test func whoWatchesAtAGatewayIsNotRung() async throws {
        let services = try await PushStandIn.start()
        try await RingStage.with("ring-presence", environment: services.environment) { stage in
            let client = try await stage.client("anna")
            let user = try client.ringUser
            _ = try await client.registerDevice(["platform": "webPush", "subscription": services.subscriptions[0]])
            func say(foreground: Bool) async throws {
                let packet = try ringPacket("presence", ["foreground": .bool(foreground)])
                try await stage.caller.taken(
                    "RingHandlerService/ReceiveWebSocketPacket",
                    ["packet": packet, "account": .string(user), "device_id": "a device of the gateway"])
            }
            func notify(_ title: String) async throws {
                try await stage.caller.taken(
                    "SendPushNotificationToUser", ["user_id": .string(user), "notification": ringNotification(title)])
                try await eventually(within: .seconds(20), "\(title) in the list") {
                    try await client.pastNotifications().contains { $0["title"]?.string == title }
                }
            }

            try await say(foreground: true)
            // Its word may take a moment: an upload that is in the list no more tells that it holds.
            try await eventually(within: .seconds(20), "presence to hold") {
                let name = "watched-\(UUID().uuidString)"
                _ = try await client.store(Array(name.utf8), name: name)
                try await notify("after \(name)")
                return try await !client.pastNotifications().contains { $0["body"]?.string == name }
            }
            for number in 0..<5 { try await notify("quiet \(number)") }
            try await say(foreground: false)
            var number = 0
            try await eventually(within: .seconds(20), "pushes to come again", every: .milliseconds(300)) {
                number += 1
                try await notify("loud \(number)")
                return try Self.titles(services).contains { $0.hasPrefix("loud ") }
            }
            #expect(try !Self.titles(services).contains { $0.hasPrefix("quiet ") })
        }
    }

    private static func titles(_ services: PushStandIn) throws -> Set<String> {
        Set(try services.pushes().compactMap { $0.payload?["title"]?.string })
    }
}
