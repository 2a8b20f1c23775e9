import DriveModel
import EngineTestSupport
import JWTKit
import Logging
import Testing

@testable import DriveServer

@Suite struct KeySetTests {
    static let url = "https://id.example/keys"
    static let issuer = DriveConfiguration.Issuer(
        issuer: "https://id.example", audience: "drive", keys: .jwks(url: url), algorithms: [.es256, .edDSA])

    struct Key {
        let id: String
        let key = ES256PrivateKey()

        var jwk: JSONValue {
            let parameters = key.publicKey.parameters ?? ("", "")
            return [
                "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": .string(id), "x": .string(parameters.x),
                "y": .string(parameters.y),
            ]
        }

        func token(
            _ access: AccessFixture, kid: String? = nil, issuer: String = KeySetTests.issuer.issuer, subject: String = "carol"
        ) async throws -> String {
            let claims: Forge.Fields = [
                "iss": .string(issuer), "aud": "drive", "sub": .string(subject), "exp": .integer(access.time.now.seconds + 86_400),
                "nonce": .string(Surroundings.system.newIdentifier()),
            ]
            let header: Forge.Fields = ["alg": "ES256", "kid": .string(kid ?? id)]
            let sign = Forge.signer(try await JWTKeyCollection().add(ecdsa: key).getKey())
            return try Forge.token(header: header, claims: claims, sign: sign)
        }
    }

    static func serve(_ access: AccessFixture, _ keys: [JSONValue]) throws {
        access.fetcher.set(url, try DriveJSON.text(JSONValue.object(["keys": .array(keys)])))
    }

    @Test func rotation() async throws {
        try await withAccess(issuers: [Self.issuer]) { access in
            let (old, new) = (Key(id: "old"), Key(id: "new"))
            try Self.serve(access, [old.jwk])
            let oldToken = try await old.token(access)
            #expect(await access.refusal(oldToken) == nil)
            #expect(try await access.refusal(old.token(access)) == nil)
            #expect(access.fetcher.urls.count == 1, "one fetch serves all tokens")

            try Self.serve(access, [new.jwk])
            #expect(try await access.refusal(new.token(access)) == TokenFault.unknownKey.error, "fetched less than 30 s ago")
            #expect(access.fetcher.urls.count == 1)
            access.time.advance(by: .seconds(30))
            #expect(try await access.refusal(new.token(access)) == nil)
            #expect(access.fetcher.urls.count == 2)
            #expect(await access.refusal(oldToken) == TokenFault.unknownKey.error, "a token cached with a withdrawn key is not served")
        }
    }

    @Test func withdrawnKeyEndsWithTheLifetime() async throws {
        try await withAccess(issuers: [Self.issuer]) { access in
            let key = Key(id: "a")
            try Self.serve(access, [key.jwk])
            let token = try await key.token(access)
            #expect(await access.refusal(token) == nil)
            try Self.serve(access, [Key(id: "b").jwk])
            access.time.advance(by: .seconds(599))
            #expect(await access.refusal(token) == nil)
            access.time.advance(by: .seconds(1))
            #expect(await access.refusal(token) == TokenFault.unknownKey.error)
        }
    }

    @Test func unknownKeysCauseOneFetchAtMost() async throws {
        try await withAccess(issuers: [Self.issuer]) { access in
            try Self.serve(access, [Key(id: "a").jwk])
            let stranger = Key(id: "stranger")
            let tokens = try await (0..<50).asyncMap { try await stranger.token(access, kid: "guess-\($0)") }
            await withTaskGroup(of: Void.self) { group in
                for token in tokens {
                    group.addTask { #expect(await access.refusal(token) == TokenFault.unknownKey.error) }
                }
            }
            #expect(access.fetcher.urls.count == 1)
            // Nor do unknown issuers, and neither is worth a line in the log.
            for index in 0..<5 {
                let refusal = await access.refusal(try await stranger.token(access, issuer: "https://\(index).example"))
                #expect(refusal == TokenFault.unknownIssuer.error)
            }
            #expect(access.fetcher.urls.count == 1)
            #expect(access.log.texts.isEmpty)
        }
    }

    @Test(arguments: [1, 30, 300]) func theRefetchIntervalIsASetting(seconds: Int) async throws {
        try await withAccess(issuers: [Self.issuer], refetchInterval: .seconds(seconds)) { access in
            let key = Key(id: "a")
            for fetches in 1...3 {
                let tokens = try await (0..<5).asyncMap { _ in try await key.token(access) }
                for token in tokens { #expect(await access.refusal(token)?.retryAfter == seconds) }
                #expect(access.fetcher.urls.count == fetches)
                access.time.advance(by: .seconds(seconds) - .milliseconds(700))
                #expect(await access.refusal(tokens[0])?.retryAfter == 1, "700 ms, rounded up")
                #expect(access.fetcher.urls.count == fetches)
                access.time.advance(by: .milliseconds(700))
            }
        }
    }

    /// The interval begins at the end of a fetch: else a request would wait for one fetch after the other.
    @Test(.timeLimit(.minutes(1))) func aFetchLongerThanTheInterval() async throws {
        try await withAccess(issuers: [Self.issuer], refetchInterval: .seconds(1)) { access in
            let time = access.time
            access.fetcher.during { time.advance(by: .seconds(5)) }
            let refusal = await access.refusal(try await Key(id: "a").token(access))
            #expect(refusal?.code == .issuerUnavailable)
            #expect(access.fetcher.urls.count == 1)
        }
    }

    @Test func anOutageIsLoggedWhenItBeginsAndWhenItIsOver() async throws {
        try await withAccess(issuers: [Self.issuer]) { access in
            let key = Key(id: "a")
            for outage in 1...2 {
                access.fetcher.set(Self.url, nil)
                for _ in 0..<3 {
                    for kid in ["a", "b", "c"] {
                        #expect(try await access.refusal(key.token(access, kid: kid))?.code == .issuerUnavailable)
                    }
                    access.time.advance(by: .seconds(30))
                }
                #expect(access.fetcher.urls.count == 4 * outage - 1)
                #expect(access.log.levels.count == 2 * outage - 1)
                #expect(access.log.levels.last == .warning)
                #expect(access.log.texts.last?.contains("Unreachable") == true, "the log names the cause")

                try Self.serve(access, [key.jwk])
                for _ in 0..<3 { #expect(try await access.refusal(key.token(access)) == nil) }
                #expect(access.log.levels.count == 2 * outage)
                #expect(access.log.levels.last == .notice)
                #expect(access.log.texts.last?.contains("90") == true, "and how long it lasted")
                #expect(access.log.texts.allSatisfy { $0.contains(Self.url) })
                access.time.advance(by: .seconds(4000))
            }
        }
    }

    @Test func anIssuerThatDoesNotAnswer() async throws {
        try await withAccess(issuers: [Self.issuer]) { access in
            let key = Key(id: "a")
            #expect(try await access.refusal(key.token(access))?.code.category == .unavailable)
            #expect(try await access.refusal(key.token(access))?.code.category == .unavailable)
            #expect(access.fetcher.urls.count == 1, "the next attempt comes 30 s later")
            try Self.serve(access, [key.jwk])
            access.time.advance(by: .seconds(30))
            #expect(try await access.refusal(key.token(access)) == nil)

            access.fetcher.set(Self.url, nil)
            access.time.advance(by: .seconds(3000))
            #expect(try await access.refusal(key.token(access)) == nil, "known keys outlive a short outage")
            access.time.advance(by: .seconds(600))
            #expect(try await access.refusal(key.token(access))?.code.category == .unavailable)
        }
    }

    @Test func repliesThatAreNoKeySet() async throws {
        let key = Key(id: "a")
        let padding = JSONValue.string(String(repeating: "x", count: 256 * 1024))
        let large = try DriveJSON.text(JSONValue.object(["keys": .array([key.jwk]), "padding": padding]))
        for reply in ["", "<html>", "[]", "{}", #"{"keys":{}}"#, #"{"keys":[]}"#, #"{"keys":[null,1,"x"]}"#, large] {
            try await withAccess(issuers: [Self.issuer]) { access in
                access.fetcher.set(Self.url, reply)
                let refusal = await access.refusal(try await key.token(access))
                #expect(refusal?.code.category == .unavailable, "\(reply.prefix(40))")
            }
        }
    }

    /// Each stands beside a good key, which stays usable.
    static let uselessKeys: [(String, JSONValue)] = [
        ("secret", ["kty": "oct", "kid": "a", "k": "AAAA"]),
        ("for encryption", ["use": "enc"]),
        ("of another algorithm", ["alg": "ES384"]),
        ("of another curve", ["crv": "P-384"]),
        ("for other operations", ["key_ops": ["deriveBits"]]),
        ("no point of the curve", ["x": "AAAA"]),
        ("algorithm not allowed", ["kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RS256"]),
    ]

    @Test(arguments: uselessKeys.map(\.0)) func keysThatAreNotToBeUsed(name: String) async throws {
        let change = try #require(Self.uselessKeys.first { $0.0 == name }?.1.object)
        try await withAccess(issuers: [Self.issuer]) { access in
            let (key, good) = (Key(id: "a"), Key(id: "good"))
            let changed = (key.jwk.object ?? [:]).merging(change) { _, new in new }
            try Self.serve(access, [.object(changed), good.jwk])
            #expect(try await access.refusal(key.token(access)) == TokenFault.unknownKey.error)
            #expect(try await access.refusal(good.token(access)) == nil)
        }
    }

    @Test func weakRSAKeysAreLeftOut() async throws {
        for (bits, isUsable) in [(1024, false), (2040, false), (2048, true)] {
            let modulus = Base64URL.encode([UInt8](repeating: 0xC5, count: bits / 8))
            let jwk: JSONValue = ["kty": "RSA", "n": .string(modulus), "e": "AQAB"]
            let key = await VerificationKey(jwk: jwk, allowed: [.rs256])
            #expect((key != nil) == isUsable, "\(bits) bits")
        }
    }
}

extension Sequence where Element: Sendable {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
