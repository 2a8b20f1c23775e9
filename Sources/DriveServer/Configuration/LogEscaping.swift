/// Makes texts safe for a line of a log: what could break the line, drive a terminal or turn the reading direction is escaped.
enum LogEscaping {
    /// The text with every unsafe character as `\u{…}`, and line ends as `\n` and `\r`.
    static func visible(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            guard isUnsafe(scalar) else { return result.unicodeScalars.append(scalar) }
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: result += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
    }

    /// The text as one value of a line `key=value`: quoted where it is empty or holds blanks, quotes, backslashes or `=`.
    static func field(_ text: String) -> String {
        let escaped = visible(text)
        guard text.isEmpty || escaped != text || text.contains(where: { $0.isWhitespace || "\"\\=".contains($0) }) else { return text }
        let quoted = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return "\"\(visible(quoted))\""
    }

    /// The text as a JSON string with its quotes (RFC 8259 §7).
    static func json(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "\"") { result, scalar in
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isUnsafe(scalar):
                // Beyond the basic plane JSON wants surrogates, which are UTF-16's units.
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            default: result.unicodeScalars.append(scalar)
            }
        } + "\""
    }

    /// Control and format characters (C0, C1, bidirectional marks, zero-width ones, tags), and line and paragraph separators.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else { return scalar.value < 0x20 || scalar.value == 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: return true
        default: return false
        }
    }
}
