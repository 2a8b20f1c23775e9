import DriveCrypto
import DriveModel
import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct TusChecksumTests {
    /// Of `hello world`, as the text of the extension has it.
    static let sha1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="

    @Test func sha1OfTheText() throws {
        var digest = RunningDigest(.sha1)
        Array("hello world".utf8).withUnsafeBytes { digest.update($0) }
        #expect(try TusChecksum.parse(Self.sha1).value == digest.value())
    }

    @Test func everyOfferedAlgorithmIsRead() throws {
        #expect(Set(TusChecksum.algorithms) == Set(DigestAlgorithm.allCases))
        #expect(TusChecksum.names == "sha1,sha256,md5,crc32,sha512,crc32c")
        for name in TusChecksum.names.split(separator: ",") {
            let algorithm = try #require(DigestAlgorithm(rawValue: String(name)))
            let value = (0..<algorithm.length).map { UInt8($0) }
            let digest = try TusChecksum.parse("\(name) \(Base64.encode(value))")
            #expect(digest == ExpectedDigest(algorithm, value))
        }
    }

    @Test(arguments: [
        "", " ", "sha1", "sha1 ", "sha1 %%%", "sha1 AAAA", "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=", " Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha-1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "foo AAAA", "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        "sha1 Kq5sNclPz7QV2-lfQIuc6R7oRu0=", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= ", "crc32 4waSgwA=",
        "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=, md5 XrY7u+Ae7tCTyyK7j1rNww==",
    ])
    func refusesAnythingElse(text: String) {
        let error = #expect(throws: DriveError.self) { try TusChecksum.parse(text) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.details["rule"] == "Upload-Checksum")
    }

    @Test(
        arguments: [
            ([:], false, 0), ([TusFields.checksum: sha1], false, 1), ([.trailer: "Upload-Checksum"], true, 0),
            ([.trailer: "x, \tupload-CHECKSUM"], true, 0), ([.trailer: "Upload-Checksum", TusFields.checksum: sha1], true, 1),
            ([.trailer: "Upload-Checksums"], false, 0), ([.trailer: ""], false, 0),
        ] as [(HTTPFields, Bool, Int)])
    func readsTheHead(headers: HTTPFields, comesInTrailers: Bool, digests: Int) throws {
        let checksum = try TusChecksum(headers)
        #expect(checksum.comesInTrailers == comesInTrailers)
        #expect(checksum.digests.count == digests)
        #expect(checksum.isPromised == (comesInTrailers || digests > 0))
    }

    @Test func announcedTrailersMustCome() throws {
        #expect(try TusChecksum.announced(in: [TusFields.checksum: Self.sha1]) == [try TusChecksum.parse(Self.sha1)])
        for trailers: HTTPFields in [[:], [.contentType: "x"], [TusFields.checksum: ""], [TusFields.checksum: "sha1 AAAA"]] {
            #expect(throws: DriveError.self) { try TusChecksum.announced(in: trailers) }
        }
    }
}
