import Crypto
import DriveModel
import Foundation
import Testing

@testable import DriveEvents

/// Which addresses a subscriber may give (scenario 44: by how they are written; `PushTransportTests` has where they really lead).
@Suite struct PushEndpointTests {
    static let loopback = PushAddressPolicy(allowsLoopback: true, allowsPrivateNetworks: false)
    static let privateNetworks = PushAddressPolicy(allowsLoopback: false, allowsPrivateNetworks: true)

    @Test(arguments: [
        ("https://push.example.net/p/abc", "https://push.example.net"),
        ("https://fcm.googleapis.com/fcm/send/a:b_c-d", "https://fcm.googleapis.com"),
        ("https://updates.push.services.mozilla.com/wpush/v2/gAAA", "https://updates.push.services.mozilla.com"),
        ("HTTPS://Push.Example.NET/p", "https://push.example.net"),
        ("https://push.example.net:443/p", "https://push.example.net"),
        ("https://push.example.net:8443/p?x=1", "https://push.example.net:8443"),
        ("https://push.example.net?x=@", "https://push.example.net"),
        ("https://9.9.9.9/p", "https://9.9.9.9"),
        ("https://[2606:4700::1111]:8443/p", "https://[2606:4700::1111]:8443"),
    ])
    func takesAndNamesTheOrigin(_ url: String, origin: String) throws {
        let endpoint = try #require(PushEndpoint(url, policy: .publicInternet))
        #expect(endpoint.origin == origin)
        #expect(endpoint.url == url)
        #expect(endpoint.isSecure)
    }

    @Test(arguments: [
        // Not a URL of the kind, or not to everybody.
        "", "push.example.net", "//push.example.net/p", "ftp://push.example.net/p", "http://push.example.net/p", "https://", "https:///p",
        "https://push.example.net/p#f", "https://push.example.net/p q", "https://push.example.net/\r\nx: y", "https://push.example.net/é",
        "https://user@push.example.net/p", "https://user:pw@push.example.net/p", "https://push.example.net\\@10.0.0.1/p",
        "https://push.example.net:/p", "https://push.example.net:0/p", "https://push.example.net:65536/p", "https://push.example.net:8a/p",
        "https://push..example.net/p", "https://push.example.net./p", "https://-\u{7F}/p", "https://%31%30.0.0.1/p", "https://push_x.net/p",
        "https://[::1/p", "https://::1/p", "https://[push.example.net]/p", "https://[fe80::1%25eth0]/p", "https://[9.9.9.9]/p",
        "https://push.example.net/" + String(repeating: "a", count: 2048),
        // IPv4 addresses in disguise: 127.0.0.1 to some parsers.
        "https://127.1/p", "https://2130706433/p", "https://0x7f.0.0.1/p", "https://0x7f000001/p", "https://017700000001/p",
        "https://0177.0.0.1/p",
        "https://127.0.0.1./p", "https://example.1/p", "https://example.0x1/p", "https://1.2.3.4.5/p", "https://256.1.1.1/p",
    ])
    func refusesWhateverThePolicy(_ url: String) {
        #expect(PushEndpoint(url, policy: .any) == nil)
    }

    @Test(arguments: [
        "http://127.0.0.1:8080/p", "http://localhost:8080/p", "https://127.8.9.10/p", "https://[::1]/p", "https://[::ffff:127.0.0.1]/p",
        "https://localhost/p", "https://a.localhost/p",
    ])
    func loopbackIsForTests(_ url: String) {
        #expect(PushEndpoint(url, policy: .publicInternet) == nil)
        #expect(PushEndpoint(url, policy: Self.privateNetworks) == nil)
        #expect(PushEndpoint(url, policy: Self.loopback) != nil)
    }

    @Test(arguments: [
        "https://10.1.2.3/p", "https://172.16.0.1/p", "https://172.31.255.255/p", "https://192.168.1.1/p", "https://169.254.169.254/latest",
        "https://100.64.0.1/p", "https://198.18.0.1/p", "https://[fc00::1]/p", "https://[fdff::1]/p", "https://[fe80::1]/p",
        "https://[fec0::1]/p",
        "https://[::ffff:10.0.0.1]/p", "https://[64:ff9b::a00:1]/p", "https://[2002:c0a8:101::1]/p", "https://printer/p",
        "https://nas.local/p",
        "https://metadata.google.internal/p", "https://router.home.arpa/p",
    ])
    func privateNetworksAreNotForSubscribers(_ url: String) {
        #expect(PushEndpoint(url, policy: .publicInternet) == nil)
        #expect(PushEndpoint(url, policy: Self.loopback) == nil)
        #expect(PushEndpoint(url, policy: Self.privateNetworks) != nil)
        // Without TLS only on loopback.
        #expect(PushEndpoint("http" + url.dropFirst(5), policy: .any) == nil)
    }

    @Test(arguments: [
        "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "ff02::1", "100::1", "::7f00:1",
        "2001:0:1:2::3", "4000::1", "", "a", "1.2.3", "push.example.net",
    ])
    func nobodyConnectsTo(_ address: String) {
        #expect(!PushAddressPolicy.any.allows(address))
    }

    /// The neighbours of every range, which the transport asks about at the time it connects.
    @Test(arguments: [
        "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2000::1",
        "2606:4700::1111", "3fff::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450::1%eth0",
    ])
    func thePublicInternetIsOpen(_ address: String) {
        #expect(PushAddressPolicy.publicInternet.allows(address))
    }

    @Test func aSubscriptionIsThreePartsEachOfWhichIsChecked() throws {
        let point = P256.KeyAgreement.PrivateKey().publicKey
        let (p256dh, auth) = (Base64URL.encode(point.x963Representation), Base64URL.encode([UInt8](repeating: 3, count: 16)))
        func make(_ endpoint: String = "https://push.example/p", p256dh: String? = nil, auth: String? = nil) throws -> WebPushSubscription {
            try WebPushSubscription(
                endpoint: endpoint, p256dh: p256dh ?? Base64URL.encode(point.x963Representation),
                auth: auth ?? "AwMDAwMDAwMDAwMDAwMDAw",
                policy: .publicInternet)
        }
        #expect(try make().publicKey == [UInt8](point.x963Representation))
        #expect(try make(p256dh: p256dh + "=", auth: auth + "==") == make())

        #expect(throws: WebPushSubscription.Invalid.endpoint) { try make("https://10.0.0.1/p") }
        var offCurve = [UInt8](point.x963Representation)
        offCurve[64] ^= 1
        let points = [
            "", "AAAA", p256dh + "A", Base64URL.encode(offCurve), Base64URL.encode(point.compressedRepresentation),
            Base64URL.encode([4] + [UInt8](repeating: 0, count: 64)), Base64URL.encode(point.rawRepresentation),
            p256dh.replacingOccurrences(of: "B", with: "+"), String(repeating: "A", count: 5000),
        ]
        for text in points {
            #expect(throws: WebPushSubscription.Invalid.p256dh) { try make(p256dh: text) }
        }
        for text in ["", "AwMDAwMDAwMDAwMDAwMD", auth + "AA", "AwMDAwMDAwMDAwMDAwMDAx", "!wMDAwMDAwMDAwMDAwMDAw"] {
            #expect(throws: WebPushSubscription.Invalid.auth) { try make(auth: text) }
        }
    }
}
