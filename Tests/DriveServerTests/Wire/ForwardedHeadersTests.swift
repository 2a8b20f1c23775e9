import DriveModel
import HTTPTypes
import Testing

@testable import DriveServer

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
