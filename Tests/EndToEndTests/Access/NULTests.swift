import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// The character U+0000, which PostgreSQL stores nowhere, harms no route: it is the client's fault over both engines.
@Suite(.timeLimit(.minutes(3))) struct NULTests {
    /// What lists filter by, and a name that nothing has.
    private static let parameters = ["query", "search", "kind", "batchId", "action", "account", "bundleId", "contentType", "hash", "x"]

    @Test func overSQLite() async throws {
        try await Self.expectRefusals(
            user: try await SharedServer.client("nul"), admin: try await SharedServer.client("nul-admin", admin: true))
    }

    @Test(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"))
    func overPostgreSQL() async throws {
        let schema = try await PostgresSchema.make()
        let data = try DataFolder.make("nul", environment: ["DATABASE_URL": schema.url])
        defer { data.remove() }
        try await withServer("nul", data: data) { server in
            try await Self.expectRefusals(
                user: TestClient(base: server.base, token: try await data.token(account: "nul")),
                admin: TestClient(base: server.base, token: try await data.token(account: "nul-admin", admin: true)))
            #expect(!server.log.contains("request failed"), "\(server.log.suffix(2000))")
        }
        await schema.drop()
    }

    private static func expectRefusals(user: TestClient, admin: TestClient) async throws {
        for route in RouteMatrix.all where route.access != .everybody {
            let client = route.access == .administrator ? admin : user
            try await expectQueriesRefused(route, client)
            try await expectIdsUnknown(route, client)
            try await expectBodiesRefused(route, client)
        }
        // Nothing of what was refused stays, and the filters still filter.
        #expect(try await user.get("/tasks?kind=nothing").json == [])
        #expect(try await user.get("/files/me?query=nothing").json == [])
    }

    private static func send(_ route: RouteMatrix.Route, _ client: TestClient, path: String, body: [UInt8]?) async throws -> Reply {
        try await client.send(
            route.method, path, headers: route.headers + (body == nil ? [] : [("Content-Type", route.contentType)]), body: body)
    }

    private static func expectQueriesRefused(_ route: RouteMatrix.Route, _ client: TestClient) async throws {
        let path = route.path(with: Dictionary(uniqueKeysWithValues: RouteMatrix.names.map { ($0, UUID().uuidString.lowercased()) }))
        let body = route.body.map { Array($0.utf8) }
        for name in parameters {
            let reply = try await send(route, client, path: path + (path.contains("?") ? "&" : "?") + "\(name)=a%00b", body: body)
            let place = "\(route) ?\(name)=a%00b"
            #expect(reply.status == 400, "\(place): \(reply)")
            if let error = reply.inHouseFormat.error { #expect(error.code == "INVALID_REQUEST", "\(place): \(reply)") }
        }
    }

    private static func expectIdsUnknown(_ route: RouteMatrix.Route, _ client: TestClient) async throws {
        let address = String(route.path.prefix { $0 != "?" })
        guard address.contains("{") else { return }
        let path = RouteMatrix.names.reduce(address) { $0.replacing("{\($1)}", with: "a%00b") }
        let reply = try await send(route, client, path: path, body: route.body.map { Array($0.utf8) })
        #expect(reply.status == 404, "\(path): \(reply)")
    }

    /// Each member of the body in turn.
    private static func expectBodiesRefused(_ route: RouteMatrix.Route, _ client: TestClient) async throws {
        guard route.contentType == "application/json", let text = route.body,
            case .object(let members) = try DriveJSON.value(JSONValue.self, from: text)
        else { return }
        let path = route.path(with: Dictionary(uniqueKeysWithValues: RouteMatrix.names.map { ($0, UUID().uuidString.lowercased()) }))
        for (name, value) in members {
            for bad: JSONValue in ["a\0b", ["a\0b"], ["a\0b": 1]] where value != bad {
                let body = try DriveJSON.text(JSONValue.object(members.merging([name: bad]) { _, new in new }))
                let reply = try await send(route, client, path: path, body: Array(body.utf8))
                #expect((400..<500).contains(reply.status), "\(route) \(body): \(reply)")
            }
        }
    }
}
