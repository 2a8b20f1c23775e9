import DriveModel
import DriveUploads
import Foundation
import Testing

@testable import DriveServer

@Suite struct TusMetadataTests {
    @Test(
        arguments: [
            // The text's own example.
            (
                "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential",
                [("filename", "world_domination_plan.pdf"), ("is_confidential", "")]
            ),
            ("a YQ==", [("a", "a")]), ("a", [("a", "")]), ("a ", [("a", "")]), ("a ,b Yg==", [("a", ""), ("b", "b")]),
            ("a,b Yg==", [("a", ""), ("b", "b")]), ("a YQ==, \tb Yg== ", [("a", "a"), ("b", "b")]), ("a YQ", [("a", "a")]),
            ("A YQ==,a Yg==", [("A", "a"), ("a", "b")]), ("ключ YQ==", [("ключ", "a")]), ("a-b_c.d/e YQ==", [("a-b_c.d/e", "a")]),
            ("x 4pyT", [("x", "✓")]),
        ] as [(String, [(String, String)])])
    func readsPairsInOrder(field: String, expected: [(String, String)]) throws {
        let metadata = try TusMetadata(field)
        #expect(metadata.pairs == expected.map { TusMetadata.Pair(key: $0.0, value: Array($0.1.utf8)) })
        #expect(metadata.text == field)
    }

    @Test(arguments: [nil, "", " ", " \t "])
    func blankIsNone(field: String?) throws {
        let metadata = try TusMetadata(field)
        #expect(metadata.text == nil && metadata.pairs.isEmpty)
    }

    @Test(arguments: [
        (",", 1, ""), ("a YQ==,", 2, ""), (",a YQ==", 1, ""), ("a YQ==,,b Yg==", 2, ""), ("a !!!", 1, "a"), ("a YQ== b", 1, "a"),
        ("a  YQ==", 1, "a"), ("b YQ==,a YQ=", 2, "a"), ("a YQ===", 1, "a"), ("a Y", 1, "a"), ("a Y=Q=", 1, "a"), ("a 4pyT-_", 1, "a"),
        ("a YQ==,a Yg==", 2, "a"), ("a,a", 2, "a"), ("a\u{1} YQ==", 1, "a\u{1}"), ("a\tYQ==", 1, "a\tYQ=="), ("a YQ\t==", 1, "a"),
    ])
    func namesTheBrokenPair(field: String, number: Int64, key: String) {
        let error = #expect(throws: DriveError.self) { try TusMetadata(field) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.details == ["rule": "Upload-Metadata", "pair": .integer(number), "key": .string(key)])
    }

    @Test(
        arguments: [
            ("name YQ==,filename Yg==", "a"), ("filename Yg==,name YQ==", "a"), ("name,filename Yg==", "b"), ("filename Yg==", "b"),
            // `null` and `undefined`.
            ("name bnVsbA==,filename Yg==", "b"), ("name dW5kZWZpbmVk,filename Yg==", "b"), ("name bnVsbA==", nil), ("Name YQ==", nil),
            ("name /w==", "\u{FFFD}"),
        ] as [(String, String?)])
    func firstKeyWithAValueWins(field: String, expected: String?) throws {
        #expect(try TusMetadata(field).first(of: "name", "filename") == expected)
    }

    // MARK: What it says of the file

    static let now = Timestamp(seconds: 1_800_000_000)
    static let id = UUID()
    static let hash = String(repeating: "aB", count: 32)

    private static func stream(_ pairs: [(String, String)]) throws -> NewStream {
        let field = pairs.map { "\($0.0) \(Base64.encode(Array($0.1.utf8)))" }.joined(separator: ",")
        var stream = NewStream(face: UploadFace.tus)
        try stream.describe(by: try TusMetadata(field), now: now)
        return stream
    }

    @Test(arguments: [
        ("filename", "filetype", "pool", "bundle", "hash", "expiry"), ("name", "type", "poolId", "bundleId", "sha256", "expires"),
        ("name", "contentType", "poolId", "bundleId", "hash", "expiredAt"),
    ])
    func everyNameOfAKeyCounts(name: String, type: String, pool: String, bundle: String, hash: String, expiry: String) throws {
        let stream = try Self.stream([
            (name, "C:\\fakepath\\ä.png"), (type, "image/png"), (pool, Self.id.uuidString), (bundle, Self.id.uuidString), (hash, Self.hash),
            (expiry, "3600"), ("relativePath", "../../x"),
        ])
        #expect(stream.fileName == "ä.png")
        #expect(stream.contentType == "image/png")
        #expect(stream.poolId == Self.id && stream.bundleId == Self.id)
        #expect(stream.hash == Self.hash.lowercased())
        #expect(stream.expiredAt == Self.now + .seconds(3600))
        #expect(stream.metadata?.hasPrefix("\(name) ") == true)
    }

    @Test func nothingSaidIsNothingAsked() throws {
        #expect(try Self.stream([]) == NewStream(face: UploadFace.tus))
        let stream = try Self.stream([("name", "null"), ("type", "undefined"), ("pool", ""), ("hash", "null"), ("expiry", "undefined")])
        var expected = NewStream(face: UploadFace.tus)
        expected.metadata = stream.metadata
        #expect(stream == expected)
    }

    @Test(
        arguments: [
            ("2030-01-31T12:00:00Z", Timestamp("2030-01-31T12:00:00Z")),
            ("2030-01-31T12:00:00.5+02:00", Timestamp("2030-01-31T10:00:00.5Z")),
            ("0", now), ("251602300799", Timestamp(seconds: 253_402_300_799)),
        ] as [(String, Timestamp?)])
    func expiryIsATimeOrSeconds(text: String, expected: Timestamp?) throws {
        #expect(expected != nil)
        #expect(try Self.stream([("expiry", text)]).expiredAt == expected)
    }

    @Test(arguments: [
        ("pool", "x", "pool"), ("poolId", "0", "pool"), ("bundle", "x", "bundle"), ("hash", "ab", "hash"),
        ("sha256", String(repeating: "g", count: 64), "hash"), ("expiry", "soon", "expiry"), ("expires", "-1", "expiry"),
        ("expiry", "1.5", "expiry"), ("expiry", "251602300800", "expiry"), ("expiry", "99999999999999999999", "expiry"),
    ])
    func namesTheValueThatCannotBe(key: String, value: String, rule: String) {
        let error = #expect(throws: DriveError.self) { try Self.stream([(key, value)]) }
        #expect(error?.code.category == .invalid)
        #expect(error?.details["rule"] == .string(rule))
    }
}
