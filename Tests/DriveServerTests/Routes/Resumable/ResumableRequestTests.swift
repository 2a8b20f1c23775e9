import DriveModel
import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct ResumableRequestTests {
    @Test func readsTheFields() {
        let request = ResumableRequest([
            ResumableField.interopVersion: "8", ResumableField.complete: "?0", ResumableField.offset: "005;x", ResumableField.length: "100",
            .contentLength: "7", .contentType: "Application/Partial-Upload ; a=b", ResumableField.wantReprDigest: "sha-256=1",
        ])
        #expect(request.version.number == 8 && request.isComplete == false && request.offset == 5 && request.declaredLength == 100)
        #expect(request.contentLength == 7 && request.isPartialUpload && request.wantsDigest && !request.isEmpty)
        let none = ResumableRequest([ResumableField.offset: "-1", ResumableField.length: "1.0", ResumableField.complete: "true"])
        #expect(none.version == .final && none.isComplete == nil && none.offset == nil && none.declaredLength == nil)
        #expect(none.isEmpty && !none.isPartialUpload && !none.wantsDigest)
        let chunked = ResumableRequest([.transferEncoding: "chunked", .contentType: "application/partial-uploads"])
        #expect(chunked.contentLength == nil && !chunked.isEmpty && !chunked.isPartialUpload)
        var twice: HTTPFields = [:]
        twice.append(HTTPField(name: ResumableField.offset, value: "5"))
        twice.append(HTTPField(name: ResumableField.offset, value: "5"))
        #expect(ResumableRequest(twice).offset == nil)
    }

    /// -11, section 4.1.3: the length that a request gives, or nil where it contradicts itself.
    @Test(
        arguments: [
            // (start, body, field, completes) and the length.
            (0, 10, nil, true, Int64?.some(10)), (5, 10, nil, true, 15), (5, 10, 15, true, 15), (5, 0, 5, true, 5), (5, nil, 15, true, 15),
            (5, 10, 100, false, 100), (5, 10, 15, false, 15), (0, 0, 0, false, 0),
            (0, 10, 11, true, nil), (0, 10, 9, true, nil), (5, 10, 14, false, nil), (5, .max, nil, true, nil), (5, .max, 10, false, nil),
        ] as [(Int64, Int64?, Int64?, Bool, Int64?)])
    func lengths(start: Int64, body: Int64?, field: Int64?, completes: Bool, expected: Int64?) throws {
        var headers: HTTPFields = [:]
        if let body { headers[.contentLength] = String(body) } else { headers[.transferEncoding] = "chunked" }
        headers[ResumableField.length] = field.map(String.init)
        let request = ResumableRequest(headers)
        if let expected {
            #expect(try request.length(from: start, completes: completes) == expected)
        } else {
            let error = #expect(throws: DriveError.self) { try request.length(from: start, completes: completes) }
            #expect(error?.code.name == "LENGTH_MISMATCH")
        }
    }

    @Test func unknownLengthStaysUnknown() throws {
        #expect(try ResumableRequest([.transferEncoding: "chunked"]).length(from: 0, completes: true) == nil)
        #expect(try ResumableRequest([.contentLength: "5"]).length(from: 0, completes: false) == nil)
    }

    @Test func limitsByVersion() throws {
        let limits = ResumableLimits(maximumSize: 1000, maximumAppend: 10, newUploadAge: 60)
        let (now, end) = (Timestamp(microseconds: 500_000), Timestamp(seconds: 31))
        let known = "min-size=0, max-size=1000, max-append-size=10"
        #expect(limits.general == known + ", max-age=60")
        for number in (3...5 as ClosedRange<Int64>) {
            #expect(limits.value(for: end, now: now, version: InteropVersion(number: number)) == nil)
        }
        #expect(limits.value(for: end, now: now, version: InteropVersion(number: 6)) == known + ", expires=31")
        #expect(limits.value(for: end, now: now, version: InteropVersion(number: 7)) == known + ", max-age=31")
        #expect(limits.value(for: nil, now: now, version: .final) == known)
        #expect(limits.value(for: Timestamp(seconds: 0), now: now, version: .final) == known + ", max-age=0")
        let wide = ResumableLimits(maximumSize: .max, maximumAppend: nil, newUploadAge: 1)
        #expect(wide.general == "min-size=0, max-size=999999999999999, max-age=1")
        // As a client would read it.
        #expect(StructuredField.integers(wide.general)?.count == 3)
        #expect(throws: DriveError.self) { try limits.check(contentLength: 11) }
        try limits.check(contentLength: 10)
        try limits.check(contentLength: nil)
        try wide.check(contentLength: .max)
    }

    @Test(arguments: [
        (String?.none, "/api/uploads", String?.some("h:8080"), "https://h:8080/api/uploads/t", "https://h:8080/api/files/f"),
        (nil, "/drive/uploads/t", "h", "https://h/drive/uploads/t", "https://h/drive/files/f"),
        ("https://x.example", "/drive/uploads", "h", "https://x.example/drive/uploads/t", "https://x.example/drive/files/f"),
        (nil, "/api/uploads", nil, "/api/uploads/t", "/api/files/f"),
    ])
    func addresses(publicURL: String?, path: String, host: String?, upload: String, file: String) {
        let address = PublicAddress(
            publicURL: publicURL, origin: ClientOrigin(address: .unknown, scheme: "https", host: host), path: path)
        #expect(address.upload("t") == upload)
        #expect(address.file("f") == file)
    }
}
