import Foundation

/// A message's body: what kind of text it is, and how it travels in lines of ASCII.
struct MailBody {
    enum Encoding: String {
        case quotedPrintable = "quoted-printable"
        case base64
    }

    let contentType: String
    let encoding: Encoding
    /// Encoded, in lines of at most 76 characters that end in CRLF.
    let content: String

    /// Every line end of the text becomes CRLF (RFC 2046 section 4.1.1), and the last line gets one too.
    init(_ text: String) {
        let bytes = Self.canonical(text.utf8)
        contentType = "text/\(Self.isHTML(text) ? "html" : "plain"); charset=utf-8"
        // Three characters for each other byte, against four for any three. Filters take text in base64 that needs none for a
        // disguise.
        let others = bytes.count { $0 == UInt8(ascii: "=") || $0 >= 0x7F }
        encoding = others * 6 <= bytes.count ? .quotedPrintable : .base64
        switch encoding {
        case .quotedPrintable: content = Self.quotedPrintable(bytes)
        case .base64:
            let options: Data.Base64EncodingOptions = [.lineLength76Characters, .endLineWithCarriageReturn, .endLineWithLineFeed]
            content = Data(bytes).base64EncodedString(options: options) + "\r\n"
        }
    }

    /// Whether the text begins, after blanks, with an HTML document's type or tag: the wire has no field that says so.
    static func isHTML(_ text: String) -> Bool {
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let start = text.utf8.drop { $0 == 0x20 || (0x09...0x0D).contains($0) || byteOrderMark.contains($0) }
        return ["<!doctype html", "<html"].contains { tag in
            guard start.prefix(tag.utf8.count).map({ $0 | 0x20 }) == tag.utf8.map({ $0 | 0x20 }) else { return false }
            guard let next = start.dropFirst(tag.utf8.count).first else { return false }
            return next == UInt8(ascii: ">") || next <= 0x20
        }
    }

    private static func canonical(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var lines: [UInt8] = []
        var last: UInt8 = 0
        for byte in bytes {
            switch byte {
            case 0x0A where last == 0x0D: break
            case 0x0A, 0x0D: lines += [0x0D, 0x0A]
            default: lines.append(byte)
            }
            last = byte
        }
        return lines.isEmpty || lines.last == 0x0A ? lines : lines + [0x0D, 0x0A]
    }

    /// RFC 2045 section 6.7. Dots and `From ` in front of a line are encoded too: programs gave them a meaning.
    private static func quotedPrintable(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count + bytes.count / 8)
        let digits = Array("0123456789ABCDEF".utf8)
        var column = 0
        for (index, byte) in bytes.enumerated() {
            if byte == 0x0D || byte == 0x0A {
                text.append(byte)
                column = 0
                continue
            }
            let endsLine = bytes[index + 1] == 0x0D
            let isFrom = byte == UInt8(ascii: "F") && bytes[index...].starts(with: "From ".utf8)
            func isPlain(at column: Int) -> Bool {
                switch byte {
                case 0x20, 0x09: !endsLine
                case UInt8(ascii: "."): column > 0
                default: (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "=") && !(isFrom && column == 0)
                }
            }
            // Behind the last one there is no soft line break.
            if column + (isPlain(at: column) ? 1 : 3) > (endsLine ? 76 : 75) {
                text += [UInt8(ascii: "="), 0x0D, 0x0A]
                column = 0
            }
            let isPlain = isPlain(at: column)
            if isPlain {
                text.append(byte)
            } else {
                text += [UInt8(ascii: "="), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
            column += isPlain ? 1 : 3
        }
        return String(decoding: text, as: UTF8.self)
    }
}
