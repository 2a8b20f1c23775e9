import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Tokens of other issuers, whose keys Drive has from a JWK Set or a PEM file.
@Suite struct ExternalIssuerTests {
    /// A token somebody makes, and what the refusal says of it.
    struct Attempt: Sendable, CustomTestStringConvertible {
        var what: String
        var says: String
        var make: @Sendable (IssuerStage) async throws -> String
        var testDescription: String { what }

        init(_ what: String, _ says: String, _ make: @escaping @Sendable (IssuerStage) async throws -> String) {
            self.what = what
            self.says = says
            self.make = make
        }

        /// A token of the stage's first issuer with another header or other claims, rightly signed by the key.
        static func changed(
            _ what: String, _ says: String, by algorithm: IssuerKey.Algorithm = .es256,
            _ change: @escaping @Sendable (inout HandSignedToken, IssuerStage) throws -> Void
        ) -> Attempt {
            Attempt(what, says) { stage in
                var token = try stage.token("mallory", by: algorithm)
                try change(&token, stage)
                return try await token.signed(by: stage.key(algorithm))
            }
        }

        /// A token of that issuer with the header `alg`, and the public RSA key as the secret of an HMAC.
        static func macced(_ what: String, with secret: @escaping @Sendable (IssuerKey) -> [UInt8]) -> Attempt {
            Attempt(what, ExternalIssuerTests.wrongAlgorithm) { stage in
                var token = try stage.token("mallory", by: .rs256)
                token.header["alg"] = "HS256"
                return try token.signed(with: secret(stage.key(.rs256)))
            }
        }
    }

    private static let wrongAlgorithm = "its algorithm is not the one of its key"
    private static let unknownKey = "its key (kid) is not known"
    private static let badSignature = "its signature does not fit"
    private static let wrongAudience = "it was made for another audience"
    private static let unknownIssuer = "its issuer is not trusted"
    private static var now: Int64 { Int64(Date().timeIntervalSince1970) }

    static let algorithms: [Attempt] = [
        .macced("HS256 with the public key in PEM as the secret") { Array(DriveCommand.text($0.publicPath).utf8) },
        .macced("HS256 with the public key in DER as the secret") { $0.der },
        Attempt("HS256 with the PEM file as the secret", wrongAlgorithm) { stage in
            let key = try #require(stage.pemKeys[.rs256])
            var token = HandSignedToken(
                issuer: IssuerStage.pem(.rs256), subject: "mallory", audience: .string(IssuerStage.audience), key: key)
            token.header["alg"] = "HS256"
            return try token.signed(with: Array(DriveCommand.text(key.publicPath).utf8))
        },
        .changed("RS256 under the ES256 key's name", wrongAlgorithm, by: .rs256) { $0.header["kid"] = .string(try $1.key(.es256).id) },
        .changed("ES256 under the RS256 key's name", wrongAlgorithm) { $0.header["kid"] = .string(try $1.key(.rs256).id) },
        .changed("EdDSA under the ES256 key's name", wrongAlgorithm, by: .edDSA) { $0.header["kid"] = .string(try $1.key(.es256).id) },
        .changed("RS256 said to be PS256", wrongAlgorithm, by: .rs256) { token, _ in token.header["alg"] = "PS256" },
        .changed("ES256 said to be RS256", wrongAlgorithm) { token, _ in token.header["alg"] = "RS256" },
        Attempt("alg none", wrongAlgorithm) { stage in
            var token = try stage.token("mallory")
            token.header["alg"] = "none"
            return try token.signed(with: "")
        },
    ]

    static let keys: [Attempt] =
        IssuerKey.Algorithm.allCases.map { algorithm in
            Attempt("a stranger's key under a known name, \(algorithm.rawValue)", badSignature) { stage in
                try await stage.token("mallory", by: algorithm).signed(by: #require(stage.strangers[algorithm]))
            }
        }
        + IssuerKey.Algorithm.allCases.map { algorithm in
            Attempt("a stranger's key for the PEM file's, \(algorithm.rawValue)", badSignature) { stage in
                let key = try #require(stage.strangers[algorithm])
                return try await HandSignedToken(
                    issuer: IssuerStage.pem(algorithm), subject: "mallory", audience: .string(IssuerStage.audience), key: key
                ).signed(by: key)
            }
        } + [
            Attempt("a stranger's key that the token brings along", unknownKey) { stage in
                let key = try #require(stage.strangers[.es256])
                var token = try stage.token("mallory")
                token.header.merge(["kid": .string(key.id), "jwk": key.jwk, "jku": .string(stage.keySets.url("/strangers"))]) { $1 }
                return try await token.signed(by: key)
            },
            .changed("another issuer's key", unknownKey) { token, _ in token.claims["iss"] = .string(IssuerStage.narrow) },
            .changed("no name of a key where there are several", unknownKey) { token, _ in token.header["kid"] = nil },
            Attempt("a key of the set whose algorithm the issuer may not use", unknownKey) { stage in
                try await stage.narrowToken(by: stage.foreign)
            },
            Attempt("a key of the set that is for encryption", unknownKey) { stage in
                try await stage.narrowToken(by: stage.encrypting)
            },
        ]

    static let claims: [Attempt] = [
        .changed("another audience", wrongAudience) { token, _ in token.claims["aud"] = "somebody-else" },
        .changed("the audience of our own tokens", wrongAudience) { token, _ in token.claims["aud"] = "drive" },
        .changed("other audiences", wrongAudience) { token, _ in token.claims["aud"] = ["a", "b"] },
        .changed("no audience", wrongAudience) { token, _ in token.claims["aud"] = nil },
        .changed("an unknown issuer", unknownIssuer) { token, _ in token.claims["iss"] = "https://evil.example" },
        .changed("the issuer with a slash more", unknownIssuer) { token, _ in token.claims["iss"] = .string(IssuerStage.everything + "/") },
        .changed("no issuer", unknownIssuer) { token, _ in token.claims["iss"] = nil },
        .changed("our own issuer", unknownKey) { token, _ in token.claims.merge(["iss": "drive", "aud": "drive"]) { $1 } },
        .changed("expired", "it has expired") { token, _ in token.claims["exp"] = .integer(now - 1) },
        .changed("no expiry", "it has no time of expiry") { token, _ in token.claims["exp"] = nil },
        .changed("not yet valid", "it is not valid yet") { token, _ in token.claims["nbf"] = .integer(now + 600) },
        .changed("no subject", "a claim is missing") { token, _ in token.claims["sub"] = nil },
        .changed("an empty subject", "a claim is missing") { token, _ in token.claims["sub"] = "" },
        .changed("a subject of 256 characters", "a claim is missing") { token, _ in
            token.claims["sub"] = .string(String(repeating: "x", count: 256))
        },
    ]

    @Test(arguments: algorithms + keys + claims) func aTokenThatMayNotPassIsRefused(_ attempt: Attempt) async throws {
        let stage = try await IssuerStage.get()
        let reply = try await stage.client(attempt.make(stage)).get("/files/me")
        expectRefusal(reply, 401, "UNAUTHENTICATED")
        // For its own reason, not for another that hides it.
        #expect(reply.error?.message.contains(attempt.says) == true, "\(reply)")
        #expect(!stage.keySets.requests.contains("/strangers"), "a token must not say where its key is")
    }

    @Test(arguments: IssuerKey.Algorithm.allCases) func aRightTokenIsTaken(_ algorithm: IssuerKey.Algorithm) async throws {
        let stage = try await IssuerStage.get()
        let fromSet = try await stage.token("alice", by: algorithm).signed(by: stage.key(algorithm))
        #expect(try await stage.client(fromSet).get("/files/me").status == 200)
        // A PEM file has one key, so its name says nothing.
        let key = try #require(stage.pemKeys[algorithm])
        var token = HandSignedToken(
            issuer: IssuerStage.pem(algorithm), subject: "alice", audience: ["another", .string(IssuerStage.audience)], key: key)
        for name in [key.id, "whatever", nil] {
            token.header["kid"] = name.map { .string($0) }
            #expect(try await stage.client(token.signed(by: key)).get("/files/me").status == 200, "kid \(name ?? "missing")")
        }
    }

    @Test func aSetOfOneKeyNeedsNoName() async throws {
        let stage = try await IssuerStage.get()
        var token = HandSignedToken(
            issuer: IssuerStage.single, subject: "alice", audience: .string(IssuerStage.audience), key: stage.single)
        token.header["kid"] = nil
        #expect(try await stage.client(token.signed(by: stage.single)).get("/files/me").status == 200)
    }

    @Test func aSubjectIsAnAccountOfItsIssuer() async throws {
        let stage = try await IssuerStage.get()
        let first = try await stage.client(of: "same")
        let second = stage.client(try await stage.narrowToken(by: stage.narrow, subject: "same"))
        let file = try await first.store(bytes(1000))
        expectRefusal(try await second.get("/files/\(file.id)"), 404, "FILE_NOT_FOUND")
        #expect(try await second.get("/files/me").header("X-Total") == "0")
        // Another token of the same subject, by another key, is the same account.
        let again = stage.client(try await stage.token("same", by: .rs256).signed(by: stage.key(.rs256)))
        try await again.expectContent(bytes(1000), of: file)

        let accounts = try await stage.accounts(named: "same")
        #expect(Set(accounts.compactMap { $0["issuer"]?.string }) == [IssuerStage.everything, IssuerStage.narrow])
        #expect(Set(accounts.compactMap { $0["id"]?.string }).count == 2)
        #expect(accounts.count == 2)
    }

    /// The issuer says who administers, where its configuration names the claim; each token anew.
    @Test func theRoleFollowsTheToken() async throws {
        let stage = try await IssuerStage.get()
        #expect(try await stage.client(of: "chief", role: "admin").get("/admin/accounts").status == 200)
        for role in [nil, "user", "Admin"] {
            expectRefusal(try await stage.client(of: "chief", role: role).get("/admin/accounts"), 403, "FORBIDDEN")
        }
        let unnamed = stage.client(try await stage.narrowToken(by: stage.narrow, subject: "chief", role: "admin"))
        expectRefusal(try await unnamed.get("/admin/accounts"), 403, "FORBIDDEN")
    }

    @Test func anExternalAccountCanBeShutOut() async throws {
        let stage = try await IssuerStage.get()
        let client = try await stage.client(of: "leaver")
        #expect(try await client.get("/files/me").status == 200)
        let id = try #require(try await stage.accounts(named: "leaver").first?["id"]?.string)
        let admin = stage.client(try await stage.server.data.token(account: "keeper", admin: true))
        #expect(try await admin.send(.PATCH, "/admin/accounts/\(id)", json: ["disabled": true]).status == 200)
        try await eventually(within: .milliseconds(1100), "the account to be shut out") {
            try await client.get("/files/me").status != 200
        }
        // A new token is no way back.
        expectRefusal(try await stage.client(of: "leaver").get("/files/me"), 403, "ACCOUNT_DISABLED")
    }
}

extension IssuerStage {
    fileprivate func narrowToken(by key: IssuerKey, subject: String = "mallory", role: String? = nil) async throws -> String {
        var token = HandSignedToken(issuer: Self.narrow, subject: subject, audience: .string(Self.audience), key: key)
        token.claims["role"] = role.map { .string($0) }
        return try await token.signed(by: key)
    }

    /// The accounts of that name, as an administrator sees them.
    fileprivate func accounts(named name: String) async throws -> [JSONValue] {
        let admin = client(try await server.data.token(account: "keeper", admin: true))
        guard case .array(let accounts) = try await admin.get("/admin/accounts?limit=500").json else { return [] }
        return accounts.filter { $0["name"]?.string == name }
    }
}
