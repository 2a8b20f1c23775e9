import DriveModel
import Testing

@Suite struct FileNameTests {
    @Test(arguments: [
        "a", "report.pdf", "...", ".hidden", "a..b", " a ", "%2e%2e", "%2e%2e%2f%00", "..%5c", "C:", "a:b*c?d|e<f>\"g\"", "日本語.txt",
        "שלום.txt",
        "👩‍👩‍👧.png", "a\u{200D}b", "．．／", String(repeating: "a", count: 255),
    ])
    func acceptsLabels(name: String) throws {
        #expect(try FileName(name).value == name)
    }

    @Test(arguments: [
        ("", FileNameViolation.empty), (" ", .empty), ("\u{3000}\u{A0}", .empty), (".", .dots), ("..", .dots),
        ("a\0b", .nul), ("a\0\n/", .nul), ("a\rb", .lineBreak), ("a\nb", .lineBreak), ("a\r\nb", .lineBreak), ("\n", .lineBreak),
        ("a\u{85}b", .lineBreak), ("a\u{2028}b", .lineBreak), ("a\tb", .control), ("a\u{1B}[2J", .control), ("a\u{7F}", .control),
        ("a\u{9F}", .control), ("../x", .separator), ("/etc/passwd", .separator), ("a/b", .separator), ("..\\x", .separator),
        ("a\\", .separator),
        ("a/\u{301}", .separator), ("a\u{202E}gpj.exe", .direction), ("a\u{202A}", .direction), ("a\u{2066}", .direction),
        ("a\u{2069}", .direction), ("a\u{200E}", .direction), ("a\u{200F}", .direction), ("a\u{61C}", .direction),
        (String(repeating: "a", count: 256), .tooLong), (String(repeating: "a", count: 300), .tooLong),
        (String(repeating: "é", count: 128), .tooLong),
        (String(repeating: "a", count: 1_000_000), .tooLong),
    ])
    func refusesTheRest(name: String, expected: FileNameViolation) {
        #expect(throws: expected) { try FileName(name) }
    }

    @Test func normalisesBeforeItCounts() throws {
        let composed = String(repeating: "é", count: 127)
        let decomposed = String(repeating: "e\u{301}", count: 127)
        #expect(decomposed.utf8.count > 255)
        // Strings compare by canonical equivalence: look at the bytes.
        #expect(Array(try FileName(decomposed).value.utf8) == Array(composed.utf8))
        #expect(Array(try FileName("\u{212B}\u{2126}").value.utf8) == Array("\u{C5}\u{3A9}".utf8))
        #expect(Array(try FileName("\u{1100}\u{1161}").value.utf8) == Array("\u{AC00}".utf8))
        #expect(try FileName("e\u{301}") == FileName("\u{E9}"))
    }

    @Test func everyRuleHasACodeAndASentence() {
        for rule in FileNameViolation.allCases {
            #expect(rule.rawValue.hasPrefix("FILE_NAME_") && rule.message.hasSuffix("."))
        }
    }
}
