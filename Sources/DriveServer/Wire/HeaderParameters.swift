/// A header value with parameters: `multipart/form-data; boundary="x"` (RFC 9110 §5.6.6), `form-data; name="a"` (RFC 7578 §4.2).
struct HeaderParameters: Equatable, Sendable {
    /// What stands before the first semicolon, in lower case; empty where the header has parameters only.
    let value: String
    /// Parameters by name in lower case. Values are unquoted.
    let parameters: [String: String]

    subscript(_ name: String) -> String? { parameters[name] }

    /// Parses a value followed by parameters.
    /// - Returns: nil for an unclosed quoted string, a bad parameter name, a parameter given twice, a control byte or bytes that
    ///   are not UTF-8.
    init?(_ text: some Collection<UInt8>) {
        self.init(Array(text)[...], hasValue: true)
    }

    /// Parses parameters alone, as in one element of `Forwarded` (RFC 7239 §4).
    init?(parametersOnly bytes: ArraySlice<UInt8>) {
        self.init(bytes, hasValue: false)
    }

    private init?(_ bytes: ArraySlice<UInt8>, hasValue: Bool) {
        guard !bytes.contains(where: { HTTPSyntax.isControl($0) && $0 != 0x09 }),
            let pieces = HTTPSyntax.split(bytes, at: UInt8(ascii: ";")), let first = pieces.first
        else { return nil }
        if hasValue {
            guard let text = String(validating: first.map(HTTPSyntax.lowercased), as: UTF8.self) else { return nil }
            value = text
        } else {
            value = ""
        }
        var found: [String: String] = [:]
        for piece in hasValue ? pieces.dropFirst() : pieces[...] where !piece.isEmpty {
            guard let (name, text) = Self.parameter(piece), found.updateValue(text, forKey: name) == nil else { return nil }
        }
        parameters = found
    }

    private static func parameter(_ piece: ArraySlice<UInt8>) -> (String, String)? {
        guard let equals = piece.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let name = HTTPSyntax.trim(piece[..<equals])
        guard !name.isEmpty, name.allSatisfy(HTTPSyntax.isTokenByte), let bytes = unquote(HTTPSyntax.trim(piece[(equals + 1)...])),
            let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        return (String(decoding: name.map(HTTPSyntax.lowercased), as: UTF8.self), text)
    }

    /// The content of a quoted string, or the bytes themselves.
    ///
    /// Only `\"` and `\\` are escapes: browsers send a backslash of a file name as it is, so `\b` must stay two characters.
    private static func unquote(_ value: ArraySlice<UInt8>) -> [UInt8]? {
        guard value.first == HTTPSyntax.quote else { return value.contains(HTTPSyntax.quote) ? nil : Array(value) }
        var result: [UInt8] = []
        result.reserveCapacity(value.count)
        var index = value.startIndex + 1
        while index < value.endIndex {
            var byte = value[index]
            if byte == HTTPSyntax.quote { return index == value.endIndex - 1 ? result : nil }
            if byte == HTTPSyntax.backslash, index + 1 < value.endIndex,
                value[index + 1] == HTTPSyntax.quote || value[index + 1] == HTTPSyntax.backslash
            {
                index += 1
                byte = value[index]
            }
            result.append(byte)
            index += 1
        }
        return nil
    }
}
