import Testing

import DriveCrypto
@testable import DriveServer

@Suite struct ContentDigestTests {
    /// SHA-256 of `{"hello": "world"}`, the example of RFC 9530 §2 in both notations.
    static let base64 = "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="
    static let hex = "5f8f04f6a3a892aaabbddb6cf273894493773960d4a325b105fee46eef4304f1"

    static var digest: ExpectedDigest { ExpectedDigest(.sha256, HTTPSyntax.bytes(hex: hex.utf8) ?? []) ?? .crc32c(0) }

    @Test func readsTheHeader() throws {
        let both: [ExpectedDigest] = [Self.digest, .crc32c(0xE306_9283)]
        for (text, expected) in [
            ("sha-256=:\(Self.base64):", [Self.digest]), ("crc32c=:4waSgw==:", [.crc32c(0xE306_9283)]),
            ("crc32c=:4waSgw:", [.crc32c(0xE306_9283)]),
            ("crc32c=:4waSgw==:, sha-256=:\(Self.base64):", both), ("  crc32c=:4waSgw==:\t,\tsha-256=:\(Self.base64): ", both),
            ("sha=:AAAA:, unixsum=:AA==:", []), ("sha-256=:AA==:,sha-256=:\(Self.base64):", [Self.digest]),
            ("md5=::;a;b=1;c=\"x,\\\"\";d=:AA==:;e=?1, crc32c=:4waSgw==:", [.crc32c(0xE306_9283)]), ("", []),
        ] as [(String, [ExpectedDigest])] {
            #expect(try ContentDigest.parse(text) == expected, "\(text)")
        }
    }

    @Test(arguments: [
        "sha-256", "sha-256=", "sha-256=abc", "sha-256=:\(base64)", "sha-256=\(base64)", "sha-256=:a:", "sha-256=:a b=:", "sha-256=:====:",
        "sha-256=:AA=:", "sha-256=:A=A=:", "sha-256=:AA-_:", "sha-256=:AA==:,", ",", "Sha-256=:AA==:", "sha-256 =:AA==:",
        "sha-256=:AA==: x",
        "sha-256=:AA==:;", "sha-256=:AA==:;a=", "sha-256=:AA==:;a=\"x", "md5=1", "md5=(1 2)", "é=:AA==:",
    ])
    func refusesAnythingMalformed(text: String) {
        #expect(throws: ContentDigestError.malformed) { try ContentDigest.parse(text) }
        #expect(throws: ContentDigestError.malformed) { try ContentDigest.parse(checksum: text) }
    }

    @Test(arguments: [
        ("sha-256=:AAAA:", "sha-256"), ("sha-512=:AAAA:", "sha-512"), ("crc32c=:AAAA:", "crc32c"), ("crc32c=:AAAAAAA=:", "crc32c"),
        ("sha-256=::", "sha-256"),
    ])
    func refusesAWrongLength(text: String, algorithm: String) {
        #expect(throws: ContentDigestError.wrongLength(algorithm: algorithm)) { try ContentDigest.parse(text) }
    }

    @Test func readsTheFormField() throws {
        #expect(try ContentDigest.parse(checksum: Self.hex) == Self.digest)
        #expect(try ContentDigest.parse(checksum: " \(Self.hex.uppercased()) ") == Self.digest)
        #expect(try ContentDigest.parse(checksum: "e3069283") == .crc32c(0xE306_9283))
        #expect(try ContentDigest.parse(checksum: "crc32c=:4waSgw==:") == .crc32c(0xE306_9283))
        #expect(try ContentDigest.parse(checksum: "crc32c=:4waSgw==:,sha-256=:\(Self.base64):") == Self.digest)
        #expect(throws: ContentDigestError.unsupportedAlgorithm) { try ContentDigest.parse(checksum: "md5=:AAAA:") }
        for bad in ["", " ", "xyz", "e306928", "e30692833", "e306928g", "0xe30692", String(Self.hex.dropLast()), Self.hex + "0"] {
            #expect(throws: ContentDigestError.malformed, "\(bad)") { try ContentDigest.parse(checksum: bad) }
        }
    }

    @Test func writesWhatItReads() throws {
        #expect(Self.digest.fieldMember == "sha-256=:\(Self.base64):")
        for digest in [Self.digest, .crc32c(0), .crc32c(.max), .crc32c(0xE306_9283)] {
            #expect(try ContentDigest.parse(digest.fieldMember) == [digest])
        }
    }

    /// The vectors of RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func base64RoundTrip(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded.utf8) == Array(plain.utf8))
    }
}
