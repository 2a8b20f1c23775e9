import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// Packets that another program pushes over Drive's RingService, and its questions who is connected.
@Suite(.timeLimit(.minutes(2))) struct RingServiceTests {
    /// As it was pushed: its number aside.
    private func pushed(_ text: String, error: String? = nil, type: String = "chat.message") -> RingListener.Packet {
        RingListener.Packet(type: type, data: ["text": .string(text)], errorMessage: error, sequence: nil)
    }

    private func told(_ packets: [RingListener.Packet]) -> [RingListener.Packet] {
        packets.map { RingListener.Packet(type: $0.type, data: $0.data, errorMessage: $0.errorMessage) }
    }

    @Test func aPacketReachesItsAccountsAndNobodyElse() async throws {
        try await RingStage.with("ring-users") { stage in
            let (anna, ben) = (try await stage.client("anna"), try await stage.client("ben"))
            let listeners = [
                try await stage.socket(anna), try await stage.socket(anna), try await stage.socket(ben),
                try await stage.socket(try await stage.client("carl")),
            ]
            let stream = try await LiveStream.open(anna.port, token: anna.token)
            try await stream.begin()
            let (first, second) = (listeners[0].user, listeners[2].user)

            let data: JSONValue = [
                "text": "für dich 🎈", "number": 12_345_678_901, "share": .double(0.25), "list": [1, "two", .null, ["three": true]],
            ]
            try await stage.caller.taken("PushWebSocketPacket", ["user_id": .string(first), "packet": ringPacket("chat.message", data)])
            try await stage.caller.taken(
                "PushWebSocketPacket",
                ["user_id": .string(first), "packet": ringPacket("chat.failed", ["text": "no"], error: "It \"failed\":\nfor a reason.")])
            // Each once, also who is named twice; who does not exist is passed over.
            let both = ringIds(first, second, first, UUID().uuidString.lowercased(), "nobody@example.org")
            try await stage.caller.taken("PushWebSocketPacketToUsers", ["user_ids": both, "packet": ringPacket("chat.message")])

            let heard = try await stage.heard(listeners[0], listeners[1], listeners[2], listeners[3])
            let own = [
                RingListener.Packet(type: "chat.message", data: data),
                pushed("no", error: "It \"failed\":\nfor a reason.", type: "chat.failed"), pushed("hello"),
            ]
            #expect(heard.map(told) == [own, own, [pushed("hello")], []])
            #expect(heard[0].map(\.sequence) == [1, 2, 3] && heard[2].map(\.sequence) == [1], "numbered as all events are: \(heard)")
            for packet in own {
                let event = try await stream.packet()
                // An error's text has no other place there.
                var data = packet.data.object ?? [:]
                data["error_message"] = packet.errorMessage.map { .string($0) }
                #expect(event.type == packet.type && event.data == .object(data), "\(event)")
            }
            // It is no news: neither a task's end that somebody says, nor anything else.
            let end = try ringPacket("task.completed", ["taskId": "t1", "name": "theirs", "type": "Custom"])
            try await stage.caller.taken("PushWebSocketPacket", ["user_id": .string(first), "packet": end])
            let task = try await anna.makeCustom("ring-users")
            let lease = try await anna.leased("ring-users")
            #expect(try await anna.work("complete", lease.leaseId).status == 200)
            try await eventually(within: .seconds(20), "the notification") { try await !anna.pastNotifications().isEmpty }
            #expect(try await anna.pastNotifications().map { $0["taskId"]?.string } == [task.taskId])
        }
    }

    /// Nothing is lost for who is not there at the moment.
    @Test func aPacketWaitsForWhoComesBack() async throws {
        try await RingStage.with("ring-back") { stage in
            let client = try await stage.client("anna")
            let device = try await client.registerDevice()
            let first = try await stage.socket(client, device: device)
            let user = first.user
            try await stage.caller.taken("PushWebSocketPacket", ["user_id": .string(user), "packet": ringPacket("chat.first")])
            #expect(try await first.next().sequence == 1)
            try await first.close()
            try await stage.caller.taken(
                "PushWebSocketPacket", ["user_id": .string(user), "packet": ringPacket("chat.away", error: "meanwhile")])
            try await stage.caller.taken(
                "PushWebSocketPacketToDevice", ["device_id": .string(device), "packet": ringPacket("chat.device", error: "here")])

            let back = try await stage.socket(client, device: device, since: 1)
            let other = try await stage.socket(client, since: 1)
            let heard = try await stage.heard(back, other)
            let away = pushed("hello", error: "meanwhile", type: "chat.away")
            #expect(heard.map(told) == [[away, pushed("hello", error: "here", type: "chat.device")], [away]])
        }
    }

    @Test func aPacketForADeviceReachesThatOneAlone() async throws {
        try await RingStage.with("ring-devices") { stage in
            let (anna, ben) = (try await stage.client("anna"), try await stage.client("ben"))
            let phone = try await anna.registerDevice()
            let tablet = try await anna.registerDevice()
            let desk = try await ben.registerDevice()
            let onPhone = try await stage.socket(anna, device: phone)
            let again = try await stage.socket(anna, device: phone)
            let onTablet = try await stage.socket(anna, device: tablet)
            let nowhere = try await stage.socket(anna)
            let onDesk = try await stage.socket(ben, device: desk)
            // Somebody else's: saying its id makes it nobody's.
            let thief = try? await stage.socket(ben, device: phone)

            let stream = try await LiveStream.open(anna.port, "/api/events?deviceId=\(phone)", token: anna.token)
            try await stream.begin()

            try await stage.caller.taken("PushWebSocketPacketToDevice", ["device_id": .string(phone), "packet": ringPacket("chat.phone")])
            let unknown = UUID().uuidString.lowercased()
            try await stage.caller.taken(
                "PushWebSocketPacketToDevices",
                ["device_ids": ringIds(tablet, desk, unknown, tablet), "packet": ringPacket("chat.two", error: "e")])

            let heard = try await stage.heard(onPhone, again, onTablet, nowhere, onDesk)
            let (one, two) = (pushed("hello", type: "chat.phone"), pushed("hello", error: "e", type: "chat.two"))
            #expect(heard.map(told) == [[one], [one], [two], [], [two]])
            if let thief {
                let stolen = try await stage.heard(thief)
                #expect(told(stolen[0]).filter { $0.type == "chat.phone" }.isEmpty, "\(stolen)")
            }
            #expect(try await stream.packet("chat.phone").data == ["text": "hello"])
            let nameless = try await LiveStream.open(anna.port, "/api/events?since=0", token: anna.token)
            try await nameless.begin(as: "resumed")
            let last = try await anna.makeCustom("ring-devices")
            for (source, name) in [(stream, "the phone"), (nameless, "no device")] {
                let events = try await source.packets(through: "task.created", of: last.taskId)
                #expect(!events.contains { ["chat.phone", "chat.two"].contains($0.type) }, "\(name): \(events)")
            }
        }
    }

    @Test func whoIsConnectedIsKnown() async throws {
        try await RingStage.with("ring-status") { stage in
            let (anna, ben) = (try await stage.client("anna"), try await stage.client("ben"))
            let (first, second) = (try anna.ringUser, try ben.ringUser)
            let device = try await anna.registerDevice()
            let spare = try await anna.registerDevice()
            func status(_ member: String, _ id: String) async throws -> Bool {
                try await stage.caller.taken("GetWebsocketConnectionStatus", [member: .string(id)])["is_connected"] == true
            }
            func expect(_ what: String, _ wanted: [String: Bool], device isThere: Bool) async throws {
                try await eventually(within: .seconds(20), what) {
                    let batch = try await stage.caller.taken("GetWebsocketConnectionStatusBatch", ["users_id": ringIds(first, second)])
                    guard batch["is_connected"] == .object(wanted.mapValues { .bool($0) }) else { return false }
                    return try await status("device_id", device) == isThere
                }
                for (user, isConnected) in wanted { #expect(try await status("user_id", user) == isConnected, "\(what)") }
                #expect(try await !status("device_id", spare), "\(what)")
            }

            try await expect("nobody to be there", [first: false, second: false], device: false)
            let one = try await stage.socket(anna)
            try await expect("a socket of no device", [first: true, second: false], device: false)
            let two = try await stage.socket(anna, device: device)
            try await expect("the device to be there", [first: true, second: false], device: true)
            let three = try await stage.socket(ben)
            try await expect("both to be there", [first: true, second: true], device: true)
            try await two.close()
            try await three.close()
            try await expect("one to be left", [first: true, second: false], device: false)
            try await one.close()
            try await expect("nobody to be left", [first: false, second: false], device: false)

            #expect(try await !status("user_id", "nobody@example.org"))
            // Who does not exist is not there, and harms nobody who is.
            let strangers = ringIds(first, UUID().uuidString.lowercased(), "nobody@example.org")
            let batch = try await stage.caller.taken("GetWebsocketConnectionStatusBatch", ["users_id": strangers])
            let members = batch["is_connected"]?.object ?? [:]
            #expect(members[first] == false && members.values.allSatisfy { $0 == false }, "\(batch)")
        }
    }

    /// By the certificate of the HTTP server; who does not speak TLS gets nowhere.
    @Test func overTLS() async throws {
        let port = try LoopbackPort.free(1)[0]
        try await withTLSServer("ring-tls", environment: RingCaller.environment(port: port)) { server, certificate in
            _ = try await server.data.token(account: "anna")
            let caller = try await RingCaller.connected(port: port, trusting: certificate.certificatePath)
            let users: JSONValue = ["users_id": ringIds("nobody")]
            try await caller.refused("UNAUTHENTICATED", "GetWebsocketConnectionStatusBatch", users, as: .none)
            try await RingCaller(port: port).refused("UNAVAILABLE", "GetWebsocketConnectionStatusBatch", users, "without TLS")
            let folder = (server.data.path as NSString).deletingLastPathComponent
            let other = try await TLSCertificate.make("other", in: folder)
            try await RingCaller(port: port, trusting: other.certificatePath)
                .refused("UNAVAILABLE", "GetWebsocketConnectionStatusBatch", users, "by another certificate")
            #expect(!server.log.contains(RingCaller.token), "a token in the log")
        }
    }
}
