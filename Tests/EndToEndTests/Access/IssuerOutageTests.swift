import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Issuers whose keys cannot be had, or change, while the server runs; and keys that stop the start.
@Suite struct IssuerOutageTests {
    private static let audience = "drive-e2e"
    /// The least time between two fetches of a key set.
    private static let refetchInterval = 1
    /// Longer than this nothing may stay broken: a fetch without an answer takes 5 s.
    private static let recovery = Duration.seconds(15)

    private static func issuer(_ name: String) -> String { "https://\(name).example" }

    private static func settings(_ sets: [String: String]) throws -> [String: String] {
        let issuers = sets.map { name, url -> JSONValue in
            ["issuer": .string(issuer(name)), "audience": .string(audience), "jwks": .string(url), "algorithms": ["ES256"]]
        }
        return [
            "DRIVE_ISSUERS": try DriveJSON.text(JSONValue.array(issuers)), "DRIVE_RATE_FAILED_SIGNINS": "0",
            "DRIVE_KEY_REFETCH_INTERVAL": "\(refetchInterval)s",
        ]
    }

    private static func token(_ name: String, by key: IssuerKey, subject: String = "alice") async throws -> String {
        try await HandSignedToken(issuer: issuer(name), subject: subject, audience: .string(audience), key: key).signed(by: key)
    }

    /// The lines of the log that name the address.
    private static func lines(of url: String?, in server: ServerProcess) -> [Substring] {
        server.log.split(separator: "\n").filter { $0.contains("\"\(url ?? "-")\"") }
    }

    /// One test for all that ails a key set.
    @Test(.timeLimit(.minutes(3))) func aBrokenKeySetHarmsItsIssuerAloneAndMends() async throws {
        let folder = try TemporaryFolder.make("outage")
        defer { TemporaryFolder.remove(folder) }
        let key = try await IssuerKey.make(.es256, id: "good", in: folder)
        let next = try await IssuerKey.make(.es256, id: "next", in: folder)
        let whole = Array(try DriveJSON.text(JSONValue.object(["keys": [key.jwk]])).utf8)
        let good = KeySetServer.Answer.reply(200, whole)
        let sets = try KeySetServer()
        let dead = try KeySetServer()
        let troubles: [String: KeySetServer.Answer] = [
            "status-500": .reply(500, []), "html": .text("<html>no</html>"), "no-keys": .text(#"{"a":1}"#),
            "keys-no-list": .text(#"{"keys":"x"}"#), "empty": .text(#"{"keys":[]}"#), "not-utf8": .reply(200, [0xFF, 0xFE, 0]),
            "bad-keys": .text(#"{"keys":[{"kid":"good","kty":"EC","crv":"P-256","x":"AAAA","y":"%%"},{"kty":7},[],null]}"#),
            // A redirect could lead away from where the operator pointed.
            "redirect": .reply(302, [], headers: [("Location", sets.url("/good"))]),
            "too-long": .reply(200, whole + [UInt8](repeating: UInt8(ascii: " "), count: 300_000)),
            "half": .half(whole), "silence": .silence,
        ]
        for (name, answer) in troubles { sets.answer("/\(name)", answer) }
        sets.answer("/good", good)
        sets.answer("/rotating", good)
        sets.answer("/waiting", .silence)
        dead.answer("/dead", good)
        try await sets.open()

        let broken = troubles.keys.sorted() + ["dead"]
        let urls = Dictionary(
            uniqueKeysWithValues: (broken + ["rotating", "waiting"]).map { ($0, ($0 == "dead" ? dead : sets).url("/\($0)")) })
        try await withServer("outage", environment: Self.settings(urls)) { server in
            let own = TestClient(base: server.base, token: try await server.data.token(account: "own"))
            let clients = try await broken.asyncMap { own.with(token: try await Self.token($0, by: key)) }
            async let replies = together(broken.count) { try await clients[$0].get("/files/me") }
            // Meanwhile everybody else is served: the silent one is waited for.
            let start = ContinuousClock.now
            #expect(try await own.get("/files/me").status == 200)
            #expect(try await own.send(.GET, "//health/ready").status == 200)
            let rotating = own.with(token: try await Self.token("rotating", by: key))
            #expect(try await rotating.get("/files/me").status == 200)
            #expect(ContinuousClock.now - start < .seconds(4))
            // Who is not signed in yet may not have many messages kept while his issuer is asked.
            let live = try await LiveSocket.open(server.port)
            try await live.send(["type": "auth", "token": .string(try await Self.token("waiting", by: key))])
            for _ in 0..<5 { try await live.send(["type": "subscribe"]) }
            try await live.expectClosed(4429)
            for (name, reply) in zip(broken, try await replies) {
                expectRefusal(reply, 503, "ISSUER_UNAVAILABLE", comment: name)
                #expect(reply.header("Retry-After").flatMap { Int($0) }.map { $0 > 0 } == true, "\(name): \(reply.headers)")
                #expect(Self.lines(of: urls[name], in: server).count == 1, "the log names the address of \(name)")
            }
            // The true cause, not a time-out that hides it.
            #expect(Self.lines(of: urls["dead"], in: server).first?.contains("Connection refused") == true)
            #expect(!sets.requests.contains("/good"), "a redirect was followed")

            // A flood of unknown keys, of unknown issuers, or of tokens whose keys cannot be had becomes neither one of fetches nor
            // one of log lines.
            func told() -> [Substring] { server.log.split(separator: "\n").filter { !$0.contains("/waiting") } }
            let quiet = told()
            let future = own.with(token: try await Self.token("rotating", by: next))
            let stranger = own.with(token: try await Self.token("stranger", by: key))
            for client in [future, stranger] {
                let refused = try await together(20) { _ in try await client.get("/files/me") }
                for reply in refused { expectRefusal(reply, 401, "UNAUTHENTICATED") }
            }
            let unanswered = try await together(5 * broken.count) { try await clients[$0 % broken.count].get("/files/me") }
            for reply in unanswered { expectRefusal(reply, 503, "ISSUER_UNAVAILABLE") }
            #expect(told() == quiet)
            let fetches = Int((ContinuousClock.now - start) / .seconds(Self.refetchInterval)) + 1
            for name in broken + ["rotating"] where name != "dead" {
                #expect((1...fetches).contains(sets.requests.count { $0 == "/\(name)" }), "\(name): at most \(fetches)")
            }

            // Mended, and rotated: the new key comes, the old one goes, without a restart.
            for name in troubles.keys { sets.answer("/\(name)", good) }
            sets.answer("/rotating", try IssuerKey.set([next.jwk]))
            try await dead.open()
            for (name, client) in zip(broken, clients) {
                try await eventually(within: Self.recovery, "\(name) to mend", every: .milliseconds(500)) {
                    try await client.get("/files/me").status == 200
                }
                #expect(Self.lines(of: urls[name], in: server).count == 2, "the log says that \(name) has mended")
            }
            try await eventually(within: Self.recovery, "the new key", every: .milliseconds(500)) {
                try await future.get("/files/me").status == 200
            }
            expectRefusal(try await rotating.get("/files/me"), 401, "UNAUTHENTICATED", comment: "the old key")

            // An outage now does no harm: the keys are kept for a while.
            sets.answer("/rotating", .reply(500, []))
            let other = own.with(token: try await Self.token("rotating", by: next, subject: "bob"))
            #expect(try await other.get("/files/me").status == 200)
            #expect(try await future.get("/files/me").status == 200)
        }
    }

    struct BadKey: Sendable, CustomTestStringConvertible {
        var what: String
        /// Makes the file, where there is to be one, and returns its path.
        var make: @Sendable (_ folder: String) async throws -> String
        var testDescription: String { what }
    }

    static let badKeys = [
        BadKey(what: "a file that is missing") { $0 + "/missing.pem" },
        BadKey(what: "a key of another kind") { try await IssuerKey.make(.es256, id: "other", in: $0).publicPath },
        BadKey(what: "a private key") { try await IssuerKey.make(.rs256, id: "private", in: $0).privatePath },
        BadKey(what: "an RSA key of 1024 bits") { folder in
            try await OpenSSL.run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", folder + "/weak.key")
            try await OpenSSL.run("pkey", "-in", folder + "/weak.key", "-pubout", "-out", folder + "/weak.pem")
            return folder + "/weak.pem"
        },
        BadKey(what: "no PEM") { folder in
            try Data("hello\n".utf8).write(to: URL(fileURLWithPath: folder + "/hello.pem"))
            return folder + "/hello.pem"
        },
    ]

    @Test(arguments: badKeys) func aKeyThatIsNoUseStopsTheStart(_ bad: BadKey) async throws {
        let data = try DataFolder.make("bad-key")
        defer { data.remove() }
        let path = try await bad.make((data.path as NSString).deletingLastPathComponent)
        let issuer: JSONValue = [
            "issuer": .string(Self.issuer("pem")), "audience": .string(Self.audience), "pemFile": .string(path), "algorithms": ["RS256"],
        ]
        let result = try await DriveCommand.run(
            ["serve", "--data", data.path, "--port", "0"],
            environment: ["DRIVE_ISSUERS": DriveJSON.text(JSONValue.array([issuer]))], atMost: .seconds(20))
        #expect(result.exit == .exited(78), "\(result.errors)")
        #expect(!result.output.contains("listening"))
        // Of several issuers the operator has to know which.
        #expect(result.errors.contains(Self.issuer("pem")) || result.errors.contains(path), "\(result.errors)")
        #expect(!result.errors.contains("PRIVATE KEY"))
    }
}
