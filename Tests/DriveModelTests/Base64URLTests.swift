import Testing

@testable import DriveModel

@Suite struct Base64URLTests {
    /// RFC 4648 §10, without padding.
    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
    ])
    func vectors(plain: String, encoded: String) {
        #expect(Base64URL.encode(plain.utf8) == encoded)
        #expect(Base64URL.decode(encoded.utf8) == Array(plain.utf8))
    }

    @Test(arguments: ["A", "AAAAA", "Zg==", "Zh", "Zm9=", "Zm+v", "Zm/v", "Z g", "Zg\n", "Zmé"]) func refused(text: String) {
        #expect(Base64URL.decode(text.utf8) == nil)
    }

    @Test func everyByteSurvives() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for length in 0..<64 { #expect(Base64URL.decode(Base64URL.encode(bytes.prefix(length)).utf8) == Array(bytes.prefix(length))) }
        #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
    }
}
