import NIOCore
import Testing

@testable import DriveServer

/// A parsed part with its data joined.
struct ParsedPart: Equatable {
    var headers: PartHeaders
    var body: [UInt8]

    init(_ headers: PartHeaders, _ body: some Collection<UInt8>) {
        self.headers = headers
        self.body = Array(body)
    }
}

/// Parses pieces, checking that events come in the promised order and that no data event is empty.
func parseMultipart(
    _ pieces: [ArraySlice<UInt8>], boundary: String, limits: MultipartLimits = MultipartLimits()
) throws -> [ParsedPart] {
    var parser = try MultipartParser(boundary: boundary, limits: limits)
    var parts: [ParsedPart] = []
    var isOpen = false
    var isFinished = false
    for piece in pieces {
        try parser.feed(ByteBuffer(bytes: piece))
        while let event = try parser.next() {
            #expect(!isFinished)
            switch event {
            case .partBegan(let headers):
                #expect(!isOpen)
                isOpen = true
                parts.append(ParsedPart(headers, []))
            case .data(let buffer):
                #expect(isOpen && buffer.readableBytes > 0)
                parts[parts.count - 1].body += Array(buffer.readableBytesView)
            case .partEnded:
                #expect(isOpen)
                isOpen = false
            case .finished:
                #expect(!isOpen)
                isFinished = true
            }
        }
    }
    try parser.finish()
    #expect(isFinished)
    return parts
}

func parseMultipart(_ body: String, boundary: String = "X", limits: MultipartLimits = MultipartLimits()) throws -> [ParsedPart] {
    try parseMultipart([Array(body.utf8)[...]], boundary: boundary, limits: limits)
}

@Suite struct MultipartParserTests {
    static let head = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
    static let tail = "\r\n--X--\r\n"

    @Test(arguments: [
        ("", ""), ("hello", "hello"), ("\r\n", "\r\n"), ("\r\n\r\n--Y", "\r\n\r\n--Y"), ("\r\n-", "\r\n-"), ("\r\r\n--", "\r\r\n--"),
        ("--", "--"), ("x--X--", "x--X--"), ("\r\r\r", "\r\r\r"), ("\n--X\n", "\n--X\n"), ("\0\u{1}é", "\0\u{1}é"),
    ])
    func keepsBodiesAsTheyAre(body: String, expected: String) throws {
        #expect(try parseMultipart(Self.head + body + Self.tail) == [ParsedPart(PartHeaders(name: "a"), expected.utf8)])
    }

    @Test func readsSeveralPartsWithPreambleEpilogueAndPadding() throws {
        let body =
            "preamble\r\n--Y\r\n--X \t\r\ncontent-disposition:form-data;name=hash\r\nX-Other: 1\r\n\r\nabc\r\n--X\r\n"
            + "Content-Type: image/png\r\nContent-Disposition: form-data; name=\"chunk\";\r\n filename=\"a b.png\"\r\n\r\n"
            + "\u{89}PNG"
            + "\r\n--X\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--X-- anything\r\n--X\r\nnot read"
        #expect(
            try parseMultipart(body) == [
                ParsedPart(PartHeaders(name: "hash"), "abc".utf8),
                ParsedPart(PartHeaders(name: "chunk", fileName: "a b.png", contentType: "image/png"), "\u{89}PNG".utf8),
                ParsedPart(PartHeaders(name: "empty"), []),
            ])
    }

    @Test func aPartMayEndRightAfterItsHeaders() throws {
        let body = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--X--"
        #expect(try parseMultipart(body) == [ParsedPart(PartHeaders(name: "a"), [])])
    }

    @Test func aBodyWithoutPartsIsFine() throws {
        #expect(try parseMultipart("--X--").isEmpty)
    }

    static let refused: [(String, MultipartError)] = [
        ("", .delimiterNotFound), ("no boundary here", .delimiterNotFound), ("--Y\r\n", .delimiterNotFound),
        ("--X", .truncated), ("--X-", .truncated), ("--X\r", .truncated), ("--X\r\nContent-Disp", .truncated),
        ("\(head)abc", .truncated), ("\(head)abc\r\n--X", .truncated), ("\(head)abc\r\n--X-", .truncated),
        ("\(head)abc\r\n--X\r\n", .truncated), ("\(head)abc\r\n--Xtra", .malformedDelimiter), ("--X-x", .malformedDelimiter),
        ("--X\n", .malformedDelimiter), ("--X \rx", .malformedDelimiter), ("--X\(String(repeating: " ", count: 129))", .malformedDelimiter),
        ("--X\r\n\r\nabc\(tail)", .malformedPartHeader(reason: "Content-Disposition is missing")),
        ("--X\r\nContent-Disposition: form-data; filename=\"f\"\r\n\r\nabc\(tail)", .partWithoutName),
        ("--X\r\nContent-Transfer-Encoding: base64\r\n\r\n", .unsupportedTransferEncoding),
        ("--X\r\nno colon\r\n\r\n", .malformedPartHeader(reason: "a line has no colon")),
        ("--X\r\n: x\r\n\r\n", .malformedPartHeader(reason: "a field name is not a token")),
        ("--X\r\nA : x\r\n\r\n", .malformedPartHeader(reason: "a field name is not a token")),
        ("--X\r\n folded\r\n\r\n", .malformedPartHeader(reason: "the first line is a continuation")),
        ("--X\r\nA: b\nC: d\r\n\r\n", .malformedPartHeader(reason: "a line does not end in CRLF")),
        ("--X\r\nA: b\0\r\n\r\n", .malformedPartHeader(reason: "it contains a control character")),
        ("--X\r\nA: b\rc\r\n\r\n", .malformedPartHeader(reason: "it contains a control character")),
    ]

    @Test(arguments: refused)
    func namesWhatIsWrong(body: String, expected: MultipartError) {
        #expect(throws: expected) { try parseMultipart(body) }
    }

    @Test(arguments: [
        "attachment; name=a", "form-data; name=\"a", "form-data; name=\"a\"b", "form-data; name=a; name=b", "form-data; na me=a",
        "form-data; =a", "form-data; name", "",
    ])
    func refusesABadDisposition(value: String) {
        #expect(throws: MultipartError.malformedPartHeader(reason: "Content-Disposition is not form-data with well-formed parameters")) {
            try parseMultipart("--X\r\nContent-Disposition: \(value)\r\n\r\nabc" + Self.tail)
        }
    }

    @Test func refusesHeadersThatAreNotUTF8OrGivenTwice() {
        var body = Array("--X\r\nContent-Disposition: form-data; name=\"".utf8)
        body += [0xFF]
        body += Array("\"\r\n\r\nabc\r\n--X--".utf8)
        #expect(throws: MultipartError.malformedPartHeader(reason: "Content-Disposition is not form-data with well-formed parameters")) {
            try parseMultipart([body[...]], boundary: "X")
        }
        let line = "Content-Disposition: form-data; name=a\r\n"
        #expect(throws: MultipartError.malformedPartHeader(reason: "Content-Disposition is given twice")) {
            try parseMultipart("--X\r\n" + line + line + "\r\nabc" + Self.tail)
        }
    }

    @Test func boundsHeadersPartsAndPreamble() throws {
        let block = "Content-Disposition: form-data; name=a\r\n\r\n"
        let one = "--X\r\n" + block + "abc\r\n"
        var limits = MultipartLimits(headerBytes: block.utf8.count, parts: 2, preambleBytes: 10)
        #expect(try parseMultipart("0123456789\r\n" + one + one + "--X--", limits: limits).count == 2)
        #expect(throws: MultipartError.tooManyParts(limit: 2)) { try parseMultipart(one + one + one + "--X--", limits: limits) }
        #expect(throws: MultipartError.preambleTooLong(limit: 10)) { try parseMultipart("0123456789a\r\n" + one, limits: limits) }
        limits.headerBytes -= 1
        #expect(throws: MultipartError.headersTooLong(limit: limits.headerBytes)) { try parseMultipart(one + "--X--", limits: limits) }
        let endless = "--X\r\n" + String(repeating: "a", count: 100_000)
        #expect(throws: MultipartError.headersTooLong(limit: 8192)) { try parseMultipart(endless) }
        #expect(MultipartError.tooManyParts(limit: 2).code == "TOO_MANY_PARTS")
        #expect(MultipartError.tooManyParts(limit: 2).status == 413)
    }

    @Test func keepsItsFirstError() throws {
        var parser = try MultipartParser(boundary: "X")
        try parser.feed(ByteBuffer(string: "--X!"))
        for _ in 0..<2 { #expect(throws: MultipartError.malformedDelimiter) { try parser.next() } }
        #expect(throws: MultipartError.malformedDelimiter) { try parser.feed(ByteBuffer(string: "a")) }
        #expect(throws: MultipartError.malformedDelimiter) { try parser.finish() }
    }

    @Test func handsOutSlicesOfWhatItWasFed() throws {
        let body = ByteBuffer(bytes: Array(Self.head.utf8) + [UInt8](repeating: 7, count: 100_000))
        let address = body.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        var parser = try MultipartParser(boundary: "X")
        try parser.feed(body)
        #expect(try parser.next() == .partBegan(PartHeaders(name: "a")))
        guard case .data(let slice)? = try parser.next() else {
            Issue.record("no data event")
            return
        }
        #expect(slice.readableBytes == 100_000)
        #expect(slice.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) } == address + UInt(Self.head.utf8.count))
        #expect(try parser.next() == nil)
    }

    @Test func readsBuffersFedAhead() throws {
        var parser = try MultipartParser(boundary: "X")
        for piece in [Self.head + "a\r", "\n", "--", "b", Self.tail, "epilogue"] { try parser.feed(ByteBuffer(string: piece)) }
        var data = ""
        var events = 0
        while let event = try parser.next() {
            events += 1
            if case .data(let buffer) = event { data += String(buffer: buffer) }
        }
        try parser.finish()
        #expect(data == "a\r\n--b" && events >= 5)
    }
}

@Suite struct MultipartHeaderTests {
    @Test(arguments: [
        ("multipart/form-data; boundary=abc", "abc"), ("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b:c\"", "a b:c"),
        ("multipart/form-data; boundary=----WebKitFormBoundaryAb12;", "----WebKitFormBoundaryAb12"),
        ("multipart/form-data ; boundary = abc", "abc"),
    ])
    func findsTheBoundary(contentType: String, expected: String) throws {
        #expect(try MultipartParser.boundary(contentType: contentType) == expected)
    }

    @Test(arguments: [
        ("multipart/form-data", MultipartError.missingBoundary), ("multipart/form-data; boundary=", .missingBoundary),
        ("multipart/form-data; boundary=\"\"", .missingBoundary), ("multipart/mixed; boundary=a", .notFormData), ("", .notFormData),
        ("application/octet-stream", .notFormData), ("multipart/form-data; boundary=\"a", .notFormData),
        ("multipart/form-data; boundary=a; boundary=b", .notFormData),
    ])
    func refusesOtherContentTypes(contentType: String, expected: MultipartError) {
        #expect(throws: expected) { try MultipartParser.boundary(contentType: contentType) }
    }

    @Test func boundsTheBoundary() throws {
        _ = try MultipartParser(boundary: String(repeating: "b", count: 70))
        #expect(throws: MultipartError.boundaryTooLong(71)) { try MultipartParser(boundary: String(repeating: "b", count: 71)) }
        #expect(throws: MultipartError.missingBoundary) { try MultipartParser(boundary: "") }
        for bad in ["a\r", "a\nb", "a ", "é", "\0"] {
            #expect(throws: MultipartError.invalidBoundary) { try MultipartParser(boundary: bad) }
        }
    }

    @Test(arguments: [
        (#"filename="a.txt""#, "a.txt"), ("filename=a.txt", "a.txt"), (#"filename="a;b=c.txt""#, "a;b=c.txt"), (#"filename="""#, ""),
        (#"filename="a\"b\\c.txt""#, #"a"b\c.txt"#), (#"filename="C:\dir\f.txt""#, #"C:\dir\f.txt"#),
        (#"filename="a%22b%0D%0ac%25%41%2e%2""#, "a\"b\r\nc%25%41%2e%2"), (#"filename="Zażółć.txt""#, "Zażółć.txt"),
        ("filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"), ("filename*=utf-8'pl'a%22.txt; filename=\"b\"", "a\".txt"),
        ("filename*=iso-8859-1'en'%A3%20rates", "£ rates"), ("filename=\"plain\"; filename*=UTF-8''%ff", "plain"),
        ("filename=\"plain\"; filename*=koi8-r''%C1", "plain"), ("filename=\"plain\"; filename*=UTF-8''%4", "plain"),
        ("filename=\"plain\"; filename*=nonsense", "plain"),
    ])
    func readsFileNames(parameter: String, expected: String) throws {
        let block = "Content-Disposition: form-data; name=\"f\"; \(parameter)\r\n\r\n"
        #expect(try PartHeaders(parsing: Array(block.utf8)) == PartHeaders(name: "f", fileName: expected))
    }

    @Test func everyErrorHasACodeAndASentence() {
        let all: [MultipartError] = [
            .notFormData, .missingBoundary, .boundaryTooLong(71), .invalidBoundary, .delimiterNotFound, .truncated, .malformedDelimiter,
            .malformedPartHeader(reason: "x"), .partWithoutName, .unsupportedTransferEncoding, .headersTooLong(limit: 1),
            .preambleTooLong(limit: 1), .tooManyParts(limit: 1),
        ]
        #expect(Set(all.map(\.code)).count == all.count - 1)
        #expect(all.allSatisfy { (400..<500).contains($0.status) && $0.message.hasSuffix(".") })
    }
}
