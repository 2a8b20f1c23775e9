import DriveModel
import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct EntityTagTests {
    @Test func readsAndWrites() {
        #expect(EntityTag("\"abc\"")?.description == "\"abc\"")
        #expect(EntityTag("W/\"a,b\\\"")?.description == "W/\"a,b\\\"")
        #expect(EntityTag("\"\"")?.opaque == "")
        #expect(EntityTag(digest: [0, 0x1F, 0xFF]).description == "\"001fff\"")
        for bad in ["", "abc", "\"", "\"a", "a\"", "w/\"a\"", "\"a\"b\"", "\"a b\"", "*"] { #expect(EntityTag(bad) == nil, "\(bad)") }
    }

    @Test func comparesAsTheStandardSays() throws {
        // The table of RFC 9110 §8.8.3.2.
        for (left, right, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true), ("W/\"1\"", "W/\"2\"", false, false), ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            let (first, second) = (try #require(EntityTag(left)), try #require(EntityTag(right)))
            #expect(first.matchesStrongly(second) == strong)
            #expect(first.matchesWeakly(second) == weak)
        }
    }

    @Test func readsLists() throws {
        #expect(EntityTag.Condition(" * ") == .any)
        let tags = try ["\"a,b\"", "W/\"c\"", "\"d\\\""].map { try #require(EntityTag($0)) }
        #expect(EntityTag.Condition("\"a,b\", W/\"c\",,\"d\\\"") == .tags(tags))
        for bad in ["", ",", "a", "\"a\" \"b\"", "*, \"a\"", "\"a"] { #expect(EntityTag.Condition(bad) == nil, "\(bad)") }
    }
}

@Suite struct ByteRangeTests {
    @Test(arguments: [
        ("bytes=0-499", ByteRange.Resolution.partial(0..<500)), ("bytes=500-999", .partial(500..<1000)), ("bytes=9-9", .partial(9..<10)),
        ("bytes=999-", .partial(999..<1000)), ("bytes=0-", .partial(0..<1000)), ("bytes=-500", .partial(500..<1000)),
        ("bytes=-5000", .partial(0..<1000)), ("bytes=900-5000", .partial(900..<1000)), ("BYTES = 0-1 ,", .partial(0..<2)),
        ("bytes=0-99999999999999999999999", .partial(0..<1000)), ("bytes=-99999999999999999999999", .partial(0..<1000)),
        ("bytes=0-9223372036854775807", .partial(0..<1000)),
        ("bytes=1000-", .unsatisfiable), ("bytes=1000-2000", .unsatisfiable), ("bytes=-0", .unsatisfiable),
        ("bytes=99999999999999999999999-", .unsatisfiable),
    ])
    func resolvesAgainstAThousandBytes(text: String, expected: ByteRange.Resolution) {
        #expect(ByteRange(text)?.resolve(size: 1000) == expected)
    }

    @Test(arguments: [
        ("bytes=0-", ByteRange.Resolution.unsatisfiable), ("bytes=0-0", .unsatisfiable), ("bytes=-1", .full), ("bytes=-0", .unsatisfiable),
    ])
    func resolvesAgainstNothing(text: String, expected: ByteRange.Resolution) {
        #expect(ByteRange(text)?.resolve(size: 0) == expected)
    }

    @Test(arguments: [
        "", "bytes", "bytes=", "bytes=-", "bytes=,", "bytes=a-b", "bytes=1", "bytes=5-4", "bytes=0-1,3-4", "bytes=--5", "bytes=+1-2",
        "bytes=1-2-3", "bytes=1 - 2", "bytes=0x1-2", "items=0-1", "=0-1", "bytes=0-1;x", "bytes=０-1",
    ])
    func ignoresEverythingElse(text: String) {
        #expect(ByteRange(text) == nil)
    }

    @Test func writesContentRange() {
        #expect(ByteRange.contentRange(0..<500, size: 1234) == "bytes 0-499/1234")
        #expect(ByteRange.unsatisfiedContentRange(size: 1234) == "bytes */1234")
    }
}

@Suite struct ConditionalRequestTests {
    static let now = "Sun, 06 Nov 1994 08:49:37 GMT"
    static let before = "Sun, 06 Nov 1994 08:49:36 GMT"
    static let after = "Sun, 06 Nov 1994 08:49:38 GMT"
    static let same = "\"e\""
    static let other = "\"x\""

    struct Case: Sendable, CustomTestStringConvertible {
        var method = HTTPRequest.Method.get
        var fields: [(HTTPField.Name, String)]
        var outcome: ConditionalRequest.Outcome

        init(_ method: HTTPRequest.Method, _ fields: [(HTTPField.Name, String)], _ outcome: ConditionalRequest.Outcome) {
            (self.method, self.fields, self.outcome) = (method, fields, outcome)
        }

        var testDescription: String { "\(method) \(fields.map { "\($0): \($1)" }) → \(outcome)" }
    }

    static let cases: [Case] = [
        Case(.get, [], .full),
        Case(.head, [(.range, "bytes=0-1")], .full),
        Case(.put, [(.range, "bytes=0-1")], .full),
        Case(.get, [(.range, "bytes=0-1")], .partial(0..<2)),
        Case(.get, [(.range, "bytes=100-")], .unsatisfiable),
        Case(.get, [(.range, "bytes=0-1,4-5")], .full),
        Case(.get, [(.range, "bytes=0-1"), (.range, "bytes=4-5")], .full),
        // If-Match: strong, before all else.
        Case(.get, [(.ifMatch, same)], .full),
        Case(.get, [(.ifMatch, "*")], .full),
        Case(.get, [(.ifMatch, other)], .preconditionFailed),
        Case(.get, [(.ifMatch, "W/\"e\"")], .preconditionFailed),
        Case(.get, [(.ifMatch, "\(other), \(same)")], .full),
        Case(.get, [(.ifMatch, other), (.ifMatch, same)], .full),
        Case(.get, [(.ifMatch, "e")], .preconditionFailed),
        Case(.get, [(.ifMatch, other), (.ifNoneMatch, same)], .preconditionFailed),
        Case(.delete, [(.ifMatch, other)], .preconditionFailed),
        // If-Unmodified-Since: only without If-Match.
        Case(.get, [(.ifUnmodifiedSince, before)], .preconditionFailed),
        Case(.get, [(.ifUnmodifiedSince, now)], .full),
        Case(.get, [(.ifUnmodifiedSince, "yesterday")], .full),
        Case(.get, [(.ifMatch, same), (.ifUnmodifiedSince, before)], .full),
        // If-None-Match: weak; 304 for GET and HEAD, else 412.
        Case(.get, [(.ifNoneMatch, same)], .notModified),
        Case(.get, [(.ifNoneMatch, "W/\"e\"")], .notModified),
        Case(.head, [(.ifNoneMatch, "\(other),\(same)")], .notModified),
        Case(.get, [(.ifNoneMatch, other)], .full),
        Case(.get, [(.ifNoneMatch, "*")], .notModified),
        Case(.put, [(.ifNoneMatch, "*")], .preconditionFailed),
        Case(.get, [(.ifNoneMatch, "e")], .full),
        Case(.get, [(.ifNoneMatch, same), (.range, "bytes=0-1")], .notModified),
        // If-Modified-Since: only without If-None-Match, only for GET and HEAD.
        Case(.get, [(.ifModifiedSince, now)], .notModified),
        Case(.get, [(.ifModifiedSince, after)], .notModified),
        Case(.get, [(.ifModifiedSince, before)], .full),
        Case(.get, [(.ifModifiedSince, "tomorrow")], .full),
        Case(.put, [(.ifModifiedSince, now)], .full),
        Case(.get, [(.ifNoneMatch, other), (.ifModifiedSince, now)], .full),
        // If-Range: strong tag or exact date, only with a range.
        Case(.get, [(.range, "bytes=0-1"), (.ifRange, same)], .partial(0..<2)),
        Case(.get, [(.range, "bytes=0-1"), (.ifRange, other)], .full),
        Case(.get, [(.range, "bytes=0-1"), (.ifRange, "W/\"e\"")], .full),
        Case(.get, [(.range, "bytes=0-1"), (.ifRange, now)], .partial(0..<2)),
        Case(.get, [(.range, "bytes=0-1"), (.ifRange, after)], .full),
        Case(.get, [(.range, "bytes=0-1"), (.ifRange, "nonsense")], .full),
        Case(.get, [(.range, "bytes=100-"), (.ifRange, other)], .full),
        Case(.get, [(.range, "bytes=100-"), (.ifRange, same)], .unsatisfiable),
        Case(.get, [(.ifRange, same)], .full),
        Case(.get, [(.ifMatch, same), (.ifNoneMatch, other), (.range, "bytes=-2")], .partial(8..<10)),
    ]

    @Test(arguments: cases)
    func followsTheOrderOfTheStandard(_ example: Case) {
        var headers = HTTPFields()
        for (name, value) in example.fields { headers.append(HTTPField(name: name, value: value)) }
        let outcome = ConditionalRequest.evaluate(
            method: example.method, headers: headers, etag: EntityTag(Self.same), lastModified: HTTPDate(Self.now), size: 10)
        #expect(outcome == example.outcome)
    }

    @Test func aRepresentationWithoutValidatorsMatchesOnlyTheStar() {
        func outcome(_ headers: HTTPFields) -> ConditionalRequest.Outcome {
            ConditionalRequest.evaluate(method: .get, headers: headers, etag: nil, lastModified: nil, size: 10)
        }
        #expect(outcome([.ifMatch: Self.same]) == .preconditionFailed)
        #expect(outcome([.ifMatch: "*"]) == .full)
        #expect(outcome([.ifNoneMatch: Self.same]) == .full)
        #expect(outcome([.ifModifiedSince: Self.now]) == .full)
        #expect(outcome([.ifUnmodifiedSince: Self.before]) == .full)
        #expect(outcome([.range: "bytes=0-1", .ifRange: Self.now]) == .full)
    }
}
