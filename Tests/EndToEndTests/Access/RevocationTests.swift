import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What an administrator takes away is gone within a second, on a running server.
@Suite struct RevocationTests {
    /// A second, and a tenth for the question itself on a busy machine.
    private static let limit = Duration.milliseconds(1100)

    private func expectRefused(_ client: TestClient, _ status: Int, _ code: String) async throws {
        // Heat: the server believes the token just now.
        try await eventually(within: Self.limit, "the token to be refused", every: .milliseconds(10)) {
            try await client.get("/files/me").status != 200
        }
        expectRefusal(try await client.get("/files/me"), status, code)
    }

    @Test func aTokenRevokedByTheCommandIsRefused() async throws {
        let server = try await SharedServer.get()
        let first = TestClient(base: server.base, token: try await server.data.token(account: "revoked"))
        let second = TestClient(base: server.base, token: try await server.data.token(account: "revoked"))
        #expect(try await first.get("/files/me").status == 200)
        #expect(try await second.get("/files/me").status == 200)
        let id = try #require(first.token.flatMap { HandSignedToken($0)?.id })
        let list = try await server.data.drive("token", "list")
        #expect(list.output.contains(id))
        #expect(!list.output.contains(try #require(first.token)), "the token itself is shown once only")
        try await server.data.drive("token", "revoke", id)
        try await expectRefused(first, 401, "TOKEN_REVOKED")
        #expect(try await second.get("/files/me").status == 200)
    }

    @Test func aTokenRevokedByTheApiIsRefused() async throws {
        let server = try await SharedServer.get()
        let admin = try await SharedServer.client("revoker", admin: true)
        let client = TestClient(base: server.base, token: try await server.data.token(account: "revoked-2"))
        #expect(try await client.get("/files/me").status == 200)
        let token = try #require(client.token.flatMap { HandSignedToken($0) })
        let listed = try await admin.get("/admin/tokens?account=\(try #require(token.account))")
        #expect(listed.text.contains(try #require(token.id)))
        let reply = try await admin.delete("/admin/tokens/\(try #require(token.id))")
        #expect((200..<300).contains(reply.status), "\(reply)")
        try await expectRefused(client, 401, "TOKEN_REVOKED")
        expectRefusal(try await admin.delete("/admin/tokens/nosuchtoken"), 404, "NOT_FOUND")
    }

    @Test func aDisabledAccountIsRefusedUntilItIsEnabled() async throws {
        let server = try await SharedServer.get()
        let client = TestClient(base: server.base, token: try await server.data.token(account: "disabled"))
        let file = try await client.store([1, 2, 3])
        try await server.data.drive("account", "disable", "disabled")
        try await expectRefused(client, 403, "ACCOUNT_DISABLED")
        expectRefusal(try await client.get("/files/\(file.id)"), 403, "ACCOUNT_DISABLED")
        #expect(try await server.data.drive("account", "list").output.contains("disabled"))
        try await server.data.drive("account", "enable", "disabled")
        try await eventually(within: Self.limit, "the account to be enabled") { try await client.get("/files/me").status == 200 }
        try await client.expectContent([1, 2, 3], of: file)
    }

    @Test func anAccountIsDisabledByTheApi() async throws {
        let server = try await SharedServer.get()
        let admin = try await SharedServer.client("disabler", admin: true)
        let client = TestClient(base: server.base, token: try await server.data.token(account: "disabled-2"))
        #expect(try await client.get("/files/me").status == 200)
        let id = try #require(client.token.flatMap { HandSignedToken($0)?.account })
        let reply = try await admin.send(.PATCH, "/admin/accounts/\(id)", json: ["disabled": true])
        #expect(reply.status == 200, "\(reply)")
        try await expectRefused(client, 403, "ACCOUNT_DISABLED")
        let enabled = try await admin.send(.PATCH, "/admin/accounts/\(id)", json: ["disabled": false, "quotaBytes": 5])
        #expect(enabled.status == 200, "\(enabled)")
        try await eventually(within: Self.limit, "the account to be enabled") { try await client.get("/files/me").status == 200 }
        #expect(try await client.quota().quotaBytes == 5)
        expectRefusal(try await client.direct(bytes(6)), 403, "QUOTA_EXCEEDED")
        expectRefusal(try await admin.send(.PATCH, "/admin/accounts/\(id)", json: ["quotaBytes": -2]), 400, "INVALID_REQUEST")
        expectRefusal(try await admin.send(.PATCH, "/admin/accounts/\(UUID().uuidString)", json: ["disabled": true]), 404, "NOT_FOUND")
    }

    @Test func theAuditTellsWhoDidWhat() async throws {
        let admin = try await SharedServer.client("auditor", admin: true)
        let client = try await SharedServer.client("audited")
        let file = try await client.store([1])
        _ = try await client.send(.PATCH, "/files/\(file.id)", json: ["name": "renamed"])
        _ = try await client.delete("/files/\(file.id)")
        let account = try #require(client.token.flatMap { HandSignedToken($0)?.account })
        guard case .array(let entries) = try await admin.get("/admin/audit?limit=500").json else {
            Issue.record("no list")
            return
        }
        let mine = entries.filter { (try? DriveJSON.text($0).contains(file.id)) == true }
        let actions = mine.compactMap { $0["action"]?.string }
        for action in ["file.create", "file.update", "file.delete"] { #expect(actions.contains(action), "\(actions)") }
        for entry in mine { #expect((try? DriveJSON.text(entry).contains(account)) == true, "who: \(entry)") }
        #expect(mine.allSatisfy { (try? DriveJSON.text($0).contains("127.0.0.1")) == true }, "from where")
    }
}
