/// The value of `Content-Disposition` in a reply (RFC 6266).
enum ContentDisposition: String, Sendable {
    case inline
    case attachment

    /// The header value for a file's name.
    ///
    /// Control and direction-changing characters and path separators become `_` in both forms, whatever name was stored: a browser
    /// must not save `exe.gpj` shown backwards. `filename*` follows where the ASCII form had to differ.
    func value(fileName: String) -> String {
        var safe = String.UnicodeScalarView()
        var ascii = ""
        for scalar in fileName.unicodeScalars {
            let kept: Unicode.Scalar = Self.isUnsafe(scalar) ? "_" : scalar
            safe.append(kept)
            // Quotes would need escapes that browsers disagree on, and some decode `%41` (RFC 6266 appendix D).
            ascii.unicodeScalars.append(kept.isASCII && kept != "\"" && kept != "%" ? kept : "_")
        }
        guard !safe.isEmpty else { return rawValue }
        let plain = "\(rawValue); filename=\"\(ascii)\""
        let name = String(safe)
        return name == ascii ? plain : plain + "; filename*=UTF-8''" + Self.percentEncoded(name)
    }

    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x2F, 0x5C: true
        case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: scalar.properties.generalCategory == .control
        }
    }

    /// Everything but `attr-char` of RFC 8187 §3.2.1 as `%XX`.
    private static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count * 3)
        for byte in text.utf8 {
            let special = byte == UInt8(ascii: "*") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "%")
            if HTTPSyntax.isTokenByte(byte) && !special {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
