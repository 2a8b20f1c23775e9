/// The headers of one part of multipart/form-data that matter (RFC 7578 §4); others are read past.
struct PartHeaders: Sendable, Equatable {
    /// The field's name. May be empty, as a form may have an unnamed control.
    var name: String
    /// The file name as the client sent it: a label to be validated, never a path.
    var fileName: String?
    /// The part's media type as sent.
    var contentType: String?

    init(name: String, fileName: String? = nil, contentType: String? = nil) {
        self.name = name
        self.fileName = fileName
        self.contentType = contentType
    }

    /// Parses a header block whose lines all end in CRLF; the closing empty line may be included.
    init(parsing block: [UInt8]) throws(MultipartError) {
        var disposition: HeaderParameters?
        var contentType: String?
        for (name, value) in try Self.lines(block) {
            switch name {
            case "content-disposition":
                guard disposition == nil else { throw .malformedPartHeader(reason: "Content-Disposition is given twice") }
                guard let parsed = HeaderParameters(value), parsed.value == "form-data" else {
                    throw .malformedPartHeader(reason: "Content-Disposition is not form-data with well-formed parameters")
                }
                disposition = parsed
            case "content-type":
                guard let text = String(validating: value, as: UTF8.self) else {
                    throw .malformedPartHeader(reason: "Content-Type is not UTF-8")
                }
                contentType = text.isEmpty ? nil : text
            case "content-transfer-encoding":
                let encoding = String(decoding: value.map(HTTPSyntax.lowercased), as: UTF8.self)
                guard ["7bit", "8bit", "binary"].contains(encoding) else { throw .unsupportedTransferEncoding }
            default: break
            }
        }
        guard let disposition else { throw .malformedPartHeader(reason: "Content-Disposition is missing") }
        guard let name = disposition["name"] else { throw .partWithoutName }
        self.init(
            name: Self.decodeBrowserEscapes(name),
            // RFC 6266 §4.3: the extended form wins where it can be decoded.
            fileName: disposition["filename*"].flatMap(Self.decodeExtended) ?? disposition["filename"].map(Self.decodeBrowserEscapes),
            contentType: contentType)
    }

    /// The header lines as (name in lower case, trimmed value), folded lines joined by a space (RFC 5322 §2.2.3).
    private static func lines(_ block: [UInt8]) throws(MultipartError) -> [(String, [UInt8])] {
        var result: [(String, [UInt8])] = []
        for line in block.split(separator: HTTPSyntax.lineFeed) {
            guard line.last == HTTPSyntax.carriageReturn else { throw .malformedPartHeader(reason: "a line does not end in CRLF") }
            let content = line.dropLast()
            guard let first = content.first else { break }
            guard !content.contains(where: { HTTPSyntax.isControl($0) && $0 != 0x09 }) else {
                throw .malformedPartHeader(reason: "it contains a control character")
            }
            if HTTPSyntax.isWhitespace(first) {
                guard !result.isEmpty else { throw .malformedPartHeader(reason: "the first line is a continuation") }
                result[result.count - 1].1.append(0x20)
                result[result.count - 1].1.append(contentsOf: HTTPSyntax.trim(content))
                continue
            }
            guard let colon = content.firstIndex(of: UInt8(ascii: ":")) else {
                throw .malformedPartHeader(reason: "a line has no colon")
            }
            let name = content[..<colon]
            guard !name.isEmpty, name.allSatisfy(HTTPSyntax.isTokenByte) else {
                throw .malformedPartHeader(reason: "a field name is not a token")
            }
            let value = HTTPSyntax.trim(content[(colon + 1)...])
            result.append((String(decoding: name.map(HTTPSyntax.lowercased), as: UTF8.self), Array(value)))
        }
        return result
    }

    /// Undoes what browsers do to names in form data: `%22`, `%0D` and `%0A`, and nothing else (WHATWG HTML §4.10.21.8).
    static func decodeBrowserEscapes(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        return String(decoding: percentDecoded(Array(text.utf8)) { $0 == 0x22 || $0 == 0x0D || $0 == 0x0A } ?? [], as: UTF8.self)
    }

    /// Decodes `charset'language'percent-encoded` (RFC 8187 §3.2.1) in UTF-8 or ISO-8859-1; nil where it is anything else.
    static func decodeExtended(_ text: String) -> String? {
        let pieces = text.utf8.split(separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
        guard pieces.count == 3, let bytes = percentDecoded(Array(pieces[2]), where: nil) else { return nil }
        switch String(decoding: pieces[0].map(HTTPSyntax.lowercased), as: UTF8.self) {
        case "utf-8": return String(validating: bytes, as: UTF8.self)
        case "iso-8859-1": return String(String.UnicodeScalarView(bytes.map(Unicode.Scalar.init)))
        default: return nil
        }
    }

    /// Decodes `%XX`. With a filter, escapes it refuses and lone percent signs stay as they are; without one they give nil.
    private static func percentDecoded(_ bytes: [UInt8], where decodes: ((UInt8) -> Bool)?) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            if index + 1 < bytes.count, let high = HTTPSyntax.hexValue(bytes[index]), let low = HTTPSyntax.hexValue(bytes[index + 1]),
                decodes?(high << 4 | low) ?? true
            {
                result.append(high << 4 | low)
                index += 2
            } else if decodes != nil {
                result.append(byte)
            } else {
                return nil
            }
        }
        return result
    }
}
