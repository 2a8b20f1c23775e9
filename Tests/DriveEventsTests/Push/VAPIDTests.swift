import Crypto
import DriveModel
import Foundation
import Testing

@testable import DriveEvents

@Suite struct VAPIDTests {
    private let signing = P256.Signing.PrivateKey()

    private func key() throws -> VAPIDKey {
        try VAPIDKey(privateKey: Base64URL.encode(signing.rawRepresentation), subject: "mailto:ops@example.org")
    }

    /// The two parts of an `Authorization` field.
    private func parts(_ field: String) throws -> (token: ReadToken, key: P256.Signing.PublicKey) {
        try #require(field.hasPrefix("vapid t="))
        let halves = field.dropFirst(8).split(separator: ",", omittingEmptySubsequences: false)
        try #require(halves.count == 2 && halves[1].hasPrefix(" k="))
        let point = try #require(ReadToken.bytes(String(halves[1].dropFirst(3))))
        return (try #require(ReadToken(String(halves[0]))), try P256.Signing.PublicKey(x963Representation: point))
    }

    /// RFC 8292 section 2.4: signatures differ each time, so the example shows that the check is right.
    @Test func theCheckOfTheseTestsTakesTheSpecificationsExample() throws {
        let (token, key) = try parts(
            "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6"
                + "Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA"
                + ", k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs")
        #expect(token.isSigned(es256: key))
        #expect(token.claims["aud"] == "https://push.example.net")
        #expect(!token.isSigned(es256: P256.Signing.PrivateKey().publicKey))
    }

    @Test func saysWhoForWhomAndHowLong() throws {
        let clock = PushClock()
        let (token, key) = try parts(VAPIDTokens(key: key()).authorization(audience: "https://push.example", now: clock.now))
        #expect(key.rawRepresentation == signing.publicKey.rawRepresentation)
        #expect(token.isSigned(es256: key))
        #expect(token.header == ["alg": "ES256", "typ": "JWT"])
        #expect(
            token.claims == [
                "aud": "https://push.example", "exp": .integer(clock.now.seconds + 12 * 3600), "sub": "mailto:ops@example.org",
            ])
    }

    @Test func isKeptForHalfOfItsLife() throws {
        let (clock, tokens) = (PushClock(), VAPIDTokens(key: try key()))
        func token(_ audience: String = "https://a.example") throws -> String {
            try tokens.authorization(audience: audience, now: clock.now)
        }
        let first = try token()
        clock.advance(by: .seconds(6 * 3600 - 1))
        #expect(try token() == first)
        #expect(try token("https://b.example") != first)
        clock.advance(by: .seconds(1))
        let second = try token()
        #expect(second != first)
        // Set back: a token that expires more than 24 hours from now would be refused.
        clock.advance(by: .seconds(-86_400))
        #expect(try token() != second)
    }

    @Test func keepsNoMoreServicesThanAFew() throws {
        let tokens = VAPIDTokens(key: try key())
        for number in 0..<(VAPIDTokens.capacity + 20) {
            _ = try tokens.authorization(audience: "https://\(number).example", now: Timestamp(seconds: Int64(number)))
        }
        #expect(tokens.count == VAPIDTokens.capacity)
    }

    @Test func readsTheUsualForms() throws {
        #expect(try VAPIDKey(privateKey: signing.pemRepresentation, subject: "https://example.org/contact").publicKey == key().publicKey)
        let generated = try VAPIDKey(privateKey: VAPIDKey.generatePrivateKey() + "\n", subject: "mailto:a@b")
        #expect(ReadToken.bytes(generated.publicKey)?.count == 65)
    }

    @Test(arguments: [
        "", "AAAA", String(repeating: "A", count: 43), "not base64!", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ])
    func refusesOtherKeysWithoutRepeatingThem(_ text: String) throws {
        let error = #expect(throws: PushCredentialsError.self) { try VAPIDKey(privateKey: text, subject: "mailto:a@b") }
        #expect(error?.field == "vapid private key")
        #expect(error?.description == "vapid private key is not a P-256 key, 32 bytes in base64url or PEM")
    }

    @Test(arguments: ["", "ops@example.org", "mailto:", "mailto:@", "mailto:a b@c", "http://example.org", "https://"])
    func refusesOtherSubjects(_ subject: String) throws {
        let error = #expect(throws: PushCredentialsError.self) {
            try VAPIDKey(privateKey: VAPIDKey.generatePrivateKey(), subject: subject)
        }
        #expect(error?.field == "vapid subject")
    }
}
