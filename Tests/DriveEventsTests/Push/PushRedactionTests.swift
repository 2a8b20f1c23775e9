import Crypto
import DriveModel
import Foundation
import Testing

@testable import DriveEvents

/// Whatever holds a secret is printed in every way Swift has, and the secret is looked for.
@Suite struct PushRedactionTests {
    private func printed(_ value: some Any) -> String {
        var dumped = ""
        dump(value, to: &dumped)
        return "\(value) \(String(describing: value)) \(String(reflecting: value)) \(dumped)"
    }

    @Test func secretsAreNotPrinted() async throws {
        let agreement = P256.KeyAgreement.PrivateKey()
        let vapid = try VAPIDKey(privateKey: VAPIDKey.generatePrivateKey(), subject: "mailto:ops@example.org")
        let subscription = try WebPushSubscription(
            endpoint: "https://push.example/CAPABILITY", p256dh: Base64URL.encode(agreement.publicKey.x963Representation),
            auth: "AwMDAwMDAwMDAwMDAwMDAw", policy: .publicInternet)
        let transport = ScriptedTransport(.status(200, #"{"access_token":"ACCESS","expires_in":3600}"#), .status(200))
        let surroundings = PushClock().surroundings()
        let providers = PushProviders(
            webPush: WebPushProvider(key: vapid, policy: .publicInternet, transport: transport, surroundings: surroundings),
            apns: try APNsProvider(credentials: PushSamples.apnsCredentials(), transport: transport, surroundings: surroundings),
            fcm: try FCMProvider(account: PushSamples.serviceAccount(), transport: transport, surroundings: surroundings))
        let devices: [PushDevice] = [
            .fcm(try PushSamples.fcmDevice()), .webPush(subscription), .apns(try PushSamples.apnsDevice()),
        ]
        for device in devices {
            #expect(await providers.send(PushSamples.notification, to: device, options: try PushSamples.options()) == .delivered)
        }
        #expect(transport.requests.count == 4)

        let shown =
            printed(devices) + printed(transport.requests) + printed(vapid) + printed(try PushSamples.apnsCredentials())
            + printed(try PushSamples.serviceAccount()) + printed(subscription.endpoint)
            + printed(
                try FCMAccessToken.parse(
                    PushResponse(status: 200, body: Array(#"{"access_token":"ACCESS"}"#.utf8)), now: surroundings.now()))
        let signIns = transport.requests.compactMap { $0.header("authorization") }
        #expect(signIns.count == 3)
        for secret in ["CAPABILITY", "ACCESS", "AwMDAw", "a1a1a1", "fPq:APA91b", "PrivateKey(", "backing"] + signIns {
            #expect(!shown.contains(secret), "\(secret)")
        }
        #expect(shown.contains("https://push.example"))
        #expect(shown.contains("(hidden)"))
    }
}
