import DriveModel
import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct ResumableFileTests {
    @Test(arguments: [
        (String?.none, String?.some("image/png"), String?.some("image/png")), (nil, nil, nil), ("text/plain", "image/png", "text/plain"),
        (nil, "application/partial-upload", nil), (nil, "application/x-www-form-urlencoded", nil),
    ])
    func contentTypes(asked: String?, field: String?, expected: String?) throws {
        var headers: HTTPFields = [:]
        headers[.contentType] = field
        #expect(try ResumableFile.contentType(asked: asked, headers: headers, ResumableRequest(headers)) == expected)
    }

    @Test func formsAreRefused() {
        let headers: HTTPFields = [.contentType: "multipart/form-data; boundary=x"]
        let error = #expect(throws: DriveError.self) {
            try ResumableFile.contentType(asked: nil, headers: headers, ResumableRequest(headers))
        }
        #expect(error?.code == .unsupportedMediaType)
    }

    @Test(arguments: [
        (String?.none, String?.none, String?.none), (ContentDigestTests.hex, nil, ContentDigestTests.hex), ("", nil, nil),
        (nil, "sha-256=:\(ContentDigestTests.base64):", ContentDigestTests.hex), (nil, "md5=:AAAA:", nil),
        (ContentDigestTests.hex.uppercased(), "sha-256=:\(ContentDigestTests.base64):", ContentDigestTests.hex),
    ])
    func hashes(asked: String?, field: String?, expected: String?) throws {
        var headers: HTTPFields = [:]
        headers[ResumableField.reprDigest] = field
        #expect(try ResumableFile.hash(asked: asked, headers: headers) == expected)
    }

    @Test(arguments: [
        (String?.none, "sha-256", DriveError.Code.invalidRequest), (nil, "sha-256=:AA==:", .invalidRequest),
        (String(repeating: "0", count: 64), "sha-256=:\(ContentDigestTests.base64):", .invalidHash),
    ])
    func badHashes(asked: String?, field: String, code: DriveError.Code) {
        let error = #expect(throws: DriveError.self) {
            try ResumableFile.hash(asked: asked, headers: [ResumableField.reprDigest: field])
        }
        #expect(error?.code == code)
    }
}
