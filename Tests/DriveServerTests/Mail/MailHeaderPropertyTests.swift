import DriveModel
import Foundation
import TestSupport
import Testing

@testable import DriveServer

/// Whatever goes in, a message has its nine fields and no other, and a reader finds what went in.
@Suite struct MailHeaderPropertyTests {
    private static let harmless = [
        "a", "Bob", " ", "  ", "\"", "\\", "é", "日本", "🎉", "\u{301}", "=?utf-8?B?", "?=", "?Q?", "<", ">", ",", ":", "Bcc: x@example.com",
        "(", ")", "=", ".", "From ", "\u{200D}", "\u{202E}", "\u{FEFF}", "\u{A0}", "@", "-", String(repeating: "0", count: 30),
        String(repeating: "ü", count: 20),
    ]
    private static let harmful = ["\r", "\n", "\r\n", "\r\n ", "\n\n", "\0", "\t", "\u{85}", "\u{2028}", "\u{7F}", "\u{B}"]

    private static let fields: [Substring] = [
        "Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    ]

    private static func text(_ most: Int, _ random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 0..<most, using: &random)).map { _ in
            (Int.random(in: 0..<60, using: &random) == 0 ? harmful : harmless).randomElement(using: &random) ?? ""
        }.joined()
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func noInputMakesAnotherField(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var (made, refused) = (0, 0)
        for _ in 0..<60 {
            let (name, subject, body) = (Self.text(12, &random), Self.text(60, &random), Self.text(80, &random))
            let address = Self.text(3, &random) + "@example.com"
            do {
                let wellAddressed = try MailMessageTests.message(name: name, subject: subject, body: body)
                try Self.check(wellAddressed)
                made += 1
            } catch let refusal as MailRefusal {
                let texts = refusal.field == .body ? body : name + subject
                let isHarmful = Self.harmful.contains { texts.unicodeScalars.contains($0.unicodeScalars.first ?? " ") }
                #expect(refusal.rule == .length || isHarmful)
                refused += 1
            }
            if let message = try? MailMessageTests.message(to: address) { try Self.check(message) }
        }
        // Both happen, else nothing was shown.
        #expect(made > 0 && refused > 0)
    }

    private static func check(_ message: MailMessage) throws {
        let bytes = Array(message.text.utf8)
        #expect(bytes.allSatisfy { $0 == 0x09 || $0 == 0x0D || $0 == 0x0A || (0x20...0x7E).contains($0) })
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        // Each ends in CRLF, and CR stands nowhere else.
        #expect(lines.last?.isEmpty == true)
        #expect(lines.dropLast().allSatisfy { $0.last == 0x0D && $0.count { $0 == 0x0D } == 1 })
        let head = lines.prefix { $0 != [0x0D] }.map { String(decoding: $0.dropLast(), as: UTF8.self) }
        #expect(lines.dropLast().allSatisfy { $0.count <= 77 })
        #expect(head.allSatisfy { $0.contains { $0 != " " } && !$0.contains("\t") })
        let fields = head.filter { !$0.hasPrefix(" ") }.map { $0.prefix { $0 != ":" } }
        #expect(fields == Self.fields)
        #expect(decoded("Subject", head) == message.subject)
        let to = try #require(decoded("To", head))
        let hasName = message.toName.contains { $0 != " " }
        #expect(to == (hasName ? "\(message.toName) <\(message.to)>" : "\(message.to)"))
    }

    /// A field's text: unfolded, its encoded words decoded, its quotes taken off.
    private static func decoded(_ name: String, _ head: [String]) -> String? {
        guard let first = head.firstIndex(where: { $0.hasPrefix("\(name):") }) else { return nil }
        let value = ([head[first].dropFirst(name.count + 1)] + head[(first + 1)...].prefix { $0.hasPrefix(" ") }.map { $0[...] }).joined()
        var (text, wasEncoded) = ("", false)
        var quoted: String?
        for word in value.dropFirst().split(separator: " ", omittingEmptySubsequences: false) {
            if quoted == nil, word.hasPrefix("=?utf-8?B?"), word.hasSuffix("?=") {
                // None ends within a character.
                guard let data = Data(base64Encoded: String(word.dropFirst(10).dropLast(2))),
                    let piece = String(validating: data, as: UTF8.self)
                else { return nil }
                if !wasEncoded, !text.isEmpty { text += " " }
                text += piece
                wasEncoded = true
                continue
            }
            if quoted != nil || (name == "To" && word.hasPrefix("\"")) {
                quoted = (quoted.map { $0 + " " } ?? "") + word
                guard let whole = quoted, let plain = unquoted(whole) else { continue }
                text += (text.isEmpty ? "" : " ") + plain
                quoted = nil
            } else {
                text += (text.isEmpty && !wasEncoded ? "" : " ") + word
            }
            wasEncoded = false
        }
        return quoted == nil ? text : nil
    }

    /// A quoted string's text; nil where it is not at its end yet.
    private static func unquoted(_ text: String) -> String? {
        var plain = String.UnicodeScalarView()
        var isEscaped = false
        var rest = text.unicodeScalars.dropFirst()
        while let next = rest.popFirst() {
            if isEscaped || (next != "\\" && next != "\"") {
                plain.append(next)
                isEscaped = false
            } else if next == "\\" {
                isEscaped = true
            } else {
                return rest.isEmpty ? String(plain) : nil
            }
        }
        return nil
    }
}
