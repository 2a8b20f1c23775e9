/// Reads structured fields (RFC 9651 §4.2): here what all of them share, and a dictionary whose members are byte sequences. Parameters
/// are checked for form and dropped.
struct StructuredFieldScanner {
    private let bytes: [UInt8]
    private var index = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    mutating func skip(where matches: (UInt8) -> Bool) {
        while let byte = current, matches(byte) { index += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        index += 1
        return true
    }

    /// Adds all members; false where the text is no such dictionary. An empty text is an empty dictionary.
    mutating func scanByteSequences(into members: inout [String: [UInt8]]) -> Bool {
        skip { $0 == 0x20 }
        guard current != nil else { return true }
        while true {
            guard let key = scanKey(), take(UInt8(ascii: "=")), let value = scanByteSequence(), skipParameters() else { return false }
            members[key] = value
            skip(where: HTTPSyntax.isWhitespace)
            if current == nil { return true }
            guard take(UInt8(ascii: ",")) else { return false }
            skip(where: HTTPSyntax.isWhitespace)
            if current == nil { return false }
        }
    }

    /// A key: lower case letter or `*`, then letters, digits and `_-.*`.
    mutating func scanKey() -> String? {
        let start = index
        func isLower(_ byte: UInt8) -> Bool { byte >= 0x61 && byte <= 0x7A || byte == UInt8(ascii: "*") }
        guard let first = current, isLower(first) else { return nil }
        skip {
            isLower($0) || HTTPSyntax.isDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    /// `:base64:`
    mutating func scanByteSequence() -> [UInt8]? {
        guard take(UInt8(ascii: ":")) else { return nil }
        let start = index
        skip { $0 != UInt8(ascii: ":") }
        let content = bytes[start..<index]
        guard take(UInt8(ascii: ":")) else { return nil }
        return Base64.decode(content)
    }

    /// `*( ";" *SP key [ "=" bare-item ] )`
    mutating func skipParameters() -> Bool {
        while take(UInt8(ascii: ";")) {
            skip { $0 == 0x20 }
            guard scanKey() != nil else { return false }
            guard take(UInt8(ascii: "=")) else { continue }
            if scanBareItem() == nil { return false }
        }
        return true
    }
}

/// Base64 of RFC 4648 §4 for a few bytes of a header.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// With padding.
    static func encode(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for place in 0..<4 {
                result.append(place <= group.count ? alphabet[Int(bits >> (18 - 6 * UInt32(place)) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// With or without padding; nil for other characters, wrong padding or a length that no bytes have.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        let pad = UInt8(ascii: "=")
        let body = text.prefix { $0 != pad }
        let padding = text.count - body.count
        guard text.dropFirst(body.count).allSatisfy({ $0 == pad }), padding == 0 || padding <= 2 && text.count.isMultiple(of: 4),
            body.count % 4 != 1
        else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(body.count * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        for byte in body {
            guard let value = digit(byte) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return result
    }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x41...0x5A: UInt32(byte) - 0x41
        case 0x61...0x7A: UInt32(byte) - 0x61 + 26
        case 0x30...0x39: UInt32(byte) - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
