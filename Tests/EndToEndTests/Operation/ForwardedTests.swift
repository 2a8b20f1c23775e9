import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Whose word counts about the client's address: that of the proxies the configuration trusts, and nobody else's.
@Suite struct ForwardedTests {
    /// Headers of a request, and who sent it where the sender of the headers is trusted, as is 10.0.0.0/8.
    struct Claim: Sendable {
        var headers: [(String, String)]
        var client: String

        init(_ headers: [(String, String)], _ client: String) {
            self.headers = headers
            self.client = client
        }

        static func standard(_ value: String, _ client: String) -> Claim { Claim([("Forwarded", value)], client) }
        static func conventional(_ values: String..., client: String) -> Claim { Claim(values.map { ("X-Forwarded-For", $0) }, client) }
    }

    private static let peer = "127.0.0.1"

    static let claims: [Claim] = [
        Claim([], peer),
        .standard("for=203.0.113.7", "203.0.113.7"),
        .standard("for=\"[2001:db8::17]:4711\";proto=https", "2001:db8::17"),
        // What stands left of the client is the client's own word.
        .standard("for=198.51.100.1, for=203.0.113.9", "203.0.113.9"),
        .standard("for=203.0.113.10, for=10.1.2.3", "203.0.113.10"),
        .standard("for=unknown", peer),
        .standard("for=\"rubbish", peer),
        .conventional("203.0.113.8", client: "203.0.113.8"),
        .conventional("::ffff:203.0.113.12", client: "203.0.113.12"),
        .conventional("198.51.100.1, 203.0.113.9", client: "203.0.113.9"),
        .conventional("198.51.100.1", "203.0.113.11", client: "203.0.113.11"),
        .conventional("203.0.113.10, 10.1.2.3", client: "203.0.113.10"),
        .conventional("203.0.113.7, rubbish", client: peer),
        // A proxy that writes one of the two may pass on a forgery of the other.
        Claim([("Forwarded", "for=203.0.113.7"), ("X-Forwarded-For", "198.51.100.1")], peer),
        Claim([("Forwarded", "for=203.0.113.7"), ("X-Forwarded-For", "203.0.113.7")], "203.0.113.7"),
        Claim([("X-Real-IP", "203.0.113.7"), ("Client-IP", "203.0.113.7")], peer),
    ]

    /// The settings under which the tests' own connections are trusted, and those under which they are not.
    enum Trust: String, CaseIterable, Sendable {
        case peer = "127.0.0.1,10.0.0.0/8"
        case others = "10.0.0.0/8"
        case nobody = ""

        var settings: [String: String] { ["DRIVE_TRUSTED_PROXIES": rawValue] }
    }

    @Test(arguments: Trust.allCases) func theAuditTrailNamesTheClient(_ trust: Trust) async throws {
        try await withServer("forwarded", environment: trust.settings) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a", admin: true))
            var files: [(id: String, address: String, headers: String)] = []
            for claim in Self.claims {
                let file: CloudFile = try await client.direct([1, 2, 3], headers: claim.headers).decode()
                files.append((file.id, trust == .peer ? claim.client : Self.peer, "\(claim.headers)"))
            }
            guard case .array(let entries) = try await client.get("/admin/audit?action=file.create&limit=500").json else {
                Issue.record("no list")
                return
            }
            let lines = server.log.split(separator: "\n").compactMap { line in
                try? JSONDecoder().decode([String: JSONValue].self, from: Data(line.utf8))
            }
            for file in files {
                let entry = try #require(entries.first { $0["objectId"]?.string == file.id })
                #expect(entry["address"]?.string == file.address, "the table, \(file.headers)")
                let line = try #require(lines.first { $0["metadata"]?["object_id"]?.string == file.id })
                #expect(line["label"]?.string == "Drive.Audit")
                #expect(line["metadata"]?["address"]?.string == file.address, "the log line, \(file.headers)")
            }
        }
    }

    /// Behind a proxy each client has a limit of its own; an IPv6 client has one for its /64.
    @Test func aTrustedProxysClientsAreLimitedOneByOne() async throws {
        try await withServer("forwarded-limit", environment: Self.limits(trusting: .peer)) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            #expect(try await statuses(of: client, 12) { .conventional("203.0.113.\($0)", client: "") }.allSatisfy { $0 == 200 })
            try await expectLimited(client) { _ in .conventional("198.51.100.1", client: "") }
            try await expectLimited(client) { .standard("for=\"[2001:db8::\($0 + 1)]\"", "") }
            #expect(try await client.get("/files/me", headers: [("Forwarded", "for=\"[2001:db8:0:1::1]\"")]).status == 200)
        }
    }

    /// Anybody else does not get around the limit by a new address in each request.
    @Test(arguments: [Trust.others, .nobody]) func headersOfOthersDoNotEvadeTheLimit(_ trust: Trust) async throws {
        try await withServer("forwarded-evasion", environment: Self.limits(trusting: trust)) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            try await expectLimited(client) { .conventional("203.0.113.\($0)", client: "") }
            // The same bucket as before.
            let reply = try await client.get("/files/me", headers: [("Forwarded", "for=198.51.100.1")])
            expectRefusal(reply, 429, "RATE_LIMITED")
        }
    }

    @Test(arguments: Trust.allCases) func failedSignInsCountForTheClient(_ trust: Trust) async throws {
        let settings = trust.settings.merging(["DRIVE_RATE_FAILED_SIGNINS": "5"]) { $1 }
        try await withServer("forwarded-sign-in", environment: settings) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let guesser = client.with(token: "bad")
            let guesses = try await statuses(of: guesser, 8) { _ in .conventional("198.51.100.1", client: "") }
            #expect(guesses.prefix(5).allSatisfy { $0 == 401 })
            #expect(guesses.last == 429)
            // The guesser's address is shut, with a good token too; that of others behind the proxy is not.
            let same = try await client.get("/files/me", headers: [("X-Forwarded-For", "198.51.100.1")])
            expectRefusal(same, 429, "RATE_LIMITED")
            let other = try await client.get("/files/me", headers: [("X-Forwarded-For", "198.51.100.2")])
            #expect(other.status == (trust == .peer ? 200 : 429), "\(other)")
        }
    }

    @Test(arguments: ["proxy.example", "10.0.0.0/33", "10.0.0.1/", "0.0.0.0/0x"]) func anUnreadableNetworkStopsTheStart(
        _ network: String
    ) async throws {
        let data = try DataFolder.make("forwarded-wrong")
        defer { data.remove() }
        let result = try await DriveCommand.run(
            ["serve", "--data", data.path, "--port", "0"], environment: ["DRIVE_TRUSTED_PROXIES": "127.0.0.1,\(network)"],
            atMost: .seconds(20))
        #expect(result.exit == .exited(78), "\(result.errors)")
        #expect(result.errors.contains("server.trustedProxies") && result.errors.contains(network), "\(result.errors)")
    }

    /// Five requests at once, then one a second.
    private static func limits(trusting trust: Trust) -> [String: String] {
        trust.settings.merging(["DRIVE_RATE_ADDRESS": "1", "DRIVE_RATE_ADDRESS_BURST": "5"]) { $1 }
    }

    private func statuses(of client: TestClient, _ count: Int, _ claim: (Int) -> Claim) async throws -> [Int] {
        try await (0..<count).asyncMap { try await client.get("/files/me", headers: claim($0).headers).status }
    }

    /// The burst passes, and what a slow machine earns meanwhile; then there is an end.
    private func expectLimited(
        _ client: TestClient, sourceLocation: SourceLocation = #_sourceLocation, _ claim: @escaping @Sendable (Int) -> Claim
    ) async throws {
        let start = ContinuousClock.now
        let replies = try await together(20) { try await client.get("/files/me", headers: claim($0).headers).status }
        #expect(RateLimitTests.passing(since: start).contains(replies.count { $0 == 200 }), "\(replies)", sourceLocation: sourceLocation)
        #expect(replies.allSatisfy { [200, 429].contains($0) }, sourceLocation: sourceLocation)
    }
}
