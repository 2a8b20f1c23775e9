import DriveModel
import JWTKit
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

        func token(_ access: AccessFixture, kid: String? = nil, subject: String = "carol") async throws -> String {
            let claims: Forge.Fields = [
                "iss": "https://id.example", "aud": "drive", "sub": .string(subject), "exp": .integer(access.time.now.seconds + 86_400),
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
