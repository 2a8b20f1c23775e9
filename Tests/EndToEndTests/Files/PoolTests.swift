import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Pools and their policies.
@Suite struct PoolTests {
    @Test func policiesTakeEffectByEveryDoor() async throws {
        let admin = try await SharedServer.client("pool-admin", admin: true)
        let client = try await SharedServer.client("pool-user")
        let created = try await admin.send(
            .POST, "/pools",
            json: [
                "name": "pictures", "acceptTypes": ["image/*"], "maxFileSize": 1000, "costMultiplier": .double(2.5),
                "defaultExpirySeconds": 86_400,
            ])
        #expect([200, 201].contains(created.status), "\(created)")
        let pool: Pool = try created.decode()
        #expect(pool.policy.acceptTypes == ["image/*"])
        #expect(pool.policy.costMultiplier == 2.5)
        #expect(!pool.policy.allowAnonymous)
        let id = pool.id.uuidString.lowercased()
        #expect(try await client.get("/pools/\(id)").decode(Pool.self) == pool)
        #expect(try await client.get("/pools").decode([Pool].self).contains { $0.id == pool.id })

        let inPool: [String: JSONValue] = ["poolId": .string(id), "contentType": "image/png"]
        expectRefusal(try await client.create(size: 10, more: ["poolId": .string(id), "contentType": "text/plain"]), 403, "POOL_POLICY")
        expectRefusal(try await client.create(size: 10, more: ["poolId": .string(id)]), 403, "POOL_POLICY")
        expectRefusal(try await client.create(size: 1001, more: inPool), 413, "FILE_TOO_LARGE")
        expectRefusal(try await client.direct(bytes(10), query: "&poolId=\(id)", contentType: "text/plain"), 403, "POOL_POLICY")
        expectRefusal(try await client.direct(bytes(1001), query: "&poolId=\(id)", contentType: "image/png"), 413, "FILE_TOO_LARGE")

        let file = try await client.upload(bytes(101), more: inPool)
        #expect(file.poolId == pool.id)
        let expiry = try #require(file.expiredAt)
        #expect(abs(expiry.seconds - file.createdAt.seconds - 86_400) <= 5)
        let quota = try await client.quota()
        #expect(quota.usedBytes == 253, "101 bytes count two and a half times, rounded up")
        #expect(quota.reservedBytes == 0)
        let usage: UsageReply = try await client.get("/billing/usage").decode()
        #expect(usage.totalBytes == 101)
        #expect(usage.chargedBytes == 253)
        #expect(usage.pools.map(\.poolName) == ["pictures"])

        let edited: Pool = try await admin.send(
            .PATCH, "/pools/\(id)", json: ["acceptTypes": [], "requireRole": "admin", "maxFileSize": .null]
        ).decode()
        #expect(edited.policy.requireRole == "admin")
        #expect(edited.policy.maxFileSize == nil)
        #expect(edited.policy.costMultiplier == 2.5)
        expectRefusal(try await client.create(size: 10, more: inPool), 403, "POOL_POLICY")
        let byAdmin = try await admin.create(size: 5000, more: ["poolId": .string(id)])
        #expect(byAdmin.status == 200, "\(byAdmin)")
        // What lies there already stays readable.
        try await client.expectContent(bytes(101), of: file)
    }

    @Test func badPoolsAreRefused() async throws {
        let admin = try await SharedServer.client("pool-admin", admin: true)
        for (what, body): (String, JSONValue) in [
            ("no name", [:]), ("an empty name", ["name": ""]), ("a negative multiplier", ["name": "p1", "costMultiplier": -1]),
            ("a huge multiplier", ["name": "p1", "costMultiplier": 1_000_000]), ("no size", ["name": "p1", "maxFileSize": 0]),
            ("types that are none", ["name": "p1", "acceptTypes": ["picture"]]),
            ("an expiry that is over", ["name": "p1", "defaultExpirySeconds": -5]),
        ] { expectRefusal(try await admin.send(.POST, "/pools", json: body), 400, "INVALID_REQUEST", comment: what) }
        let first = try await admin.send(.POST, "/pools", json: ["name": "twice"])
        #expect([200, 201].contains(first.status), "\(first)")
        expectRefusal(try await admin.send(.POST, "/pools", json: ["name": "twice"]), 409, "CONFLICT")
        expectRefusal(try await admin.send(.PATCH, "/pools/\(UUID().uuidString)", json: ["name": "x"]), 404, "NOT_FOUND")
        expectRefusal(try await admin.get("/pools/\(UUID().uuidString)"), 404, "NOT_FOUND")
    }
}
