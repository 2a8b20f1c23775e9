import Crypto
import CryptoExtras
import DriveModel
import Foundation
import Synchronization
import Testing

@testable import DriveEvents

@Suite struct FCMProviderTests {
    private let clock = PushClock()
    private static let granted = ScriptedTransport.Step.status(200, #"{"access_token":"at-1","expires_in":3599,"token_type":"Bearer"}"#)
    private static let unauthenticated = ScriptedTransport.Step.status(401, #"{"error":{"status":"UNAUTHENTICATED"}}"#)

    private func provider(_ transport: ScriptedTransport) throws -> FCMProvider {
        try FCMProvider(account: PushSamples.serviceAccount(), transport: transport, surroundings: clock.surroundings())
    }

    private func send(
        _ provider: FCMProvider, _ notification: PushNotification = PushSamples.notification, _ options: PushOptions? = nil
    ) async throws -> PushOutcome {
        await provider.send(notification, to: try PushSamples.fcmDevice(), options: try options ?? PushSamples.options())
    }

    @Test func theGrantIsSignedByTheAccount() async throws {
        let transport = ScriptedTransport(Self.granted, .status(200))
        #expect(try await send(provider(transport)) == .delivered)
        let grant = try #require(transport.requests.first)
        #expect(grant.url == "https://oauth2.example/token")
        #expect(grant.header("content-type") == "application/x-www-form-urlencoded")
        let form = String(decoding: grant.body, as: UTF8.self).split(separator: "&").map { $0.split(separator: "=").map(String.init) }
        try #require(form.count == 2 && form[1].count == 2)
        #expect(form[0] == ["grant_type", "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"])
        #expect(form[1][0] == "assertion")
        let token = try #require(ReadToken(form[1][1]))
        #expect(token.isSigned(rs256: try #require(PushSamples.rsaKey).publicKey))
        #expect(token.header == ["alg": "RS256", "typ": "JWT", "kid": "k1"])
        #expect(
            token.claims == [
                "iss": "push@drive-test.iam.example", "scope": "https://www.googleapis.com/auth/firebase.messaging",
                "aud": "https://oauth2.example/token", "iat": .integer(clock.now.seconds), "exp": .integer(clock.now.seconds + 3600),
            ])
    }

    @Test func theMessage() async throws {
        let transport = ScriptedTransport(Self.granted, .status(200))
        _ = try await send(provider(transport), PushSamples.notification, PushSamples.options(collapseKey: "task-1"))
        let request = try #require(transport.requests.last)
        #expect(request.url == "https://fcm.googleapis.com/v1/projects/drive-test/messages:send")
        #expect(request.header("authorization") == "Bearer at-1")
        #expect(
            request.object == [
                "message": [
                    "token": "fPq:APA91b-token_1", "android": ["priority": "HIGH", "ttl": "3600s", "collapse_key": "task-1"],
                    "notification": ["title": "Done", "body": "42 files are packed"],
                    "data": [
                        "id": .string(PushSamples.id), "topic": "task.completed", "subtitle": "Holiday.zip",
                        "meta": #"{"count":42,"taskId":"t1"}"#, "actionUri": "/tasks/t1",
                    ],
                ]
            ])
    }

    @Test func aSilentOneShowsNothing() async throws {
        let transport = ScriptedTransport(Self.granted, .status(200))
        _ = try await send(provider(transport), PushSamples.silent)
        let message = try #require(transport.requests.last?.object["message"])
        #expect(message["notification"] == nil)
        #expect(message["data"]?["isSilent"] == "true")
        #expect(message["android"]?["priority"] == "NORMAL")
    }

    @Test func theAccessTokenIsKeptUntilFiveMinutesBeforeItsEnd() async throws {
        let transport = ScriptedTransport(Self.granted, .status(200), .status(200), Self.granted, .status(200))
        let provider = try provider(transport)
        _ = try await send(provider)
        clock.advance(by: .seconds(3599 - 301))
        _ = try await send(provider)
        #expect(transport.requests.filter { $0.url.hasSuffix("/token") }.count == 1)
        clock.advance(by: .seconds(1))
        _ = try await send(provider)
        #expect(transport.requests.filter { $0.url.hasSuffix("/token") }.count == 2)
    }

    /// Twenty notifications at once ask for one token.
    @Test(.timeLimit(.minutes(1))) func manyWaitForOneToken() async throws {
        let (opened, open) = AsyncStream.makeStream(of: Void.self)
        let transport = ScriptedTransport(
            Self.granted, .status(200),
            gate: { request in
                guard request.url.hasSuffix("/token") else { return }
                for await _ in opened { break }
            })
        let provider = try provider(transport)
        let outcomes = try await withThrowingTaskGroup(of: PushOutcome.self) { group in
            for _ in 0..<20 { group.addTask { try await send(provider) } }
            // The first is in the gate; the others come behind it.
            while transport.requests.isEmpty { await Task.yield() }
            open.yield()
            open.finish()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes == [PushOutcome](repeating: .delivered, count: 20))
        #expect(transport.requests.filter { $0.url.hasSuffix("/token") }.count == 1)
    }

    @Test func aKeptTokenThatIsRefusedIsReplacedOnce() async throws {
        // Granted, used; revoked; granted anew, taken.
        let transport = ScriptedTransport(Self.granted, .status(200), Self.unauthenticated, Self.granted, .status(200))
        let provider = try provider(transport)
        #expect(try await send(provider) == .delivered)
        #expect(try await send(provider) == .delivered)
        #expect(transport.requests.count == 5)
    }

    @Test func aFreshTokenThatIsRefusedIsTheOperatorsAffair() async throws {
        let transport = ScriptedTransport(Self.granted, Self.unauthenticated, Self.granted, Self.unauthenticated)
        let provider = try provider(transport)
        #expect(try await send(provider) == FCMProvider.unauthenticated)
        #expect(transport.requests.count == 2)
        // And it is not kept.
        #expect(try await send(provider) == FCMProvider.unauthenticated)
        #expect(transport.requests.count == 4)
    }

    @Test func withoutATokenNothingIsSent() async throws {
        let refused = ScriptedTransport(.status(400, #"{"error":"invalid_grant"}"#))
        #expect(try await send(provider(refused)) == .credentials(reason: "token 400 invalid_grant"))
        let silent = ScriptedTransport(.failure(.timedOut))
        #expect(try await send(provider(silent)) == .retry(after: nil, reason: "timed-out"))
        #expect(refused.requests.count == 1 && silent.requests.count == 1)
    }

    @Test(arguments: [
        ("type", "authorized_user", "fcm service account"), ("project_id", "../other", "project_id"), ("project_id", "", "project_id"),
        ("client_email", "a\r\nb", "client_email"), ("token_uri", "http://oauth2.example/token", "token_uri"),
        ("token_uri", "x", "token_uri"),
        ("private_key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "private_key"),
        ("private_key_id", "", "private_key_id"),
    ])
    func mistakesInTheKeyFileNameTheField(_ field: String, value: String, named: String) throws {
        var fields = try PushSamples.serviceAccountFields()
        fields[field] = .string(value)
        let text = try DriveJSON.text(fields)
        let error = #expect(throws: PushCredentialsError.self) { try FCMServiceAccount(json: text) }
        #expect(error?.field == named)
        #expect(error?.description.contains("c2VjcmV0") == false)
        fields[field] = nil
        let shorter = try DriveJSON.text(fields)
        #expect(throws: PushCredentialsError.self) { try FCMServiceAccount(json: shorter) }
    }

    @Test(arguments: ["", "[]", "{", "null"])
    func otherFilesAreRefused(_ text: String) {
        let error = #expect(throws: PushCredentialsError.self) { try FCMServiceAccount(json: text) }
        #expect(error?.field == "fcm service account")
    }
}
