import NIOCore
import TestSupport
import Testing

@testable import DriveServer

/// However a body is cut into buffers, the same parts come out.
@Suite struct MultipartSplitTests {
    /// A body full of things that begin like the delimiter, and the parts it means.
    private static func hostileBody(boundary: String) -> (body: [UInt8], parts: [ParsedPart]) {
        let cut = String(boundary.dropLast())
        let contents: [String] = [
            "", "\r", "\r\n", "\r\n--", "\r\n--\(cut)", "\r\n--\(boundary.dropFirst())", "--\(boundary)", "\n--\(boundary)\r",
            "\r\r\n\r\n-\r\n--\r\n--\(cut)\r\n", "\r\n--\(cut)\r\n--", "abc",
        ]
        var body = Array("pre\r\n--amble\r\n".utf8)
        var parts: [ParsedPart] = []
        for (index, content) in contents.enumerated() {
            // A boundary right after the headers ends the part, so that content begins with a byte of its own.
            let bytes = Array((content.hasPrefix("--") ? " " + content : content).utf8)
            body += Array("--\(boundary)\r\nContent-Disposition: form-data; name=\"\(index)\"; filename=\"f\"\r\n\r\n".utf8) + bytes
            body += Array("\r\n".utf8)
            parts.append(ParsedPart(PartHeaders(name: "\(index)", fileName: "f"), bytes))
        }
        return (body + Array("--\(boundary)--\r\nepilogue \r\n--\(boundary)".utf8), parts)
    }

    @Test(arguments: ["X", "--", "aaaa", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "------------------------d74496d66958873e"])
    func everySplitInTwoGivesTheSame(boundary: String) throws {
        let (body, parts) = Self.hostileBody(boundary: boundary)
        #expect(try parseMultipart([body[...]], boundary: boundary) == parts)
        for cut in 0...body.count {
            let parsed = try parseMultipart([body[..<cut], body[cut...]], boundary: boundary)
            guard parsed == parts else {
                Issue.record("cut at \(cut)")
                return
            }
        }
        #expect(try parseMultipart(body.indices.map { body[$0...$0] }, boundary: boundary) == parts)
    }

    @Test(arguments: 1...60)
    func randomSplitsOfRandomBodiesGiveTheSame(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("ab-".utf8)
        let boundary = String(
            decoding: (0..<Int.random(in: 1...70, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator) ?? 0x61
            }, as: UTF8.self)
        let delimiter = Array("\r\n--\(boundary)".utf8)
        var body: [UInt8] = []
        var expected: [ParsedPart] = []
        for index in 0..<Int.random(in: 1...5, using: &generator) {
            // Bytes and beginnings of the delimiter, without the delimiter itself.
            var content: [UInt8] = [0]
            for _ in 0..<Int.random(in: 0...40, using: &generator) {
                if Bool.random(using: &generator) {
                    content += delimiter.prefix(Int.random(in: 0..<delimiter.count, using: &generator))
                } else {
                    content.append(([0x0D, 0x0A, 0x2D, 0x61, 0x62] as [UInt8]).randomElement(using: &generator) ?? 0)
                }
            }
            content.append(0)
            guard !contains(content, delimiter) else { continue }
            body += Array((body.isEmpty ? "" : "\r\n").utf8) + delimiter.dropFirst(2)
            body += Array("\r\nContent-Disposition: form-data; name=\(index)\r\n\r\n".utf8) + content
            expected.append(ParsedPart(PartHeaders(name: "\(index)"), content))
        }
        body += (body.isEmpty ? Array(delimiter.dropFirst(2)) : delimiter) + Array("--".utf8)
        for _ in 0..<40 {
            let cuts = (0..<Int.random(in: 0...12, using: &generator)).map { _ in Int.random(in: 0...body.count, using: &generator) }
                .sorted()
            let pieces = zip([0] + cuts, cuts + [body.count]).map { body[$0..<$1] }
            guard try parseMultipart(pieces, boundary: boundary) == expected else {
                Issue.record("seed \(seed), boundary \(boundary), cuts \(cuts)")
                return
            }
        }
    }

    @Test func everyTruncationIsNoticed() {
        let body = Array((MultipartParserTests.head + "some data" + "\r\n--X--").utf8)
        for length in 0..<body.count {
            #expect(throws: length < 3 ? MultipartError.delimiterNotFound : .truncated) {
                try parseMultipart([body[..<length]], boundary: "X")
            }
        }
    }

    @Test(arguments: 1...40)
    func theSearchFindsWhatANaiveOneFinds(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let letters: ClosedRange<UInt8> = 0x61...(Bool.random(using: &generator) ? 0x62 : 0x7A)
            let needle = (0..<Int.random(in: 2...9, using: &generator)).map { _ in UInt8.random(in: letters, using: &generator) }
            let text = (0..<Int.random(in: 0...300, using: &generator)).map { _ in UInt8.random(in: letters, using: &generator) }
            let found = text.withUnsafeBytes { DelimiterSearch(needle).firstMatch(in: $0) }
            #expect(found == naiveFirst(text, needle), "seed \(seed)")
        }
    }

    private func naiveFirst(_ text: [UInt8], _ needle: [UInt8]) -> Int? {
        guard text.count >= needle.count else { return nil }
        return (0...(text.count - needle.count)).first { text[$0..<($0 + needle.count)].elementsEqual(needle) }
    }

    private func contains(_ text: [UInt8], _ needle: [UInt8]) -> Bool { naiveFirst(text, needle) != nil }
}
