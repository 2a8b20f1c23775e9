import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Tokens that were tampered with, ran out, or were made for something else.
@Suite struct TokenTests {
    struct Forgery: Sendable, CustomTestStringConvertible {
        var what: String
        /// Makes the token from a good one and the server's own key.
        var make: @Sendable (HandSignedToken, _ key: [UInt8], _ good: String) throws -> String
        var codes = ["UNAUTHENTICATED"]
        var testDescription: String { what }

        init(
            _ what: String, codes: [String] = ["UNAUTHENTICATED"],
            _ make: @escaping @Sendable (HandSignedToken, [UInt8], String) throws -> String
        ) {
            self.what = what
            self.codes = codes
            self.make = make
        }

        /// Rightly signed, with other claims.
        static func claims(_ what: String, _ change: @escaping @Sendable (inout [String: JSONValue]) -> Void) -> Forgery {
            Forgery(what) { token, key, _ in
                var token = token
                change(&token.claims)
                return try token.signed(with: key)
            }
        }

        /// Rightly signed by HS256, with another header.
        static func header(_ what: String, _ change: @escaping @Sendable (inout [String: JSONValue]) -> Void) -> Forgery {
            Forgery(what) { token, key, _ in
                var token = token
                change(&token.header)
                return try token.signed(with: key)
            }
        }
    }

    private static var now: Int64 { Int64(Date().timeIntervalSince1970) }

    static let forgeries: [Forgery] = [
        Forgery("alg none, no signature") { token, _, _ in
            var token = token
            token.header["alg"] = "none"
            return try token.signed(with: "")
        },
        Forgery("alg NONE, the old signature") { token, _, good in
            var token = token
            token.header["alg"] = "NONE"
            return try token.signed(with: String(good.split(separator: ".")[2]))
        },
        .header("alg none, signed") { $0["alg"] = "none" },
        .header("alg HS512 over HS256") { $0["alg"] = "HS512" },
        .header("alg RS256 over HMAC") { $0["alg"] = "RS256" },
        .header("alg ES256 over HMAC") { $0["alg"] = "ES256" },
        .header("alg EdDSA over HMAC") { $0["alg"] = "EdDSA" },
        .header("no alg") { $0["alg"] = nil },
        .header("alg a number") { $0["alg"] = 256 },
        .header("no kid") { $0["kid"] = nil },
        .header("an unknown kid") { $0["kid"] = "ffffffff" },
        .header("kid a path") { $0["kid"] = "../../dev/null" },
        .header("a critical extension") { $0["crit"] = ["exp"] },
        .header("a key in the header") {
            $0["jwk"] = ["kty": "oct", "k": "AAAA"]
            $0["kid"] = "own"
        },
        Forgery("another key") { token, _, _ in try token.signed(with: [UInt8](repeating: 1, count: 32)) },
        Forgery("an empty key") { token, _, _ in try token.signed(with: [UInt8]()) },
        Forgery("no signature") { token, _, _ in try token.signed(with: "") },
        Forgery("the signature of another token") { token, _, good in
            var token = token
            token.claims["role"] = "admin"
            return try token.signed(with: String(good.split(separator: ".")[2]))
        },
        Forgery("a flipped bit in the signature") { _, _, good in String(good.dropLast(2)) + (good.hasSuffix("AA") ? "BA" : "AA") },
        .claims("expired") { $0["exp"] = .integer(now - 1) },
        .claims("expired long ago") { $0["exp"] = 1 },
        .claims("no expiry") { $0["exp"] = nil },
        .claims("an expiry in words") { $0["exp"] = "never" },
        .claims("an expiry beyond all time") { $0["exp"] = .double(1e300) },
        .claims("not yet valid") { $0["nbf"] = .integer(now + 3600) },
        .claims("issued in the future") { $0["iat"] = .integer(now + 3600) },
        .claims("another audience") { $0["aud"] = "somebody-else" },
        .claims("no audience") { $0["aud"] = nil },
        .claims("the upload session's audience") { $0["aud"] = "drive-upload" },
        .claims("two audiences") { $0["aud"] = ["drive", "drive-upload"] },
        .claims("another issuer") { $0["iss"] = "https://evil.example" },
        .claims("no issuer") { $0["iss"] = nil },
        .claims("an unknown subject") { $0["sub"] = "00000000-0000-4000-8000-000000000000" },
        .claims("a subject that is no UUID") { $0["sub"] = "admin" },
        .claims("no subject") { $0["sub"] = nil },
        .claims("an id that is not on record") { $0["jti"] = "nosuchtokenatall00000000" },
        .claims("no id") { $0["jti"] = nil },
        Forgery("empty") { _, _, _ in "" },
        Forgery("not a token") { _, _, _ in "hunter2" },
        Forgery("two parts") { _, _, good in good.split(separator: ".").prefix(2).joined(separator: ".") },
        Forgery("four parts") { _, _, good in good + ".AAAA" },
        Forgery("padded") { _, _, good in good + "=" },
        Forgery("9 KiB") { token, key, _ in
            var token = token
            token.claims["x"] = .string(String(repeating: "x", count: 9000))
            return try token.signed(with: key)
        },
    ]

    @Test(arguments: forgeries) func aForgedTokenIsRefused(_ forgery: Forgery) async throws {
        let client = try await SharedServer.client("forged")
        let good = try #require(client.token)
        let token = try forgery.make(try #require(HandSignedToken(good)), await SharedServer.signingKey(), good)
        let reply = try await client.with(token: token).get("/files/me")
        expectRefusal(reply, 401)
        #expect(forgery.codes.contains(reply.error?.code ?? ""), "\(reply)")
        // The error tells the rule, and never the token.
        if token.count > 20 { #expect(!reply.text.contains(token.suffix(20))) }
    }

    /// The table's means are right: what is signed again unchanged is good.
    @Test func aTokenSignedByHandIsGood() async throws {
        let client = try await SharedServer.client("forged")
        let token = try #require(client.token.flatMap { HandSignedToken($0) })
        let again = try await token.signed(with: SharedServer.signingKey())
        #expect(try await client.with(token: again).get("/files/me").status == 200)
    }

    /// A user's token whose role was raised, rightly signed, is still the user's on record.
    @Test func theRoleOnRecordCounts() async throws {
        let client = try await SharedServer.client("forged")
        var token = try #require(client.token.flatMap { HandSignedToken($0) })
        token.claims["role"] = "admin"
        let raised = try await token.signed(with: SharedServer.signingKey())
        let reply = try await client.with(token: raised).get("/admin/accounts")
        expectRefusal(reply, [401, 403])
    }

    /// One account's token id does not open another's account.
    @Test func aTokenIdBelongsToItsAccount() async throws {
        let victim = try #require(try await SharedServer.client("forged-victim").token.flatMap { HandSignedToken($0) })
        let client = try await SharedServer.client("forged")
        var token = try #require(client.token.flatMap { HandSignedToken($0) })
        token.claims["sub"] = victim.claims["sub"]
        let reply = try await client.with(token: token.signed(with: SharedServer.signingKey())).get("/files/me")
        expectRefusal(reply, 401, "UNAUTHENTICATED")
    }

    @Test func onlyTheHeaderCountsAndOnlyBearer() async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("forged")
        let token = try #require(client.token)
        let anonymous = client.with(token: nil)
        expectRefusal(try await anonymous.get("/files/me?token=\(token)"), 401)
        expectRefusal(try await anonymous.get("/files/me?access_token=\(token)"), 401)
        expectRefusal(try await anonymous.get("/files/me", headers: [("Authorization", "Basic \(token)")]), 401)
        expectRefusal(try await anonymous.get("/files/me", headers: [("Authorization", token)]), 401)
        expectRefusal(try await anonymous.get("/files/me", headers: [("Cookie", "token=\(token)")]), 401)
        // The scheme's name has no case (RFC 9110 §11.1).
        #expect(try await anonymous.get("/files/me", headers: [("Authorization", "bearer \(token)")]).status == 200)
        // Two headers are one too many.
        let reply = try await RawConnection.exchange(
            port: server.port, RawConnection.request("GET /api/files/me", token: token, headers: ["Authorization: Bearer none"]))
        #expect([400, 401].contains(reply?.status ?? 0), "\(String(describing: reply))")
        // Tokens are not logged, good or bad.
        #expect(!server.log.contains(token.suffix(30)))
    }
}
