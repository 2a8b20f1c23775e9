import DriveModel
import Foundation
import Testing

@testable import DriveServer

/// Mails as they travel. What is expected was read again with Python's `email` parsers (3.11, `policy.default` and the older
/// one), which found the names, subjects and bodies that went in, and no defect.
@Suite struct MailMessageTests {
    static let id = UUID(uuid: (0x6F, 0x1B, 0x0E, 0x9C, 0x0D, 0x3C, 0x4F, 0x6E, 0x9C, 0x55, 0x3A, 0x4B, 0x2D, 0x1E, 0x0F, 0x00))

    static func message(
        to address: String = "b@example.com", name: String = "", subject: String = "x", body: String = "x"
    ) throws -> MailMessage {
        try MailMessage(
            id: id, from: MailAddress("drive@example.org", field: .fromAddress), toName: name, toAddress: address, subject: subject,
            body: body, date: Timestamp(seconds: 1_762_653_600))
    }

    /// The field with the lines that it goes on.
    private static func field(_ name: String, of message: MailMessage) -> String? {
        let lines = message.text.components(separatedBy: "\r\n")
        guard let first = lines.firstIndex(where: { $0.hasPrefix("\(name):") }) else { return nil }
        return ([lines[first]] + lines[(first + 1)...].prefix { $0.hasPrefix(" ") }).joined(separator: "\n")
    }

    private static func body(of message: MailMessage) -> String {
        String(message.text.components(separatedBy: "\r\n\r\n").dropFirst().joined(separator: "\r\n\r\n"))
    }

    @Test func aWholeMessage() throws {
        let message = try Self.message(to: "zoe@example.com", name: "Zoë Ångström", subject: "Größe: 3 €", body: "Grüße\n")
        #expect(
            message.text.components(separatedBy: "\r\n") == [
                "Date: Sun, 09 Nov 2025 02:00:00 +0000",
                "From: drive@example.org",
                "To: =?utf-8?B?Wm/DqyDDhW5nc3Ryw7Zt?= <zoe@example.com>",
                "Subject: =?utf-8?B?R3LDtsOfZTogMyDigqw=?=",
                "Message-ID: <6f1b0e9c-0d3c-4f6e-9c55-3a4b2d1e0f00@example.org>",
                "Auto-Submitted: auto-generated",
                "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: base64",
                "",
                "R3LDvMOfZQ0K",
                "",
            ])
    }

    @Test(arguments: [
        ("", "To: b@example.com"),
        ("   ", "To: b@example.com"),
        ("Bob", "To: Bob <b@example.com>"),
        (" Bob ", #"To: " Bob " <b@example.com>"#),
        ("John Q. Public", #"To: "John Q. Public" <b@example.com>"#),
        (#"Bob "the" \ Builder"#, #"To: "Bob \"the\" \\ Builder" <b@example.com>"#),
        ("Bob, Alice <a@b.c>", #"To: "Bob, Alice <a@b.c>" <b@example.com>"#),
        // It is text, not an encoded word: "Bcc: x" must not come of it.
        ("=?utf-8?B?QmNjOiB4?=", "To: =?utf-8?B?PT91dGYtOD9CP1FtTmpPaUI0Pz0=?= <b@example.com>"),
        ("👩‍👩‍👧‍👦 Family", "To: =?utf-8?B?8J+RqeKAjfCfkanigI3wn5Gn4oCN8J+RpiBGYW1pbHk=?= <b@example.com>"),
        (
            String(repeating: "word ", count: 15) + "w",
            "To: word word word word word word word word word word word word word word\n word w <b@example.com>"
        ),
    ])
    func names(_ name: String, _ expected: String) throws {
        #expect(try Self.field("To", of: Self.message(name: name)) == expected)
    }

    @Test(arguments: [
        ("", "Subject:"),
        ("Your files, shared", "Subject: Your files, shared"),
        ("a: b; c", "Subject: a: b; c"),
        ("=?utf-8?Q?x?= y", "Subject: =?utf-8?B?PT91dGYtOD9RP3g/PSB5?="),
        // Readers drop blanks at the ends, and may make one of two.
        ("  two  blanks ", "Subject: =?utf-8?B?ICB0d28gIGJsYW5rcyA=?="),
        (
            String(repeating: "word ", count: 20) + "end",
            "Subject: word word word word word word word word word word word word word\n word word word word word word word end"
        ),
        // A word without a place to fold it.
        (
            String(repeating: "x", count: 70),
            "Subject: =?utf-8?B?eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4?=\n =?utf-8?B?eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eA==?="
        ),
        // None ends within a character.
        (
            String(repeating: "🎉", count: 21),
            "Subject: =?utf-8?B?8J+OifCfjonwn46J8J+OifCfjonwn46J8J+OifCfjonwn46J?=\n =?utf-8?B?8J+OifCfjonwn46J8J+OifCfjonwn46J8J+OifCfjonwn46J8J+OifCfjok=?=\n =?utf-8?B?8J+OiQ==?="
        ),
    ])
    func subjects(_ subject: String, _ expected: String) throws {
        #expect(try Self.field("Subject", of: Self.message(subject: subject)) == expected)
    }

    @Test(arguments: [
        ("", ""),
        ("Hi.", "Hi.\r\n"),
        ("a\r\nb\rc\n\n", "a\r\nb\r\nc\r\n\r\n"),
        (".\n..\nFrom me\nFoo\n", "=2E\r\n=2E.\r\n=46rom me\r\nFoo\r\n"),
        ("blank \ntab\t\n=", "blank=20\r\ntab=09\r\n=3D\r\n"),
        ("\u{1}\u{1B}[31m mostly plain, é", "=01=1B[31m mostly plain, =C3=A9\r\n"),
        (String(repeating: "y", count: 76) + "\n", String(repeating: "y", count: 76) + "\r\n"),
        (String(repeating: "y", count: 77), String(repeating: "y", count: 75) + "=\r\nyy\r\n"),
        (String(repeating: "z", count: 75) + " ", String(repeating: "z", count: 75) + "=\r\n=20\r\n"),
        (String(repeating: "z", count: 75) + ".a", String(repeating: "z", count: 75) + "=\r\n=2Ea\r\n"),
    ])
    func quotedPrintableBodies(_ body: String, _ expected: String) throws {
        let message = try Self.message(body: body)
        #expect(Self.field("Content-Transfer-Encoding", of: message) == "Content-Transfer-Encoding: quoted-printable")
        #expect(Self.body(of: message) == expected)
    }

    @Test func bodiesBeyondASCIITravelInBase64() throws {
        let message = try Self.message(body: String(repeating: "こんにちは\n", count: 40))
        #expect(Self.field("Content-Transfer-Encoding", of: message) == "Content-Transfer-Encoding: base64")
        let lines = Self.body(of: message).components(separatedBy: "\r\n")
        #expect(lines.allSatisfy { $0.utf8.count <= 76 })
        let decoded = try #require(Data(base64Encoded: lines.joined()))
        #expect(String(decoding: decoded, as: UTF8.self) == String(repeating: "こんにちは\r\n", count: 40))
    }

    @Test(arguments: [
        ("<!DOCTYPE html><p>", "html"), ("\u{FEFF} \r\n\t<!doctype HTML\n>", "html"), ("<HTML lang=en>", "html"), ("<html>", "html"),
        ("<htmlx>", "plain"), ("<html", "plain"), ("<!doctype htm>", "plain"), ("x <html>", "plain"), ("<p>Hi</p>", "plain"), ("", "plain"),
    ])
    func whatIsHTML(_ body: String, _ expected: String) throws {
        #expect(try Self.field("Content-Type", of: Self.message(body: body)) == "Content-Type: text/\(expected); charset=utf-8")
    }

    @Test(arguments: ["\r", "\n", "\r\n", "\0", "\t", "\u{7F}", "\u{85}", "\u{B}", "\u{C}", "\u{1B}", "\u{2028}", "\u{2029}"])
    func controlsAreRefused(_ control: String) throws {
        for text in [control, "a\(control)Bcc: x@example.com", "é\(control)", "a\(control)"] {
            #expect(Self.refusal { try Self.message(name: text) } == "toName control")
            #expect(Self.refusal { try Self.message(subject: text) } == "subject control")
            #expect(Self.refusal { try Self.message(to: "b\(text)@example.com") }?.hasPrefix("toAddress") == true)
            #expect(Self.refusal { try Self.message(to: "b@example.com\(text)") }?.hasPrefix("toAddress") == true)
        }
        #expect(Self.refusal { try Self.message(body: "a\(control)") } == (control == "\0" ? "body control" : nil))
    }

    @Test func limits() throws {
        func long(_ count: Int) -> String { String(repeating: "é", count: count / 2) + String(repeating: "e", count: count % 2) }
        #expect(Self.refusal { try Self.message(name: long(255)) } == nil)
        #expect(Self.refusal { try Self.message(name: long(256)) } == "toName length")
        #expect(Self.refusal { try Self.message(subject: long(998)) } == nil)
        #expect(Self.refusal { try Self.message(subject: long(999)) } == "subject length")
        #expect(Self.refusal { try Self.message(body: long(1 << 20)) } == nil)
        #expect(Self.refusal { try Self.message(body: long(1 << 20 + 1)) } == "body length")
    }

    @Test func aTaskKeepsAllOfIt() throws {
        let message = try Self.message(name: "Zoë", subject: "s", body: "<html>\r\n\u{1}")
        let stored = try DriveJSON.value([String: JSONValue].self, from: DriveJSON.text(message.parameters))
        #expect(MailMessage(parameters: stored) == message)
        for name in stored.keys where name != "toName" {
            #expect(MailMessage(parameters: stored.filter { $0.key != name }) == nil)
        }
        #expect(MailMessage(parameters: stored.merging(["subject": "a\nb"]) { $1 }) == nil)
    }

    static func refusal(_ make: () throws -> MailMessage) -> String? {
        do {
            _ = try make()
            return nil
        } catch let refusal as MailRefusal {
            return "\(refusal.field) \(refusal.rule)"
        } catch {
            return "\(error)"
        }
    }
}
