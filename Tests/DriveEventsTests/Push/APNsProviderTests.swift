import Crypto
import DriveModel
import Foundation
import Testing

@testable import DriveEvents

@Suite struct APNsProviderTests {
    private let clock = PushClock()

    private func provider(_ transport: ScriptedTransport) throws -> APNsProvider {
        try APNsProvider(credentials: PushSamples.apnsCredentials(), transport: transport, surroundings: clock.surroundings())
    }

    private func token(_ request: PushRequest?) throws -> ReadToken {
        let field = try #require(request?.header("authorization"))
        try #require(field.hasPrefix("bearer "))
        return try #require(ReadToken(String(field.dropFirst(7))))
    }

    @Test func anAlert() async throws {
        let transport = ScriptedTransport(.status(200))
        let options = try PushSamples.options(collapseKey: "task-1")
        #expect(
            await (try provider(transport)).send(PushSamples.notification, to: try PushSamples.apnsDevice(), options: options) == .delivered
        )
        let request = try #require(transport.requests.first)
        #expect(request.method == "POST")
        #expect(request.url == "https://api.push.apple.com/3/device/" + String(repeating: "a1", count: 32))
        #expect(request.needsHTTP2)
        #expect(request.destination == .trusted)
        #expect(request.header("apns-topic") == "org.example.drive")
        #expect(request.header("apns-push-type") == "alert")
        #expect(request.header("apns-priority") == "10")
        #expect(request.header("apns-expiration") == String(clock.now.seconds + 3600))
        #expect(request.header("apns-collapse-id") == "task-1")
        #expect(request.header("apns-id") == PushSamples.id)
        #expect(
            request.object == [
                "aps": ["alert": ["title": "Done", "subtitle": "Holiday.zip", "body": "42 files are packed"], "sound": "default"],
                "topic": "task.completed", "meta": ["taskId": "t1", "count": 42], "actionUri": "/tasks/t1",
            ])
        let token = try token(request)
        #expect(token.isSigned(es256: PushSamples.apnsKey.publicKey))
        #expect(token.header == ["alg": "ES256", "typ": "JWT", "kid": "ABC123DEFG"])
        #expect(token.claims == ["iss": "TEAM123456", "iat": .integer(clock.now.seconds)])
    }

    @Test func aSilentOneIsABackgroundNotification() async throws {
        let transport = ScriptedTransport(.status(200))
        let options = try PushSamples.options(ttl: .zero, urgency: .high)
        _ = await (try provider(transport)).send(PushSamples.silent, to: try PushSamples.apnsDevice(), options: options)
        let request = try #require(transport.requests.first)
        #expect(request.header("apns-push-type") == "background")
        #expect(request.header("apns-priority") == "5")
        #expect(request.header("apns-expiration") == "0")
        #expect(request.header("apns-collapse-id") == nil)
        #expect(request.object == ["aps": ["content-available": 1], "topic": "sync", "meta": ["cursor": "c1"]])
    }

    @Test(arguments: [(PushOptions.Urgency.veryLow, "5"), (.low, "5"), (.normal, "10"), (.high, "10")])
    func urgencyIsPriority(_ urgency: PushOptions.Urgency, priority: String) async throws {
        let transport = ScriptedTransport(.status(200))
        _ = await (try provider(transport)).send(
            PushSamples.notification, to: try PushSamples.apnsDevice(), options: try PushSamples.options(urgency: urgency))
        #expect(transport.requests.first?.header("apns-priority") == priority)
    }

    @Test func theTokenIsRenewedBetween20And60Minutes() throws {
        let tokens = APNsTokens(credentials: try PushSamples.apnsCredentials())
        let first = try tokens.token(now: clock.now)
        clock.advance(by: .seconds(40 * 60 - 1))
        #expect(try tokens.token(now: clock.now) == first)
        clock.advance(by: .seconds(1))
        let second = try tokens.token(now: clock.now)
        #expect(second != first)
        clock.advance(by: .seconds(-5))
        #expect(try tokens.token(now: clock.now) != second)
    }

    /// The server's clock and Apple's disagree: one new token, where the old one has had its time.
    @Test(arguments: [(19, 1), (21, 2)])
    func anExpiredTokenIsReplacedOnce(_ minutes: Int, requests: Int) async throws {
        let expired = ScriptedTransport.Step.status(403, #"{"reason":"ExpiredProviderToken"}"#)
        let transport = ScriptedTransport(.status(200), expired, expired)
        let provider = try provider(transport)
        let (device, options) = (try PushSamples.apnsDevice(), try PushSamples.options())
        _ = await provider.send(PushSamples.notification, to: device, options: options)
        clock.advance(by: .seconds(minutes * 60))
        #expect(await provider.send(PushSamples.notification, to: device, options: options) == APNsProvider.expiredToken)
        #expect(transport.requests.count == 1 + requests)
        let issued = try transport.requests.map { try token($0).claims["iat"] }
        #expect(issued.last == .integer(clock.now.seconds - (requests == 1 ? Int64(minutes * 60) : 0)))
    }

    @Test(arguments: [
        "", "a1", String(repeating: "a", count: 63), String(repeating: "a", count: 65), String(repeating: "g", count: 64),
        String(repeating: "a", count: 202), String(repeating: "a", count: 62) + "/.", String(repeating: "é", count: 32),
    ])
    func otherDeviceTokensAreRefused(_ text: String) {
        #expect(APNsDeviceToken(text) == nil)
    }

    @Test func mistakesInTheSettingsNameTheField() throws {
        let pem = PushSamples.apnsKey.pemRepresentation
        func field(
            _ key: String = PushSamples.apnsKey.pemRepresentation, keyID: String = "ABC123DEFG", teamID: String = "TEAM123456",
            topic: String = "a.b"
        ) -> String? {
            do throws(PushCredentialsError) {
                _ = try APNsCredentials(key: key, keyID: keyID, teamID: teamID, topic: topic)
                return nil
            } catch {
                return error.field
            }
        }
        #expect(field(pem + "\n\n") == nil)
        #expect(field(PushSamples.apnsKey.pemRepresentation.replacingOccurrences(of: "M", with: "x")) == "apns key")
        #expect(field(P384.Signing.PrivateKey().pemRepresentation) == "apns key")
        #expect(field("") == "apns key")
        #expect(field(keyID: "short") == "apns key id")
        #expect(field(teamID: "with space") == "apns team id")
        #expect(field(topic: "a\r\nb: c") == "apns topic")
        for server in ["http://api.push.apple.com", "https://api.push.apple.com/3/device", "api.push.apple.com"] {
            let error = #expect(throws: PushCredentialsError.self) {
                try APNsProvider(
                    credentials: PushSamples.apnsCredentials(), server: server, transport: ScriptedTransport(),
                    surroundings: clock.surroundings())
            }
            #expect(error?.field == "apns server")
        }
    }
}
