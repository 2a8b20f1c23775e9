import Foundation

/// Fields of a message's header: printable ASCII alone, and folded (RFC 5322 section 2.2.3) to lines of at most 76 characters, but
/// for an address that is longer by itself. Texts must be free of control characters, which `MailMessage` sees to.
enum MailHeader {
    /// The longest line that holds an encoded word (RFC 2047 section 2).
    static let longestLine = 76
    /// The longest encoded word (RFC 2047 section 2).
    static let longestWord = 75

    /// A field of free text, as `Subject`.
    static func text(_ name: String, _ text: String) -> String {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let isPlain =
            isPrintable(text) && !text.contains("=?") && words.allSatisfy { !$0.isEmpty && $0.utf8.count <= roomAfter(name) }
        return folded(name, isPlain || text.isEmpty ? words : encodedWords(text, firstRoom: roomAfter(name)))
    }

    /// A field of one mailbox, as `To`. A name of blanks alone is none.
    static func mailbox(_ name: String, displayName: String, address: MailAddress) -> String {
        guard displayName.contains(where: { $0 != " " }) else { return folded(name, ["\(address)"]) }
        return folded(name, phrase(displayName, room: roomAfter(name)) + ["<\(address)>"])
    }

    /// A name as a phrase (RFC 5322 section 3.2.5): words where they need no quotes, a quoted string, or encoded words. What looks
    /// like an encoded word is encoded, as there are readers that decode it within quotes too.
    private static func phrase(_ text: String, room: Int) -> [String] {
        guard isPrintable(text), !text.contains("=?") else { return encodedWords(text, firstRoom: room) }
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        if words.allSatisfy({ !$0.isEmpty && $0.utf8.count <= room && $0.utf8.allSatisfy(isAtomByte) }) { return words }
        let quoted = "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        return quoted.utf8.count <= room ? [quoted] : encodedWords(text, firstRoom: room)
    }

    /// The text as encoded words (RFC 2047) in base64; none ends within a character.
    private static func encodedWords(_ text: String, firstRoom: Int) -> [String] {
        var words: [String] = []
        var bytes: [UInt8] = []
        var room = firstRoom
        func close() { words.append("=?utf-8?B?\(Data(bytes).base64EncodedString())?=") }
        for scalar in text.unicodeScalars {
            let next = Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            if !bytes.isEmpty, "=?utf-8?B??=".utf8.count + (bytes.count + next.count + 2) / 3 * 4 > room {
                close()
                bytes = []
                room = longestWord
            }
            bytes += next
        }
        close()
        return words
    }

    /// The words with single spaces, on as many lines as they need.
    private static func folded(_ name: String, _ words: [String]) -> String {
        var field = "\(name):"
        var length = field.utf8.count
        for (index, word) in words.enumerated() where !word.isEmpty {
            // The first word stays with the name: not every reader takes a first line without any.
            let isFold = index > 0 && length + 1 + word.utf8.count > longestLine
            field += isFold ? "\r\n \(word)" : " \(word)"
            length = (isFold ? 0 : length) + 1 + word.utf8.count
        }
        return field + "\r\n"
    }

    /// What the field's first line has room for behind the name.
    private static func roomAfter(_ name: String) -> Int { longestLine - name.utf8.count - 2 }

    private static func isPrintable(_ text: String) -> Bool { text.utf8.allSatisfy { (0x20...0x7E).contains($0) } }

    /// `atext` of RFC 5322 section 3.2.3.
    private static func isAtomByte(_ byte: UInt8) -> Bool {
        HTTPSyntax.isLetter(byte) || HTTPSyntax.isDigit(byte) || "!#$%&'*+-/=?^_`{|}~".utf8.contains(byte)
    }
}
