import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"), ("::1", "::1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:c000:201", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("::", "::"),
    ])
    func readsAndWrites(text: String, expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "1.2.3.4\0", "01x", ":::", "1::2::3", "[::1]", "::1/64", "localhost",
        "1.2.3.4%x",
    ])
    func refusesOtherText(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false), ("10.9.8.7/8", "10.0.0.1", true),
        ("192.168.1.128/25", "192.168.1.127", false), ("192.168.1.128/25", "192.168.1.128", true), ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false), ("::/0", "2001:db8::1", true), ("::/0", "1.2.3.4", false), ("::1", "::1", true),
        ("::1", "::2", false), ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1/32", "127.0.0.2", false),
        ("2001:db8::/33", "2001:db8:8000::", false),
        ("2001:db8::/33", "2001:db8:7fff::", true), ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("::ffff:10.0.0.0/104", "10.1.1.1", true),
        ("::ffff:0:0/96", "8.8.8.8", true),
    ])
    func networksContainTheirAddresses(network: String, address: String, expected: Bool) throws {
        #expect(try #require(CIDR(network)).contains(try #require(IPAddress(address))) == expected)
    }

    @Test(arguments: [
        "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "10.0.0.0/8/8", "x/8", "::ffff:10.0.0.0/95",
    ])
    func refusesOtherNetworks(text: String) {
        #expect(CIDR(text) == nil)
    }

    @Test func countsIPv6ByItsSubscriber() throws {
        func key(_ text: String) throws -> String { try #require(IPAddress(text)).rateLimitKey.description }
        #expect(try key("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64")
        #expect(try key("2001:db8:1:2:ffff::") == key("2001:db8:1:2::1"))
        #expect(try key("2001:db8:1:3::1") != key("2001:db8:1:2::1"))
        #expect(try key("192.0.2.1") == "192.0.2.1/32")
    }
}

@Suite struct ForwardedHeadersTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var peer: String
        var fields: [(String, String)]
        var address: String
        var scheme = "http"
        var host: String? = "direct"

        init(
            _ fields: [(String, String)], from peer: String = "10.0.0.1", is address: String, _ scheme: String = "http",
            _ host: String? = "direct"
        ) {
            (self.peer, self.fields, self.address, self.scheme, self.host) = (peer, fields, address, scheme, host)
        }

        var testDescription: String { "\(peer) \(fields)" }
    }

    static let cases: [Case] = [
        Case([], is: "10.0.0.1"),
        // An untrusted peer is believed nothing.
        Case([("Forwarded", "for=1.1.1.1;proto=https;host=evil")], from: "203.0.113.5", is: "203.0.113.5"),
        Case([("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Proto", "https")], from: "203.0.113.5", is: "203.0.113.5"),
        // One trusted proxy.
        Case([("Forwarded", "for=203.0.113.5;proto=https;host=drive.example")], is: "203.0.113.5", "https", "drive.example"),
        Case([("Forwarded", "For=\"[2001:db8::7]:4711\" ; Proto=HTTPS")], is: "2001:db8::7", "https"),
        Case([("Forwarded", "for=\"203.0.113.5:80\";by=10.0.0.1;secret=x")], is: "203.0.113.5"),
        Case(
            [("X-Forwarded-For", "203.0.113.5"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "drive.example:8443")],
            is: "203.0.113.5", "https", "drive.example:8443"),
        Case([("X-Forwarded-For", "2001:db8::7")], is: "2001:db8::7"),
        Case([("X-Forwarded-For", "[2001:db8::7]:99")], is: "2001:db8::7"),
        Case([("X-Forwarded-For", "203.0.113.5:1234")], is: "203.0.113.5"),
        Case([("X-Forwarded-Proto", "https")], is: "10.0.0.1", "https"),
        // What the client itself wrote stands further left and is not reached.
        Case([("X-Forwarded-For", "1.1.1.1, 203.0.113.5")], is: "203.0.113.5"),
        Case([("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.5")], is: "203.0.113.5"),
        Case([("X-Forwarded-For", "10.0.0.9, 203.0.113.5")], is: "203.0.113.5"),
        Case([("Forwarded", "for=1.1.1.1;proto=https;host=evil, for=203.0.113.5")], is: "203.0.113.5"),
        Case([("Forwarded", "for=1.1.1.1;host=evil"), ("Forwarded", "for=203.0.113.5;host=good")], is: "203.0.113.5", "http", "good"),
        Case([("Forwarded", "for=\"1.1.1.1, for=203.0.113.9")], is: "10.0.0.1"),
        // Two trusted proxies: the outer one's word on scheme and host counts.
        Case(
            [("Forwarded", "for=203.0.113.5;proto=https;host=outer, for=10.0.0.2;proto=http;host=inner")], is: "203.0.113.5", "https",
            "outer"),
        Case([("X-Forwarded-For", "1.1.1.1, 203.0.113.5, 10.0.0.2"), ("X-Forwarded-Proto", "https")], is: "203.0.113.5", "https"),
        Case([("X-Forwarded-For", "203.0.113.5, 10.0.0.2"), ("X-Forwarded-Proto", "https, http")], is: "203.0.113.5", "https"),
        Case([("X-Forwarded-For", "10.0.0.3, 10.0.0.2")], is: "10.0.0.3"),
        // Hidden or malformed: nothing further left is believed.
        Case([("Forwarded", "for=203.0.113.5, for=unknown;proto=https")], is: "10.0.0.1", "https"),
        Case([("Forwarded", "for=203.0.113.5, for=_hidden, for=10.0.0.2")], is: "10.0.0.2"),
        Case([("X-Forwarded-For", "203.0.113.5, unknown")], is: "10.0.0.1"),
        Case([("X-Forwarded-For", "203.0.113.5, [1.2.3.4]")], is: "10.0.0.1"),
        Case([("X-Forwarded-For", "")], is: "10.0.0.1"),
        Case([("Forwarded", "for=203.0.113.5;for=1.1.1.1")], is: "10.0.0.1"),
        Case([("Forwarded", "for=203.0.113.5;proto=javascript;host=\"a b\"")], is: "203.0.113.5"),
        Case([("Forwarded", "for=203.0.113.5;host=\"evil/@x\"")], is: "203.0.113.5"),
        // Both headers: agreement is believed, contradiction is not.
        Case([("Forwarded", "for=203.0.113.5;proto=https"), ("X-Forwarded-For", "203.0.113.5")], is: "203.0.113.5", "https"),
        Case([("Forwarded", "for=1.1.1.1;proto=https"), ("X-Forwarded-For", "203.0.113.5")], is: "10.0.0.1"),
    ]

    @Test(arguments: cases)
    func walksPastTrustedHopsOnly(_ example: Case) throws {
        var headers = HTTPFields()
        for (name, value) in example.fields { headers.append(HTTPField(name: try #require(HTTPField.Name(name)), value: value)) }
        let trusted = try ["10.0.0.0/8", "::1"].map { try #require(CIDR($0)) }
        let origin = ForwardedHeaders.resolve(
            peer: try #require(IPAddress(example.peer)), trusted: trusted, headers: headers, scheme: "http", host: "direct")
        #expect(origin == ClientOrigin(address: try #require(IPAddress(example.address)), scheme: example.scheme, host: example.host))
    }

    @Test func trustsNobodyByDefault() throws {
        let peer = try #require(IPAddress("127.0.0.1"))
        let headers: HTTPFields = [try #require(HTTPField.Name("X-Forwarded-For")): "1.1.1.1"]
        #expect(ForwardedHeaders.resolve(peer: peer, trusted: [], headers: headers, scheme: "http", host: nil).address == peer)
    }

    @Test func walksABoundedNumberOfHops() throws {
        let list = "203.0.113.5, " + (0..<100).map { "10.0.1.\($0)" }.joined(separator: ", ")
        let headers: HTTPFields = [try #require(HTTPField.Name("X-Forwarded-For")): list]
        let origin = ForwardedHeaders.resolve(
            peer: try #require(IPAddress("10.0.0.1")), trusted: [try #require(CIDR("10.0.0.0/8"))], headers: headers, scheme: "http",
            host: nil)
        #expect(origin.address.description == "10.0.1.68")
    }
}
