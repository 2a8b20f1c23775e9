import Foundation

/// Base64url without padding (RFC 4648 section 5, RFC 7515 section 2).
enum Base64URLText {
    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text = Data(bytes).base64EncodedString()
        text.removeLast(text.reversed().prefix { $0 == "=" }.count)
        return String(text.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }

    /// The bytes; nil for padding, a foreign character, or unused bits that are not zero: there is one text for each
    /// sequence of bytes.
    static func decode(_ text: String) -> [UInt8]? {
        let standard = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        guard let data = Data(base64Encoded: standard + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)) else { return nil }
        let bytes = [UInt8](data)
        return encode(bytes) == text ? bytes : nil
    }
}
