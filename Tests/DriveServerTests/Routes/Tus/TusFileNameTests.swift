import DriveModel
import Foundation
import Testing

@testable import DriveServer

@Suite struct TusFileNameTests {
    @Test(
        arguments: [
            ("a.txt", "a.txt"), ("/etc/passwd", "passwd"), ("../../a", "a"), ("C:\\fakepath\\a.jpg", "a.jpg"), ("dir/", "dir"),
            ("a/b\\c", "c"),
            ("x\r\nSet-Cookie: a=b", "xSet-Cookie: a=b"), ("a\u{0}b", "ab"), ("exe.\u{202E}gpj", "exe.gpj"), (" a b ", "a b"),
            ("e\u{301}", "é"), ("a/\u{301}b", "a\u{301}b"), ("%2e%2e", "%2e%2e"), ("...", "..."), ("日本語.pdf", "日本語.pdf"),
            ("", nil), (" ", nil), ("/", nil), ("..", nil), (".", nil), ("a/..", nil), ("\u{7F}\n", nil), ("\u{202E}", nil), (". ", nil),
        ] as [(String, String?)])
    func keepsWhatANameMayHave(text: String, expected: String?) {
        #expect(TusFileName.sanitised(text) == expected)
    }

    /// What comes out is always a name, at most as long as names may be, and keeps its ending.
    @Test(arguments: [("x", ".jpeg"), ("é", ".tar"), ("e\u{301}", ".x"), ("👨‍👩‍👧", ".png"), ("x", "")])
    func shortensByWholeCharacters(letter: String, ending: String) throws {
        let name = try #require(TusFileName.sanitised(String(repeating: letter, count: 300) + ending))
        #expect(try FileName(name).value == name)
        #expect(name.hasSuffix(ending))
        let letters = name.dropLast(ending.count)
        #expect(letters.allSatisfy { String($0) == letter })
        #expect(name.utf8.count + letters.prefix(1).utf8.count > FileName.maximumBytes)
    }

    /// An ending that is no ending does not eat the name.
    @Test func aLongEndingIsCutToo() throws {
        let name = try #require(TusFileName.sanitised("a." + String(repeating: "b", count: 300)))
        #expect(name == "a." + String(repeating: "b", count: 253))
    }
}
