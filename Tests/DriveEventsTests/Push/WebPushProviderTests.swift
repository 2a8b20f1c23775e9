import Crypto
import DriveModel
import Foundation
import Testing

@testable import DriveEvents

@Suite struct WebPushProviderTests {
    private let receiver = WebPushReceiver(key: P256.KeyAgreement.PrivateKey(), authenticationSecret: [UInt8](repeating: 3, count: 16))
    private let key: VAPIDKey

    init() throws {
        key = try VAPIDKey(privateKey: VAPIDKey.generatePrivateKey(), subject: "mailto:ops@example.org")
    }

    private func device(_ endpoint: String = "https://push.example:8443/p/1", policy: PushAddressPolicy = .publicInternet) throws
        -> WebPushSubscription
    {
        try WebPushSubscription(
            endpoint: endpoint, p256dh: Base64URL.encode(receiver.publicKey), auth: Base64URL.encode(receiver.authenticationSecret),
            policy: policy)
    }

    private func provider(_ transport: ScriptedTransport, policy: PushAddressPolicy = .publicInternet) -> WebPushProvider {
        WebPushProvider(key: key, policy: policy, transport: transport, surroundings: PushClock().surroundings())
    }

    @Test func theRequestIsWhatThePushServiceAndTheBrowserExpect() async throws {
        let transport = ScriptedTransport(.status(201))
        let provider = provider(transport)
        let options = try PushSamples.options(ttl: .milliseconds(90_500), urgency: .high, collapseKey: "task-1")
        #expect(await provider.send(PushSamples.notification, to: try device(), options: options) == .delivered)

        let request = try #require(transport.requests.first)
        #expect(request.method == "POST")
        #expect(request.url == "https://push.example:8443/p/1")
        #expect(request.destination == .untrusted(.publicInternet))
        #expect(request.header("ttl") == "90")
        #expect(request.header("urgency") == "high")
        #expect(request.header("topic") == "task-1")
        #expect(request.header("content-encoding") == "aes128gcm")
        let authorization = try #require(request.header("authorization"))
        #expect(authorization.hasSuffix(", k=\(provider.publicKey)"))
        let token = try #require(ReadToken(String(authorization.dropFirst(8).prefix { $0 != "," })))
        #expect(token.claims["aud"] == "https://push.example:8443")

        let opened = try receiver.open(request.body)
        #expect((opened.plaintext.count + opened.padding).isMultiple(of: 256))
        let payload = try JSONDecoder().decode([String: JSONValue].self, from: Data(opened.plaintext))
        #expect(
            payload == [
                "id": .string(PushSamples.id), "topic": "task.completed", "title": "Done", "subtitle": "Holiday.zip",
                "body": "42 files are packed",
                "meta": ["taskId": "t1", "count": 42], "actionUri": "/tasks/t1",
            ])
    }

    @Test func eachMessageIsEncryptedAnew() async throws {
        let transport = ScriptedTransport(.status(201))
        let provider = provider(transport)
        for _ in 0..<2 { _ = await provider.send(PushSamples.silent, to: try device(), options: try PushSamples.options()) }
        let requests = transport.requests
        try #require(requests.count == 2)
        #expect(requests[0].body[..<86] != requests[1].body[..<86])
        // The sign-in is kept.
        #expect(requests[0].header("authorization") == requests[1].header("authorization"))
        #expect(requests[0].header("topic") == nil)
        #expect(try receiver.open(requests[1].body).plaintext == receiver.open(requests[0].body).plaintext)
    }

    @Test(arguments: [(Duration.seconds(-5), "0"), (.zero, "0"), (.seconds(60), "60"), (.seconds(1_000_000_000), "2419200")])
    func timeToLiveIsBounded(_ ttl: Duration, header: String) async throws {
        let transport = ScriptedTransport(.status(201))
        _ = await provider(transport).send(PushSamples.notification, to: try device(), options: try PushSamples.options(ttl: ttl))
        #expect(transport.requests.first?.header("ttl") == header)
    }

    @Test(arguments: ["a b", "ü", "", String(repeating: "a", count: 33), "x\r\ny: z"])
    func otherCollapseKeysBecomeATopic(_ key: String) {
        let topic = CollapseKey.webPushTopic(key)
        #expect(topic.utf8.count == 32)
        #expect(ReadToken.bytes(topic) != nil)
        #expect(CollapseKey.webPushTopic(key) == topic)
        #expect(CollapseKey.webPushTopic(key + "1") != topic)
        #expect(CollapseKey.short(key).utf8.count <= 64)
        #expect(CollapseKey.short(key).utf8.allSatisfy(ASCII.isVisible))
    }

    /// A subscription kept from when another policy held.
    @Test func thePolicyOfTodayCounts() async throws {
        let transport = ScriptedTransport(.status(201))
        let device = try device("http://127.0.0.1:9/p", policy: .any)
        #expect(
            await provider(transport).send(PushSamples.notification, to: device, options: try PushSamples.options())
                == .refused(reason: "address-refused"))
        #expect(transport.requests.isEmpty)
        #expect(
            await provider(transport, policy: .any).send(PushSamples.notification, to: device, options: try PushSamples.options())
                == .delivered)
    }

    @Test func devicesGoToTheirProvider() async throws {
        let providers = PushProviders(webPush: provider(ScriptedTransport(.status(410))))
        let options = try PushSamples.options()
        #expect(await providers.send(PushSamples.notification, to: .webPush(try device()), options: options) == .unregistered)
        #expect(
            await providers.send(PushSamples.notification, to: .apns(try PushSamples.apnsDevice()), options: options)
                == .refused(reason: "not-configured"))
    }

    @Test func noAnswerIsARetry() async throws {
        let transport = ScriptedTransport(.failure(.timedOut))
        #expect(
            await provider(transport).send(PushSamples.notification, to: try device(), options: try PushSamples.options())
                == .retry(after: nil, reason: "timed-out"))
    }
}
