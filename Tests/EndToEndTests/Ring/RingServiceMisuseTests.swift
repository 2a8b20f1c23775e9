import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// What Drive's RingService refuses, and that nobody hears of it.
@Suite(.timeLimit(.minutes(2))) struct RingServiceMisuseTests {
    private struct Refusal {
        var what: String
        var code = "INVALID_ARGUMENT"
        var method = "PushWebSocketPacket"
        var request: JSONValue
    }

    private static func refusals(_ user: String) throws -> [Refusal] {
        let (good, stranger) = (try ringPacket("chat.message"), UUID().uuidString.lowercased())
        let (own, message) = (JSONValue.string(user), ringNotification("no"))
        var refusals = [
            Refusal(what: "nobody", request: ["user_id": "", "packet": good]),
            Refusal(what: "a stranger", code: "NOT_FOUND", request: ["user_id": .string(stranger), "packet": good]),
            Refusal(what: "a stranger's subject", code: "NOT_FOUND", request: ["user_id": "nobody@example.org", "packet": good]),
            Refusal(what: "U+0000", request: ["user_id": "a\u{0}b", "packet": good]),
            Refusal(what: "no packet", request: ["user_id": own]),
            Refusal(what: "nobody among them", method: "PushWebSocketPacketToUsers", request: ["user_ids": [own, ""], "packet": good]),
            Refusal(what: "no device", method: "PushWebSocketPacketToDevice", request: ["device_id": "", "packet": good]),
            Refusal(
                what: "an unknown device", code: "NOT_FOUND", method: "PushWebSocketPacketToDevice",
                request: ["device_id": .string(stranger), "packet": good]),
            Refusal(what: "no notification", method: "SendPushNotificationToUser", request: ["user_id": own]),
            Refusal(what: "told to nobody", method: "SendPushNotificationToUser", request: ["user_id": "", "notification": message]),
            Refusal(
                what: "told to a stranger", code: "NOT_FOUND", method: "SendPushNotificationToUser",
                request: ["user_id": .string(stranger), "notification": message]),
            Refusal(
                what: "meta is no object", method: "SendPushNotificationToUser",
                request: ["user_id": own, "notification": ringNotification("no", ["meta": ringBytes("[1]")])]),
            Refusal(
                what: "a title with U+0000", method: "SendPushNotificationToUser",
                request: ["user_id": own, "notification": ringNotification("no\u{0}")]),
            Refusal(
                what: "an address that runs", method: "SendPushNotificationToUser",
                request: ["user_id": own, "notification": ringNotification("no", ["action_uri": "javascript:alert(1)"])]),
            Refusal(
                what: "the status of an unknown device", code: "NOT_FOUND", method: "GetWebsocketConnectionStatus",
                request: ["device_id": .string(stranger)]),
            Refusal(what: "no device to remove", method: "UnsubscribePushNotifications", request: ["device_id": ""]),
            Refusal(what: "whose status", method: "GetWebsocketConnectionStatus", request: [:]),
            Refusal(
                what: "presence of nobody", method: "RingHandlerService/ReceiveWebSocketPacket",
                request: ["packet": try ringPacket("presence", ["foreground": true])]),
        ]
        for meta in [#"{"a\u0000":1}"#, #"{"name":"\u0000"}"#, Self.nested(65), Self.nested(250), Self.nested(500)] {
            refusals.append(
                Refusal(
                    what: "meta \(meta.prefix(20))", method: "SendPushNotificationToUser",
                    request: ["user_id": own, "notification": ringNotification("no", ["meta": ringBytes(meta)])]))
        }
        for data in [
            "{", "[1,2]", "\"text\"", "1", "null", "{} {}", #"{"a":"\u0000"}"#, #"{"a":"\u0000\#u{301}"}"#, #"{"a\u0000":1}"#,
            #"{"name":["\u0000"]}"#, String(repeating: "[", count: 100_000), Self.nested(65), Self.nested(400),
        ] {
            let packet: JSONValue = ["type": "chat.message", "data": ringBytes(data)]
            refusals.append(Refusal(what: "data \(data.prefix(20))", request: ["user_id": own, "packet": packet]))
        }
        // Half a character of UTF-8, within what would be an object.
        let half = Data(#"{"a":""#.utf8) + [0xC3] + Data(#""}"#.utf8)
        refusals.append(
            Refusal(
                what: "bad UTF-8",
                request: ["user_id": own, "packet": ["type": "chat.message", "data": .string(half.base64EncodedString())]]))
        // What a server alone says of itself, and what is no type.
        for type in ["auth", "ready", "snapshot", "pong", "ping", "error", "subscribed", "closed", "", "a b", "a.\u{0}", "x\n"] {
            refusals.append(Refusal(what: "type \(type)", request: ["user_id": own, "packet": try ringPacket(type)]))
        }
        let crowd = JSONValue.array((0..<1000).map { _ in .string(UUID().uuidString.lowercased()) } + [own])
        refusals += [
            Refusal(what: "1,001 users", method: "PushWebSocketPacketToUsers", request: ["user_ids": crowd, "packet": good]),
            Refusal(what: "1,001 devices", method: "PushWebSocketPacketToDevices", request: ["device_ids": crowd, "packet": good]),
            Refusal(what: "1,001 told", method: "SendPushNotificationToUsers", request: ["user_ids": crowd, "notification": message]),
            Refusal(what: "1,001 asked for", method: "GetWebsocketConnectionStatusBatch", request: ["users_id": crowd]),
        ]
        return refusals
    }

    @Test func whatIsNotAllowedReachesNobody() async throws {
        try await RingStage.with("ring-misuse") { stage in
            let client = try await stage.client("anna")
            let listener = try await stage.socket(client)
            let caller = stage.caller
            for refusal in try Self.refusals(listener.user) {
                try await caller.refused(refusal.code, refusal.method, refusal.request, refusal.what)
            }
            // By the names of ring.proto, so that a caller finds them there.
            for (method, field) in [
                ("PushWebSocketPacketToUsers", "user_ids"), ("PushWebSocketPacketToDevices", "device_ids"),
                ("GetWebsocketConnectionStatusBatch", "users_id"),
            ] {
                let answer = try await caller.call(method, method.hasPrefix("Get") ? [:] : ["packet": try ringPacket("chat.message")])
                #expect(answer.code == "INVALID_ARGUMENT" && answer.details.hasPrefix("\(field) "), "\(method): \(answer)")
            }
            // A thousand are no crowd.
            let crowd = JSONValue.array((0..<999).map { _ in .string(UUID().uuidString.lowercased()) } + [.string(listener.user)])
            try await caller.taken("PushWebSocketPacketToUsers", ["user_ids": crowd, "packet": ringPacket("chat.crowd")])

            // Five megabytes, in one text.
            let large = try ringPacket("chat.large", ["text": .string(String(repeating: "x", count: 5 << 20))])
            let refused = try await caller.call("PushWebSocketPacket", ["user_id": .string(listener.user), "packet": large])
            #expect(["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"].contains(refused.code), "\(refused)")
            for method in ["RingService/Nonsense", "OtherService/PushWebSocketPacket"] {
                #expect(try await caller.call(method).code == "UNIMPLEMENTED", "\(method)")
            }
            let noMessage: JSONValue = .string(Data([0xFF, 0xFF, 0xFF]).base64EncodedString())
            let garbage = try await caller.call("PushWebSocketPacket", more: ["raw": noMessage])
            #expect(!["OK", "UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(garbage.code), "\(garbage)")

            let heard = try await stage.heard(listener)
            #expect(heard[0].map(\.type) == ["chat.crowd"] && heard[0].map(\.sequence) == [1], "\(heard)")
            #expect(try await client.pastNotifications().isEmpty)
            #expect(logged("error", "critical", in: stage.server.log).isEmpty, "\(logged("error", "critical", in: stage.server.log))")
        }
    }

    /// The two ports know nothing of each other's tokens.
    @Test func onlyTheServicesTokenGetsIn() async throws {
        try await RingStage.with("ring-tokens") { stage in
            let client = try await stage.client("anna")
            let listener = try await stage.socket(client)
            let request: JSONValue = ["user_id": .string(listener.user), "packet": try ringPacket("chat.message")]
            let account = try #require(client.token)
            let attempts: [RingCaller.SignIn] = [
                .none, .text(""), .text("Bearer"), .text("Bearer "), .text(RingCaller.token), .text("Basic \(RingCaller.token)"),
                .text("Bearer \(RingCaller.token)x"), .text("Bearer \(RingCaller.token.dropLast())"), .text("Bearer \(account)"),
            ]
            for attempt in attempts {
                try await stage.caller.refused("UNAUTHENTICATED", "PushWebSocketPacket", request, as: attempt, "\(attempt)")
                try await stage.caller.refused(
                    "UNAUTHENTICATED", "RingHandlerService/ReceiveWebSocketPacket", [:], as: attempt, "\(attempt)")
            }
            let files = try await client.with(token: RingCaller.token).get("/files/me")
            expectRefusal(files, 401, "UNAUTHENTICATED")
            #expect(try await client.get("/files/me").status == 200)
            // The HTTP port serves no gRPC, and this one no files.
            let there = try await RingCaller(port: client.port).call("PushWebSocketPacket", request)
            #expect(there.code != "OK", "\(there)")
            let here = TestClient(base: "http://127.0.0.1:\(stage.port)", token: client.token)
            let reply = try? await here.get("/files/me")
            #expect(reply?.status != 200, "\(String(describing: reply))")
            try await stage.caller.taken("PushWebSocketPacket", request)
            #expect(try await stage.heard(listener)[0].count == 1)
            // The first of them at once, the others with one of later.
            #expect(try await stage.audited("token.refuse").map { $0["details"] } == [["calls": 1]])
        }
    }

    /// Deeper than a thread's stack would take: once it ended the server, at each start anew.
    private static func nested(_ depth: Int) -> String {
        String(repeating: "{\"a\":", count: depth) + "1" + String(repeating: "}", count: depth)
    }

    /// A port that is taken, and one that anybody could call, end the start before it says that it is ready.
    @Test func aWrongSettingEndsTheStart() async throws {
        let taken = try LoopbackSocket.listen()
        defer { close(taken.descriptor) }
        let free = try LoopbackPort.free(1)[0]
        for (environment, says) in [
            (RingCaller.environment(port: taken.port), ["RING_LISTEN", "\(taken.port)"]),
            (["RING_LISTEN": "127.0.0.1:\(free)"], ["ring.serviceToken"]),
            (["RING_URL": "ftp://127.0.0.1:1"], ["RING_URL"]),
        ] {
            let data = try DataFolder.make("ring-setting")
            defer { data.remove() }
            let result = try await DriveCommand.run(
                ["serve", "--data", data.path, "--host", "127.0.0.1", "--port", "0"], environment: environment, atMost: .seconds(20))
            #expect(result.exit == .exited(78), "configuration: \(result.exit) \(result.errors)")
            for text in says { #expect(result.errors.contains(text), "\(result.errors)") }
            #expect(!result.errors.contains("CancellationError"), "one clear message: \(result.errors)")
            #expect(result.output == "" && !result.errors.contains(RingCaller.token), "\(result.output)\(result.errors)")
        }
    }
}
