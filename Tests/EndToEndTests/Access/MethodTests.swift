import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// A known address with a method it does not have (RFC 9110, section 15.5.6).
@Suite struct MethodTests {
    private static let methods: [HTTPMethod] = [.GET, .HEAD, .POST, .PUT, .PATCH, .DELETE, .OPTIONS, .TRACE, .PROPFIND]

    /// Each address of the API with what it takes, by the routes' table.
    private static let addresses: [String: [HTTPMethod]] = {
        let known = RouteMatrix.all.map { route in
            (route.path(with: Dictionary(uniqueKeysWithValues: RouteMatrix.names.map { ($0, "x") })).split(separator: "?")[0], route.method)
        }
        return Dictionary(grouping: known, by: { String($0.0) }).mapValues { $0.map(\.1) }
    }()

    private static func expectNotAllowed(_ answer: Reply, _ method: HTTPMethod, _ path: String, _ allowed: [HTTPMethod]) {
        let place = "\(method) \(path)"
        let reply = answer.inHouseFormat
        #expect(reply.header("Allow") == Set(allowed.map(\.rawValue)).sorted().joined(separator: ", "), "\(place): \(reply)")
        if method == .HEAD {
            #expect(reply.status == 405, "\(place)")
        } else {
            expectRefusal(reply, 405, "METHOD_NOT_ALLOWED", comment: place)
            #expect(reply.error?.details["rule"] == "method", "\(place)")
        }
        #expect(reply.header("X-Request-Id") != nil, "\(place)")
    }

    /// With a token or without: the addresses are no secret.
    @Test(arguments: ["/api", "/drive"]) func anotherMethodIsNotAllowed(_ prefix: String) async throws {
        var client = try await SharedServer.client("methods")
        client.prefix = prefix
        var anonymous = client.with(token: nil)
        anonymous.prefix = prefix
        #expect(Self.addresses.count > 60)
        for (path, allowed) in Self.addresses {
            for method in Self.methods where !allowed.contains(method) {
                Self.expectNotAllowed(try await anonymous.send(method, path), method, prefix + path, allowed)
            }
            let method: HTTPMethod = allowed.contains(.PUT) ? .PROPFIND : .PUT
            Self.expectNotAllowed(try await client.send(method, path), method, prefix + path, allowed)
        }
    }

    /// What the table has is not refused for its method.
    @Test func theAddresssOwnMethodsAreAllowed() async throws {
        let anonymous = try await SharedServer.client("methods").with(token: nil)
        for (path, allowed) in Self.addresses {
            for method in allowed {
                // Who opens a WebSocket may sign in by its first message.
                let expected = method == .OPTIONS ? 204 : path == "/ws" ? 426 : 401
                #expect(try await anonymous.send(method, path).status == expected, "\(method) \(path)")
            }
        }
    }

    /// Neither are the addresses on the way to others: what a refusal says is allowed is not refused.
    @Test func noRefusalNamesItsOwnMethod() async throws {
        let client = try await SharedServer.client("methods")
        let prefixes = Set(
            Self.addresses.keys.flatMap { path in
                let segments = path.split(separator: "/")
                return segments.indices.map { "/" + segments[...$0].joined(separator: "/") }
            })
        #expect(prefixes.contains("/tasks/work") && prefixes.contains("/files/upload"))
        for path in prefixes.subtracting(Self.addresses.keys) {
            for method in Self.methods {
                let reply = try await client.send(method, path)
                guard reply.status == 405 else { continue }
                let allowed = reply.header("Allow")?.split(separator: ", ").map(String.init) ?? []
                #expect(!allowed.contains(method.rawValue), "\(method) \(path): \(reply)")
            }
        }
        expectRefusal(try await client.get("/tasks/work"), 404, "NOT_FOUND")
        expectRefusal(try await client.send(.PUT, "/tasks/work"), 404, "NOT_FOUND")
    }

    @Test func anUnknownAddressStaysUnknown() async throws {
        let client = try await SharedServer.client("methods")
        for path in [
            "/nothing", "/files/upload/tasks/x", "/pools/x/y", "//files/me", "//", "//API/pools", "/tasks/x/y", "/tasks/work/x",
            "/tasks/batches/x/y", "/admin/tasks/x/nothing",
        ] {
            for method in Self.methods {
                let reply = try await client.send(method, path)
                #expect(reply.status == 404, "\(method) \(path): \(reply)")
                #expect(reply.header("Allow") == nil, "\(method) \(path)")
                if method != .HEAD { expectRefusal(reply, 404, "NOT_FOUND", comment: "\(method) \(path)") }
            }
        }
    }

    /// The body of a refused method does no harm, and the connection goes on.
    @Test func aBodyIsNotTaken() async throws {
        let client = try await SharedServer.client("methods")
        for size in [1, 100_000] {
            let reply = try await client.send(.PUT, "/files/upload/direct?fileName=a", body: bytes(size))
            Self.expectNotAllowed(reply, .PUT, "/files/upload/direct", [.POST])
        }
        #expect(try await client.get("/files/me").json == [])
        Self.expectNotAllowed(try await client.send(.POST, "//health/live"), .POST, "/health/live", [.GET, .HEAD])
    }

    @Test func preflightsAreAnsweredAsBefore() async throws {
        let origin = "https://app.example.org"
        try await withServer("methods-cors", environment: ["DRIVE_CORS_ORIGINS": origin]) { server in
            let client = TestClient(base: server.base)
            func ask(_ origin: String) async throws -> Reply {
                try await client.send(
                    .OPTIONS, "/files/upload/create", headers: [("Origin", origin), ("Access-Control-Request-Method", "POST")])
            }
            let preflight = try await ask(origin)
            #expect(preflight.status == 204)
            #expect(preflight.header("Access-Control-Allow-Origin") == origin)
            // A stranger's, and an OPTIONS that is no preflight.
            let stranger = try await ask("https://evil.example")
            Self.expectNotAllowed(stranger, .OPTIONS, "/files/upload/create", [.POST])
            #expect(stranger.header("Access-Control-Allow-Origin") == nil)
            let plain = try await client.send(.OPTIONS, "/files/upload/create")
            Self.expectNotAllowed(plain, .OPTIONS, "/files/upload/create", [.POST])
            // A page of the allowed origin may read the refusal.
            let refused = try await client.send(.PUT, "/files/me", headers: [("Origin", origin)])
            Self.expectNotAllowed(refused, .PUT, "/files/me", [.GET])
            #expect(refused.header("Access-Control-Allow-Origin") == origin)
        }
    }
}
