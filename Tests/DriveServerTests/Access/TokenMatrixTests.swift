import Crypto
import CryptoExtras
import DriveModel
import Foundation
import JWTKit
import Testing

@testable import DriveServer

/// What is done to a good token, and why it must be refused.
struct Forgery: Sendable, CustomTestStringConvertible {
    var name: String
    var reason: TokenFault
    var header: @Sendable (inout Forge.Fields) -> Void = { _ in }
    var claims: @Sendable (inout Forge.Fields) -> Void = { _ in }
    var testDescription: String { name }
}

@Suite struct TokenMatrixTests {
    static let now = ManualTime.start.seconds

    static let forgeries: [Forgery] = [
        Forgery(name: "alg none", reason: .wrongAlgorithm, header: { $0["alg"] = "none" }),
        Forgery(name: "alg nOnE", reason: .wrongAlgorithm, header: { $0["alg"] = "nOnE" }),
        Forgery(name: "alg hs256 in small letters", reason: .wrongAlgorithm, header: { $0["alg"] = "hs256" }),
        Forgery(name: "alg HS512", reason: .wrongAlgorithm, header: { $0["alg"] = "HS512" }),
        Forgery(name: "alg RS256", reason: .wrongAlgorithm, header: { $0["alg"] = "RS256" }),
        Forgery(name: "no alg", reason: .malformed, header: { $0["alg"] = nil }),
        Forgery(name: "alg is a list", reason: .malformed, header: { $0["alg"] = ["HS256"] }),
        Forgery(name: "wrong kid", reason: .unknownKey, header: { $0["kid"] = "00000000" }),
        Forgery(name: "no kid", reason: .unknownKey, header: { $0["kid"] = nil }),
        Forgery(name: "kid is a number", reason: .malformed, header: { $0["kid"] = 1 }),
        Forgery(name: "crit", reason: .criticalExtension, header: { $0["crit"] = ["exp"] }),
        Forgery(name: "crit null", reason: .criticalExtension, header: { $0["crit"] = .null }),
        Forgery(name: "expired", reason: .expired, claims: { $0["exp"] = .integer(now - 31) }),
        Forgery(name: "expires as the leeway ends", reason: .expired, claims: { $0["exp"] = .integer(now - 30) }),
        Forgery(name: "no exp", reason: .noExpiry, claims: { $0["exp"] = nil }),
        Forgery(name: "exp is a text", reason: .malformed, claims: { $0["exp"] = "4102444800" }),
        Forgery(name: "exp is huge", reason: .malformed, claims: { $0["exp"] = .double(1e300) }),
        Forgery(name: "not yet valid", reason: .notYetValid, claims: { $0["nbf"] = .integer(now + 31) }),
        Forgery(name: "issued in the future", reason: .issuedInFuture, claims: { $0["iat"] = .integer(now + 31) }),
        Forgery(name: "wrong audience", reason: .wrongAudience, claims: { $0["aud"] = "other" }),
        Forgery(name: "no audience", reason: .wrongAudience, claims: { $0["aud"] = nil }),
        Forgery(name: "both of our audiences", reason: .wrongAudience, claims: { $0["aud"] = ["drive", "drive-upload"] }),
        Forgery(name: "upload audience without task", reason: .incomplete, claims: { $0["aud"] = "drive-upload" }),
        Forgery(name: "worker audience without kinds", reason: .incomplete, claims: { $0["aud"] = "drive-worker" }),
        Forgery(
            name: "kinds are no texts", reason: .incomplete,
            claims: { $0.merge(["aud": "drive-worker", "kinds": [1]]) { $1 } }),
        Forgery(
            name: "unknown scope", reason: .incomplete,
            claims: { $0.merge(["aud": "drive-worker", "kinds": [], "scope": "some"]) { $1 } }),
        Forgery(
            name: "an account's record for a worker's token", reason: .unknownToken,
            claims: { $0.merge(["aud": "drive-worker", "kinds": [], "scope": "all"]) { $1 } }),
        Forgery(name: "unknown issuer", reason: .unknownIssuer, claims: { $0["iss"] = "https://evil.example" }),
        Forgery(name: "no issuer", reason: .unknownIssuer, claims: { $0["iss"] = nil }),
        Forgery(name: "issuer of another key", reason: .wrongAlgorithm, claims: { $0["iss"] = "rsa" }),
        Forgery(name: "subject is no UUID", reason: .incomplete, claims: { $0["sub"] = "alice" }),
        Forgery(name: "unknown role", reason: .incomplete, claims: { $0["role"] = "root" }),
        Forgery(name: "unknown account", reason: .unknownAccount, claims: { $0["sub"] = "00000000-0000-4000-8000-000000000000" }),
        Forgery(name: "unknown token", reason: .unknownToken, claims: { $0["jti"] = "nobody" }),
    ]

    private static func rsaIssuer() throws -> (DriveConfiguration.Issuer, _RSA.Signing.PrivateKey, pem: String) {
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let pem = key.publicKey.pemRepresentation
        return (.init(issuer: "rsa", audience: "drive", keys: .pem(text: pem), algorithms: [.rs256], roleClaim: "roles"), key, pem)
    }

    private static func ownToken(
        _ fixture: AccessFixture, _ issued: IssuedToken, header change: (inout Forge.Fields) -> Void = { _ in },
        claims changeClaims: (inout Forge.Fields) -> Void = { _ in }
    ) throws -> String {
        var header: Forge.Fields = ["alg": "HS256", "kid": .string(fixture.key.id), "typ": "JWT"]
        var claims: Forge.Fields = [
            "iss": "drive", "aud": "drive", "sub": .string(issued.record.accountId.uuidString), "jti": .string(issued.record.id),
            "role": .string(issued.record.role.rawValue), "iat": .integer(now), "exp": .integer(now + 600),
        ]
        change(&header)
        changeClaims(&claims)
        return try Forge.token(header: header, claims: claims) { fixture.key.sign($0) }
    }

    @Test func forgedTokensAreRefusedEachByItsRule() async throws {
        try await withAccess(issuers: [Self.rsaIssuer().0]) { access in
            let (_, issued) = try await access.accountToken()
            #expect(try await access.refusal(Self.ownToken(access, issued)) == nil, "the untouched token is good")
            for forgery in Self.forgeries {
                let token = try Self.ownToken(access, issued, header: forgery.header, claims: forgery.claims)
                #expect(await access.refusal(token) == forgery.reason.error, "\(forgery.name)")
            }
        }
    }

    @Test func leewayAndListedAudienceAreAccepted() async throws {
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            let token = try Self.ownToken(access, issued) {
                $0["exp"] = .integer(Self.now - 29)
                $0["nbf"] = .integer(Self.now + 30)
                $0["iat"] = .double(Double(Self.now) + 29.5)
                $0["aud"] = ["drive"]
            }
            #expect(await access.refusal(token) == nil)
        }
    }

    @Test func garbageIsRefused() async throws {
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            let good = issued.token
            let parts = good.split(separator: ".").map(String.init)
            let deep = Base64URL.encode(Array((String(repeating: "[", count: 3000) + String(repeating: "]", count: 3000)).utf8))
            let cases = [
                "", ".", "..", "...", "a.b.c", "Bearer " + good, good + ".", good + ".x", "." + good, good + "=", " " + good,
                parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".", parts[0] + ".." + parts[2],
                deep + "." + parts[1] + "." + parts[2],
                "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA", String(decoding: [0xFF, 0xFE, 0x2E, 0x2E], as: UTF8.self),
            ]
            for token in cases {
                let refusal = await access.refusal(token)
                #expect(refusal?.code == .unauthenticated, "\(token.prefix(80))")
            }
        }
    }

    @Test func everyTamperedByteIsNoticed() async throws {
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            let good = Array(issued.token.utf8)
            for index in stride(from: 0, to: good.count, by: 3) {
                var bytes = good
                bytes[index] = bytes[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                let refusal = await access.refusal(String(decoding: bytes, as: UTF8.self))
                #expect(refusal?.code == .unauthenticated, "byte \(index)")
            }
            #expect(await access.refusal(issued.token) == nil)
        }
    }

    @Test func tokensOver8KiBAreRefusedUnread() async throws {
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            let long = try Self.ownToken(access, issued) { $0["padding"] = .string(String(repeating: "x", count: 6200)) }
            #expect(long.utf8.count > 8192)
            #expect(await access.refusal(long) == TokenFault.tooLong.error)
            let fitting = try Self.ownToken(access, issued) { $0["padding"] = .string(String(repeating: "x", count: 5000)) }
            #expect(await access.refusal(fitting) == nil)
        }
    }

    @Test func aPublicKeyIsNoSharedSecret() async throws {
        let (issuer, key, pem) = try Self.rsaIssuer()
        try await withAccess(issuers: [issuer]) { access in
            let claims: Forge.Fields = ["iss": "rsa", "aud": "drive", "sub": "eve", "exp": .integer(Self.now + 600), "roles": ["admin"]]
            for secret in [pem, pem.trimmingCharacters(in: .newlines)] {
                let confused = try Forge.token(header: ["alg": "HS256"], claims: claims) { bytes in
                    Array(HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: Array(secret.utf8))))
                }
                #expect(await access.refusal(confused) == TokenFault.wrongAlgorithm.error)
                let claimedRSA = try Forge.token(header: ["alg": "RS256"], claims: claims) { bytes in
                    Array(HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: Array(secret.utf8))))
                }
                #expect(await access.refusal(claimedRSA) == TokenFault.badSignature.error)
            }
            let honest = try Forge.token(header: ["alg": "RS256"], claims: claims) { bytes in
                Array(try key.signature(for: SHA256.hash(data: bytes), padding: .insecurePKCS1v1_5).rawRepresentation)
            }
            let identity = try await access.verifier.verify(honest)
            #expect(identity.role == .admin)
            #expect(identity.tokenId == nil)
        }
    }

    @Test func keysInsideATokenAreNeverUsed() async throws {
        let trusted = ES256PrivateKey()
        let attacker = ES256PrivateKey()
        let issuer = DriveConfiguration.Issuer(
            issuer: "ec", audience: "drive", keys: .pem(text: trusted.publicKey.pemRepresentation), algorithms: [.es256])
        try await withAccess(issuers: [issuer]) { access in
            let parameters = try #require(attacker.publicKey.parameters)
            let jwk: JSONValue = ["kty": "EC", "crv": "P-256", "x": .string(parameters.x), "y": .string(parameters.y), "kid": "k"]
            access.fetcher.set("https://evil.example/keys", try DriveJSON.text(JSONValue.object(["keys": .array([jwk])])))
            let sign = Forge.signer(try await JWTKeyCollection().add(ecdsa: attacker).getKey())
            let claims: Forge.Fields = ["iss": "ec", "aud": "drive", "sub": "eve", "exp": .integer(Self.now + 600)]
            let headers: [Forge.Fields] = [
                ["jku": "https://evil.example/keys"], ["x5u": "https://evil.example/keys"], ["jwk": jwk],
                ["x5c": ["MIIB"]],
            ]
            for extra in headers {
                let header = extra.merging(["alg": "ES256", "kid": "k"]) { first, _ in first }
                let token = try Forge.token(header: header, claims: claims, sign: sign)
                #expect(await access.refusal(token) == TokenFault.badSignature.error)
            }
            #expect(access.fetcher.urls.isEmpty)
        }
    }

    @Test func algorithmsOfExternalKeys() async throws {
        let ec = ES256PrivateKey()
        let ed = try EdDSA.PrivateKey(curve: .ed25519)
        let issuers: [DriveConfiguration.Issuer] = [
            .init(issuer: "ec", audience: "drive", keys: .pem(text: ec.publicKey.pemRepresentation), algorithms: [.es256]),
            .init(issuer: "ed", audience: "drive", keys: .pem(text: ed.publicKey.pemRepresentation), algorithms: [.edDSA]),
        ]
        try await withAccess(issuers: issuers) { access in
            let signers = [
                "ec": ("ES256", Forge.signer(try await JWTKeyCollection().add(ecdsa: ec).getKey())),
                "ed": ("EdDSA", Forge.signer(try await JWTKeyCollection().add(eddsa: ed).getKey())),
            ]
            for claimed in ["ec", "ed"] {
                for (signed, (algorithm, sign)) in signers {
                    let claims: Forge.Fields = [
                        "iss": .string(claimed), "aud": ["x", "drive"], "sub": "bob", "exp": .integer(Self.now + 60),
                    ]
                    let token = try Forge.token(header: ["alg": .string(algorithm)], claims: claims, sign: sign)
                    #expect(await access.refusal(token) == (claimed == signed ? nil : TokenFault.wrongAlgorithm.error))
                }
            }
        }
    }

    /// What is done to the claims of a good external token, and why it must be refused.
    static let externalClaims: [(String, JSONValue?, TokenFault)] = [
        ("aud", "other", .wrongAudience), ("aud", ["a", "b"], .wrongAudience), ("aud", nil, .wrongAudience),
        ("aud", "drive-upload", .wrongAudience), ("exp", .integer(now - 30), .expired), ("exp", nil, .noExpiry),
        ("nbf", .integer(now + 31), .notYetValid), ("iat", .integer(now + 31), .issuedInFuture), ("sub", nil, .incomplete),
        ("sub", "", .incomplete), ("sub", 7, .incomplete), ("sub", "a\u{0}b", .incomplete),
        ("sub", .string(String(repeating: "x", count: 256)), .incomplete), ("iss", "EC", .unknownIssuer), ("iss", "drive", .unknownKey),
    ]

    @Test func claimsOfExternalTokens() async throws {
        let key = ES256PrivateKey()
        let issuer = DriveConfiguration.Issuer(
            issuer: "ec", audience: "files", keys: .pem(text: key.publicKey.pemRepresentation), algorithms: [.es256])
        try await withAccess(issuers: [issuer]) { access in
            let sign = Forge.signer(try await JWTKeyCollection().add(ecdsa: key).getKey())
            let good: Forge.Fields = ["iss": "ec", "aud": "files", "sub": "bob", "exp": .integer(Self.now + 60)]
            let token = try Forge.token(header: ["alg": "ES256"], claims: good, sign: sign)
            #expect(await access.refusal(token) == nil)
            for (claim, value, reason) in Self.externalClaims {
                var claims = good
                claims[claim] = value
                let token = try Forge.token(header: ["alg": "ES256"], claims: claims, sign: sign)
                #expect(await access.refusal(token) == reason.error, "\(claim) \(String(describing: value))")
            }
            #expect(try await access.directory.accounts().count == 1, "a refused token makes no account")
        }
    }

    @Test func unfitKeysStopTheStart() async throws {
        let weak = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024)).publicKey.pemRepresentation
        let ec = ES256PrivateKey().publicKey.pemRepresentation
        let issuers: [DriveConfiguration.Issuer] = [
            .init(issuer: "weak", audience: "a", keys: .pem(text: weak), algorithms: [.rs256]),
            .init(issuer: "kind", audience: "a", keys: .pem(text: ec), algorithms: [.rs256]),
            .init(issuer: "two", audience: "a", keys: .pem(text: ec), algorithms: [.rs256, .es256]),
            .init(issuer: "none", audience: "a", keys: .pem(text: "-----BEGIN PUBLIC KEY-----"), algorithms: [.es256]),
            .init(issuer: "file", audience: "a", keys: .pemFile(path: "/nonexistent.pem"), algorithms: [.es256]),
            .init(issuer: "http", audience: "a", keys: .jwks(url: "http://id.example/keys"), algorithms: [.es256]),
            .init(issuer: "drive", audience: "a", keys: .pem(text: ec), algorithms: [.es256]),
        ]
        for issuer in issuers {
            await #expect(throws: SecretError.self, "\(issuer.issuer)") { try await withAccess(issuers: [issuer]) { _ in } }
        }
    }

    @Test func ourTokensAreOrdinaryJWTs() async throws {
        struct Claims: JWTPayload {
            var iss: IssuerClaim
            var aud: AudienceClaim
            var exp: ExpirationClaim
            func verify(using algorithm: some JWTAlgorithm) async throws { try aud.verifyIntendedAudience(includes: "drive") }
        }
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            let keys = await JWTKeyCollection().add(
                hmac: HMACKey(from: access.keyBytes), digestAlgorithm: .sha256, kid: JWKIdentifier(string: access.key.id))
            let claims = try await keys.verify(issued.token, as: Claims.self)
            #expect(claims.iss.value == "drive")
            #expect(claims.exp.value.timeIntervalSince1970 == Double(issued.record.expiresAt.seconds))
        }
    }

    @Test func uploadSessionTokenStandsForOneUpload() async throws {
        try await withAccess { access in
            let (account, _) = try await access.accountToken(role: .admin)
            let token = try access.issuer.uploadSessionToken(
                accountId: account.id, taskId: "task1", serial: 3, expiresAt: access.time.now + .seconds(60))
            let identity = try await access.verifier.verify(token)
            #expect(
                identity
                    == Identity(
                        accountId: account.id, role: .user, tokenId: nil, kind: .uploadSession(taskId: "task1", serial: 3), name: "alice",
                        goodUntil: identity.goodUntil))
            #expect(identity.goodUntil >= access.time.now + .seconds(60))
            access.time.advance(by: .seconds(91))
            #expect(await access.refusal(token) == TokenFault.expired.error, "a cached token expires too")
        }
    }
}
