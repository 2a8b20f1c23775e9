import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct ContentDispositionTests {
    @Test(arguments: [
        ("report.pdf", "attachment; filename=\"report.pdf\""),
        ("a b;c,d'e.txt", "attachment; filename=\"a b;c,d'e.txt\""),
        ("€ rates.txt", "attachment; filename=\"_ rates.txt\"; filename*=UTF-8''%E2%82%AC%20rates.txt"),
        ("a\"b.txt", "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("50%41.txt", "attachment; filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt"),
        ("é*'().txt", "attachment; filename=\"_*'().txt\"; filename*=UTF-8''%C3%A9%2A%27%28%29.txt"),
        ("a\r\nSet-Cookie: x", "attachment; filename=\"a__Set-Cookie: x\""),
        ("..\\..//x\0\u{7F}\u{85}", "attachment; filename=\".._..__x___\""),
        ("a\u{202E}gpj.exe", "attachment; filename=\"a_gpj.exe\""),
        ("\u{2066}a\u{2028}b\u{200F}\u{061C}", "attachment; filename=\"_a_b__\""),
        ("", "attachment"),
    ])
    func writesNamesSafely(name: String, expected: String) {
        #expect(ContentDisposition.attachment.value(fileName: name) == expected)
    }

    @Test func noDirectionCharacterSurvivesInEitherForm() {
        for value in [0x061C, 0x200E, 0x200F] + Array(0x202A...0x202E) + Array(0x2066...0x2069) as [UInt32] {
            let text = Unicode.Scalar(value).map { ContentDisposition.attachment.value(fileName: "a\($0)b") }
            #expect(text == "attachment; filename=\"a_b\"")
        }
    }

    @Test func noCharacterEscapesTheHeader() {
        for value in (0...0x2100 as ClosedRange<UInt32>) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = ContentDisposition.inline.value(fileName: "a\(scalar)b")
            #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x5C })
            #expect(text.hasPrefix("inline; filename=\"a") && text.utf8.count { $0 == 0x22 } == 2)
        }
    }
}

@Suite struct InlineSafetyTests {
    @Test(arguments: [
        ("image/png", "image/png"), ("IMAGE/JPEG; q=1", "image/jpeg"), ("image/webp", "image/webp"), ("audio/mpeg", "audio/mpeg"),
        ("video/mp4; codecs=\"avc1\"", "video/mp4"), ("application/pdf", "application/pdf"),
        ("text/plain; charset=utf-7", "text/plain; charset=utf-8"),
    ])
    func showsWhatCannotRun(mediaType: String, sent: String) {
        let shown = InlineSafety.presentation(of: mediaType)
        #expect(shown.disposition == .inline)
        #expect(shown.contentType == sent)
        #expect(InlineSafety.presentation(of: mediaType, requested: .attachment).disposition == .attachment)
    }

    @Test(arguments: [
        "text/html", "TEXT/HTML; charset=utf-8", "text/html;", "image/svg+xml", "text/xml", "application/xml", "application/xhtml+xml",
        "application/rss+xml", "image/anything+xml", "text/javascript", "application/javascript", "application/x-javascript", "text/css",
        "application/wasm", "multipart/related", "message/rfc822", "application/x-shockwave-flash", "text/x-unknown", "image/unknown",
        "application/vnd.apple.mpegurl", "audio/x-mpegurl", "text/cache-manifest", "text/vtt", "application/octet-stream", "",
        "text", "text/", "/html", "text/plain/html", "text/plain, text/html", "text /plain", "text/pl\r\nain", "*/*",
    ])
    func downloadsEverythingElseAsUnknown(mediaType: String) {
        let shown = InlineSafety.presentation(of: mediaType)
        #expect(shown.disposition == .attachment)
        #expect(shown.contentType == "application/octet-stream")
    }

    @Test func downloadsInertTypesByTheirName() {
        #expect(InlineSafety.presentation(of: "application/zip").contentType == "application/zip")
        #expect(InlineSafety.presentation(of: "application/zip").disposition == .attachment)
        #expect(InlineSafety.presentation(of: nil).contentType == "application/octet-stream")
    }

    @Test(arguments: ["text/html", "image/png", "application/pdf", "application/zip"])
    func alwaysSendsTheGuards(mediaType: String) throws {
        for requested in [ContentDisposition.inline, .attachment] {
            let shown = InlineSafety.presentation(of: mediaType, requested: requested)
            #expect(shown.headers[.xContentTypeOptions] == "nosniff")
            #expect(shown.headers[.crossOriginResourcePolicy] == "same-origin")
            let policy = try #require(shown.headers[.contentSecurityPolicy])
            let directives = policy.split(separator: ";").map { $0.drop { $0 == " " } }
            #expect(directives.contains("default-src 'none'"))
            #expect(!policy.contains("script-src") && !policy.contains("allow-"))
            // Chromium shows no PDF in a sandbox.
            #expect(directives.contains("sandbox") == !(mediaType == "application/pdf" && requested == .inline))
        }
    }
}
