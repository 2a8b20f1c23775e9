import DriveModel
import DriveUploads
import Testing

@testable import DriveServer

@Suite struct TusAddressTests {
    private static func address(
        publicURL: String? = nil, scheme: String = "http", host: String? = "h:1", path: String = "/api/tus"
    ) throws -> TusAddress {
        let peer = try #require(IPAddress("127.0.0.1"))
        let origin = ClientOrigin(address: peer, scheme: scheme, host: host)
        return TusAddress(PublicAddress(publicURL: publicURL, origin: origin, path: path))
    }

    @Test(
        arguments: [
            (nil, "http", "h:1", "/api/tus", "http://h:1/api/tus/x"), (nil, "https", "h", "/drive/tus/", "https://h/drive/tus/x"),
            (nil, "http", nil, "/drive/tus", "/drive/tus/x"),
            ("https://d.example", "http", "h:1", "/api/tus", "https://d.example/api/tus/x"),
            ("https://d.example/sub", "http", "h:1", "/drive/tus", "https://d.example/sub/drive/tus/x"),
        ] as [(String?, String, String?, String, String)])
    func locationIsAbsolute(publicURL: String?, scheme: String, host: String?, path: String, location: String) throws {
        #expect(try Self.address(publicURL: publicURL, scheme: scheme, host: host, path: path).location(of: "x") == location)
    }

    @Test(arguments: [
        "a_B-9", "/api/tus/a_B-9", "/drive/tus/a_B-9", "/api/tus/a_B-9/", "//other/api/tus/a_B-9", "http://h:1/api/tus/a_B-9",
        "HTTPS://other.example/drive/tus/a_B-9", "/api/tus/a_B-9?x=/y#z", "https://d.example/sub/api/tus/a_B-9", "/sub/drive/tus/a_B-9",
    ])
    func partsAreFound(reference: String) throws {
        #expect(try Self.address(publicURL: "https://d.example/sub").taskId(of: reference) == "a_B-9")
    }

    @Test(arguments: [
        "", "?", "/", "/api/tus", "/api/tus/", "/api/tus/a/b", "/api/uploads/a", "/other/tus/a", "/x/api/tus/a", "http://h", "http://h/",
        "http:///", "ftp://h/api/tus/a", "tus/a", "./a", "..", "/api/tus/..", "/api/tus/%61", "/api/tus/a;b", "a,b", "é", "http://h/a",
    ])
    func foreignOnesAreRefused(reference: String) throws {
        let address = try Self.address()
        let error = #expect(throws: DriveError.self) { try address.taskId(of: reference) }
        #expect(error?.code == .invalidConcatenation)
        #expect(error?.details["part"] == .string(reference))
    }

    /// What `Location` says can be named as a part, whatever stands before the server.
    @Test(arguments: [nil, "https://d.example", "https://d.example/sub/sub", "https://d.example/api"])
    func locationsCanBeNamed(publicURL: String?) throws {
        for prefix in RouteTable.prefixes {
            let address = try Self.address(publicURL: publicURL, path: prefix + "/tus")
            #expect(try address.taskId(of: address.location(of: "x1")) == "x1")
        }
    }
}
