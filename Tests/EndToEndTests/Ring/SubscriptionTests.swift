import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What a server with its default settings takes for a device, and what it refuses (scenario 44: addresses into the server's network).
@Suite(.timeLimit(.minutes(1))) struct SubscriptionTests {
    private func refusal(_ client: TestClient, _ body: JSONValue, _ status: Int, rule: String) async throws {
        let reply = try await client.send(.PUT, "/notifications/subscription", json: body)
        expectRefusal(reply, status, comment: "\(body)")
        #expect(reply.error?.details["rule"]?.string == rule, "\(body): \(reply)")
    }

    @Test func endpointsThatLeadIntoTheNetworkAreRefused() async throws {
        let client = try await SharedServer.client("ring-endpoints")
        for endpoint in [
            "https://127.0.0.1/p", "https://localhost/p", "https://10.0.0.1/p", "https://169.254.169.254/latest", "https://[::1]/p",
            "https://2130706433/p", "https://0x7f.1/p", "https://intranet/p", "https://db.internal/p", "http://push.example.org/p",
            "https://user@push.example.org/p", "https://push.example.org/p#x", "ftp://push.example.org/p", "",
        ] {
            try await refusal(client, RouteMatrix.subscription(endpoint), 400, rule: "endpoint")
        }
        #expect(try await client.get("/notifications/subscription").json == [])
    }

    @Test func whatIsNoDeviceIsRefused() async throws {
        let client = try await SharedServer.client("ring-bad")
        let good = RouteMatrix.subscription("https://push.example.org/good")
        guard case .object(let members) = good, let subscription = members["subscription"] else { return }
        func keys(_ p256dh: String, _ auth: String) -> JSONValue {
            [
                "platform": "webPush",
                "subscription": ["endpoint": "https://push.example.org/x", "keys": ["p256dh": .string(p256dh), "auth": .string(auth)]],
            ]
        }
        let point = subscription["keys"]?["p256dh"]?.string ?? ""
        try await refusal(client, keys("AAAA", "AAAAAAAAAAAAAAAAAAAAAA"), 400, rule: "p256dh")
        try await refusal(client, keys(point, "AAAA"), 400, rule: "auth")
        try await refusal(client, ["platform": "webPush"], 400, rule: "subscription")
        try await refusal(client, ["platform": "webPush", "token": "t"], 400, rule: "subscription")
        // No provider of it is set up.
        try await refusal(client, ["platform": "apns", "token": .string(String(repeating: "ab", count: 32))], 501, rule: "platform")
        try await refusal(client, ["platform": "fcm", "token": "t"], 501, rule: "platform")
        try await refusal(client, .object(members.merging(["extra": 1]) { $1 }), 400, rule: "extra")
        try await refusal(client, .object(members.merging(["name": ""]) { $1 }), 400, rule: "name")
        #expect(try await client.get("/notifications/subscription").json == [])
        expectRefusal(try await client.delete("/notifications/subscription"), 400, "INVALID_REQUEST")
        expectRefusal(try await client.send(.PUT, "/notifications/preferences", json: ["no.kind": "push"]), 400, "INVALID_REQUEST")
        expectRefusal(try await client.send(.PUT, "/notifications/preferences", json: ["task.failed": "loud"]), 400, "INVALID_REQUEST")
    }

    /// The same for all accounts and at every start: subscriptions are bound to it.
    @Test func theGeneratedKeyStays() async throws {
        let data = try DataFolder.make("vapid")
        defer { data.remove() }
        func key() async throws -> String {
            try await withServer("vapid", data: data) { server in
                let client = TestClient(base: server.base, token: try await data.token(account: "a"))
                return try #require(try await client.get("/notifications/vapid-key").json["publicKey"]?.string)
            }
        }
        let first = try await key()
        #expect(first.utf8.count == 87)
        #expect(try await key() == first)
    }
}
