import Foundation
import Testing

@testable import DriveModel

@Suite struct JSONTests {
    @Test(
        arguments: [
            ("null", JSONValue.null), ("true", true), ("0", 0), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775807", .integer(.max)), ("9007199254740993", .integer(9_007_199_254_740_993)),
            ("9223372036854775808", .unsigned(1 << 63)), ("18446744073709551615", .unsigned(.max)), ("1e20", .double(1e20)),
            ("1.5", .double(1.5)), ("\"a\\u0000b\"", "a\u{0}b"), ("[]", []), ("{}", [:]),
            ("[1,[null,{\"a\":false}]]", [1, [.null, ["a": false]]]),
        ] as [(String, JSONValue)])
    func readsAndWrites(text: String, value: JSONValue) throws {
        #expect(try DriveJSON.value(JSONValue.self, from: text) == value)
        #expect(try DriveJSON.value(JSONValue.self, from: DriveJSON.text(value)) == value)
    }

    /// Where a server or a client stores it, its digits are those that came.
    @Test(arguments: ["9007199254740993", "-9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615"])
    func wholeNumbersKeepTheirDigits(text: String) throws {
        let value: JSONValue = try DriveJSON.value(from: text)
        #expect(try DriveJSON.text(["n": value]) == #"{"n":\#(text)}"#)
        var writer = JSONObjectWriter()
        writer.add("n", value)
        #expect(writer.text == #"{"n":\#(text)}"#)
    }

    /// Six plain characters that look like an escape are none.
    @Test(
        arguments: [
            (#""a\u0000b""#, true), (#"["x",{"a":["\u0000"]}]"#, true), (#"{"\u0000":1}"#, true), (#"{"a":{"b\u0000":1}}"#, true),
            (#""a\\u0000b""#, false), (#"{"\\u0000":["\\\\u0000"]}"#, false), ("[1,null,true,1.5]", false),
        ])
    func tellsARealNULFromItsLetters(text: String, holdsNUL: Bool) throws {
        #expect(try DriveJSON.value(JSONValue.self, from: text).holdsNUL == holdsNUL)
    }

    @Test(arguments: ["", "{", "[1", "nul", "{\"a\"}", "'a'", "[1] 2"])
    func rejectsWhatIsNoJSON(text: String) {
        #expect(throws: (any Error).self) { try DriveJSON.value(JSONValue.self, from: text) }
    }

    @Test func survivesDeepNesting() {
        let text = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        #expect(throws: (any Error).self) { try DriveJSON.value(JSONValue.self, from: text) }
    }

    @Test func writesEqualValuesAsEqualBytes() throws {
        #expect(try DriveJSON.text(["b": 1, "a": "x/y"] as JSONValue) == #"{"a":"x/y","b":1}"#)
    }

    @Test func givesMembersAndScalars() {
        let value: JSONValue = ["name": "a", "count": 3, "nested": ["x": 1]]
        #expect(value["name"]?.string == "a")
        #expect(value["count"]?.integer == 3)
        #expect(value["nested"]?["x"]?.integer == 1)
        #expect(value["missing"] == nil)
        #expect(value["count"]?.string == nil)
        #expect(JSONValue.null["a"] == nil)
    }

    @Test(arguments: [
        #"{"fileName":"a","fileSize":5,"contentType":"text/plain","chunkSize":65536,"expiredAt":"2030-01-01T00:00:00Z"}"#,
        #"{"file_name":"a","file_size":5,"content_type":"text/plain","chunk_size":65536,"expired_at":"2030-01-01T00:00:00Z"}"#,
        #"{"file_name":"a","fileSize":5,"content_type":"text/plain","chunkSize":65536,"expired_at":"2030-01-01T00:00:00Z","unknown":{}}"#,
    ])
    func readsRequestsInBothCases(text: String) throws {
        let request = try DriveJSON.decoder().decode(CreateUploadRequest.self, from: Data(text.utf8))
        #expect(
            request
                == CreateUploadRequest(
                    fileName: "a", fileSize: 5, contentType: "text/plain", chunkSize: 65_536, expiredAt: Timestamp("2030-01-01T00:00:00Z")))
    }

    /// What belongs to somebody else keeps its keys as they stand, in whatever depth.
    @Test func leavesForeignKeysAlone() throws {
        struct Request: Codable, Equatable { var userMeta: [String: JSONValue] }
        let text = #"{"user_meta":{"my_key":{"inner_key":[{"deep_key":1}]},"otherKey":2}}"#
        let request = try DriveJSON.decoder().decode(Request.self, from: Data(text.utf8))
        #expect(request.userMeta == ["my_key": ["inner_key": [["deep_key": 1]]], "otherKey": 2])
    }

    @Test(arguments: ["9223372036854775808", "1e30", "1.5", "\"5\"", "null", "true"])
    func refusesSizesThatAreNoInteger(size: String) {
        let text = #"{"fileName":"a","fileSize":\#(size)}"#
        #expect(throws: DecodingError.self) { try DriveJSON.decoder().decode(CreateUploadRequest.self, from: Data(text.utf8)) }
    }

    @Test func writesAPoolWithItsPolicyBesideIt() throws {
        let pool = Pool(
            id: UUID(), name: "p", kind: "local", isDefault: true, policy: PoolPolicy(acceptTypes: ["image/*"], maxFileSize: 5),
            createdAt: Timestamp(seconds: 1), updatedAt: Timestamp(seconds: 2))
        let text = try DriveJSON.text(pool)
        #expect(try DriveJSON.value(JSONValue.self, from: text)["maxFileSize"] == 5)
        #expect(try DriveJSON.value(Pool.self, from: text) == pool)
    }

    @Test(arguments: [(nil, 5, 5, nil), (100, 30, 20, 50), (100, 90, 20, 0)] as [(Int64?, Int64, Int64, Int64?)])
    func computesWhatAQuotaHasLeft(quota: Int64?, used: Int64, reserved: Int64, available: Int64?) {
        #expect(QuotaReply(quotaBytes: quota, usedBytes: used, reservedBytes: reserved).availableBytes == available)
    }
}
