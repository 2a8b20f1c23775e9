import DriveModel
import DriveUploads
import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct TusCreationTests {
    static let maximum: Int64 = 1000
    static let bytes = "application/offset+octet-stream"

    @Test(
        arguments: [
            ("0", 0), ("5", 5), ("007", 7), ("9223372036854775807", .max), ("", nil), ("-1", nil), ("+5", nil), ("1.0", nil), ("abc", nil),
            ("0x1", nil), (" 1", nil), ("1, 1", nil), ("٣", nil), ("9223372036854775808", nil), ("99999999999999999999", nil),
        ] as [(String, Int64?)])
    func numbersAreDigitsThatFit(text: String, expected: Int64?) {
        #expect(HTTPSyntax.number(text) == expected)
    }

    @Test(
        arguments: [
            ("partial", .partial), ("final;/a", .final(references: ["/a"], text: "final;/a")),
            ("final;/a /b /a", .final(references: ["/a", "/b", "/a"], text: "final;/a /b /a")),
            ("final;  a   b ", .final(references: ["a", "b"], text: "final;  a   b ")),
            ("", nil), ("final", nil), ("final;", nil), ("final; ", nil), ("Final;x", nil), ("Partial", nil), ("partial;", nil),
            ("foo", nil),
            ("partial, partial", nil),
        ] as [(String, TusConcatenation?)])
    func concatenations(text: String, expected: TusConcatenation?) {
        let found = Result { () throws(DriveError) in try TusConcatenation(text) }
        #expect((try? found.get()) == expected)
        if case .failure(let error) = found { #expect(error.code == .invalidConcatenation) }
    }

    @Test(
        arguments: [
            ([TusFields.length: "0"], 0), ([TusFields.length: "1000"], 1000), ([TusFields.deferLength: "1"], nil),
            ([TusFields.length: "5", TusFields.concat: "partial"], 5), ([TusFields.concat: "final;a"], nil),
            // A client that says a type though it sends nothing.
            ([TusFields.length: "5", .contentLength: "0", .contentType: "application/octet-stream"], 5),
            ([TusFields.length: "5", .contentLength: "5", .contentType: bytes], 5),
            ([TusFields.length: "5", .contentLength: "2", .contentType: "Application/Offset+Octet-Stream ; x=y"], 5),
            ([TusFields.deferLength: "1", .contentLength: "5", .contentType: bytes], nil),
            ([TusFields.length: "5", .transferEncoding: "chunked", .contentType: bytes], 5),
        ] as [(HTTPFields, Int64?)])
    func creations(headers: HTTPFields, length: Int64?) throws {
        let creation = try TusCreation(headers, maximum: Self.maximum)
        #expect(creation.length == length)
        #expect(creation.hasBody == (headers[.contentType] == nil ? false : headers[.contentLength] != "0"))
    }

    @Test(
        arguments: [
            ([:], .invalidRequest), ([TusFields.length: "-1"], .invalidRequest), ([TusFields.length: ""], .invalidRequest),
            ([TusFields.length: "5", TusFields.deferLength: "1"], .invalidRequest), ([TusFields.deferLength: "0"], .invalidRequest),
            ([TusFields.deferLength: ""], .invalidRequest), ([TusFields.deferLength: "true"], .invalidRequest),
            ([TusFields.length: "5", TusFields.deferLength: "0"], .invalidRequest),
            ([TusFields.length: "5", TusFields.concat: "final;a"], .invalidRequest),
            ([TusFields.deferLength: "1", TusFields.concat: "final;a"], .invalidRequest),
            ([TusFields.length: "5", TusFields.concat: "foo"], .invalidConcatenation),
            ([TusFields.length: "5", TusFields.metadata: "a !"], .invalidRequest),
            ([TusFields.length: "5", TusFields.checksum: "foo AAAA"], .invalidRequest), ([TusFields.length: "1001"], .fileTooLarge),
            ([TusFields.length: "5", .contentLength: "6", .contentType: bytes], .lengthExceeded),
            ([TusFields.length: "5", .contentLength: "5"], .unsupportedMediaType),
            ([TusFields.length: "5", .contentLength: "5", .contentType: "application/octet-stream"], .unsupportedMediaType),
            ([TusFields.length: "5", .transferEncoding: "chunked", .contentType: "text/plain"], .unsupportedMediaType),
            ([TusFields.concat: "final;a", .contentLength: "1", .contentType: bytes], .forbidden),
        ] as [(HTTPFields, DriveError.Code)])
    func refusals(headers: HTTPFields, code: DriveError.Code) {
        let error = #expect(throws: DriveError.self) { try TusCreation(headers, maximum: Self.maximum) }
        #expect(error?.code == code)
    }

    /// A promise is kept for no bytes too.
    @Test func aPromisedDigestOfNothingIsABody() throws {
        let headers: HTTPFields = [TusFields.length: "0", TusFields.checksum: "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="]
        #expect(try TusCreation(headers, maximum: Self.maximum).hasBody)
    }
}
