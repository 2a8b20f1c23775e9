import DriveModel
import Testing

@testable import DriveServer

/// Where a notification of another program may lead.
@Suite struct ActionURITests {
    private func refusal(_ text: String) -> DriveError? {
        do {
            try ActionURI.check(text, "notification.action_uri")
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        "https://example.org", "https://example.org/7?a=b#c", "HTTP://[2001:db8::1]:8080/", "https://xn--mnchen-3ya.example/%C3%A9", "/",
        "/chat/7?at=1#end", "app:", "org.example.app://chat/7", "tel:+4930123456", "mailto:anna@example.org", "web+app:x", "h2-x.y+z:a",
    ]) func leadsSomewhere(_ text: String) {
        #expect(refusal(text) == nil)
    }

    @Test(arguments: [
        "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://a/b",
        "about:blank", "view-source:https://a", "filesystem:https://a/b", "intent://a#Intent;end", "content://a/b", "jar:https://a!/b",
        "java\nscript:alert(1)", "java\tscript:alert(1)", " javascript:alert(1)", "\u{1}javascript:alert(1)", "//example.org",
        "/\\example.org",
        "\\\\example.org", "chat/7", "?a=b", "#end", "", "7:a", "-a:b", ":a", "a_b:c", "ä:b", "https://example.org/ä", "https://a b",
        "https:", "https:/a", "https://", "https:///a", "https://?a", "https://:80", "http:a", "https://@", "<https://a>",
        "https://example.org:abc/",
        "https://example.org:99999/", "https://example.org:0/", "https://example.org/%zz", "https://example.org/a?q=[x]",
        "https://user:pw@example.org/", "https://user@example.org/", "/a%z", "app:%", "https://a\"b",
    ]) func leadsNowhere(_ text: String) {
        let error = refusal(text)
        #expect(error?.code == .invalidRequest && error?.details["rule"] == "notification.action_uri")
        #expect(error?.message.hasPrefix("notification.action_uri ") == true)
    }
}
