import DriveCrypto
import Testing

@testable import DriveServer

@Suite struct StructuredFieldTests {
    /// RFC 9651 §3.3.1, §4.2: what is an Integer that is not negative, with what may stand around it.
    @Test(arguments: [
        ("0", 0), ("5", 5), ("005", 5), ("-0", 0), ("  5  ", 5), ("5;x=y", 5),
        ("5;a;b=1;c=\"x;,\\\"\";d=:AA==:;e=?1;f=-1.5;g=@-1;h=*a/b", 5),
        ("5; a", 5), ("999999999999999", StructuredField.maximumInteger), ("5;a=%\"%c3%a4\"", 5),
    ])
    func readsIntegers(text: String, value: Int64) {
        #expect(StructuredField.nonNegativeInteger(text) == value)
    }

    @Test(arguments: [
        "", " ", "-1", "abc", "1.0", "\"5\"", "?1", "5, 5", "5,", "5 5", "1000000000000000", "0000000000000005", "+5", "0x5", "5a",
        ":AA==:",
        "5;", "5;A", "5;a=", "5;a=?2", "5;a=\"x", "5;a=\"\u{E9}\"", "5;a=\"\\n\"", "5;a=1.2345", "5;a=1.", "5;a=@1.5", "5;a=(1)", "5 ;a",
        "(5)", "\t5", "5\t", "-", "--5", "5;a=%\"%C3\"", "5;a=é", "５", "99999999999999999999999999",
    ])
    func refusesOtherIntegers(text: String) {
        #expect(StructuredField.nonNegativeInteger(text) == nil)
    }

    @Test func readsBooleans() {
        for (text, value) in [("?1", true), ("?0", false), ("?1;a=b", true), (" ?0 ", false)] {
            #expect(StructuredField.boolean(text) == value, "\(text)")
            #expect(StructuredField.boolean(StructuredField.text(value)) == value)
        }
        for text in ["", "1", "0", "true", "?2", "?", "?1, ?1", "?11", "??1", "? 1", "?T", "\"?1\"", "?1;", "?1,"] {
            #expect(StructuredField.boolean(text) == nil, "\(text)")
        }
    }

    @Test func readsDictionariesOfIntegers() {
        for (text, value) in [
            ("", [:]), ("sha-256=1", ["sha-256": 1]), ("a=1, b=-2;x", ["a": 1, "b": -2]), ("a=1,\tb=2", ["a": 1, "b": 2]),
            ("a=1, a=3", ["a": 3]), (" *k_.-=7 ", ["*k_.-": 7]),
        ] as [(String, [String: Int64])] {
            #expect(StructuredField.integers(text) == value, "\(text)")
        }
        for text in ["a", "a=", "a=1.0", "a=\"1\"", "a=?1", "A=1", "a=1,", ",", "a=1 b=2", "a = 1", "a=(1)", "a=1;", "1=1", "é=1"] {
            #expect(StructuredField.integers(text) == nil, "\(text)")
        }
    }

    /// RFC 9530 §4: the larger weight wins, 0 is none.
    @Test(arguments: [
        ("sha-256=1", DigestAlgorithm?.some(.sha256)), ("sha-256=3, sha-512=10", .sha512), ("sha-512=3, sha-256=10", .sha256),
        ("sha-256=5, sha-512=5", .sha256), ("sha-256=0", nil), ("sha-256=0, sha-512=1", .sha512), ("sha-256=11", nil),
        ("sha-256=-1", nil), ("md5=10, sha-256=1", .sha256), ("md5=10", nil), ("", nil), ("sha-256", nil), ("sha-256=1.5", nil),
        ("sha-256=1, x", nil), ("SHA-256=1", nil),
    ])
    func choosesTheWantedDigest(text: String, choice: DigestAlgorithm?) {
        #expect(WantedDigest.choice(text, among: [.sha256, .sha512]) == choice)
    }
}
