import DriveModel
import Foundation

/// Where a notification of another program may lead. Receivers open it: a page of theirs, a browser, another app of the device.
enum ActionURI {
    /// Schemes by which a receiver would run or show what the address itself says, read its own files, or start parts of apps.
    static let refusedSchemes: Set<String> = [
        "about", "android-app", "blob", "content", "data", "file", "filesystem", "intent", "jar", "javascript", "vbscript", "view-source",
    ]

    /// What browsers pass over when they look for a scheme, such as line ends, is none of these (RFC 3986 section 2).
    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "-._~:/?#[]@!$&'()*+,;=%".utf8.contains(byte)
        }
    }

    /// Takes `https` and `http` with a host, any other scheme of RFC 3986 section 3.1 that is not refused, and a path from the root of
    /// the receiver's own place, `/chat/7`.
    ///
    /// - Throws: `INVALID_REQUEST` naming the field and what it must be.
    static func check(_ text: String, _ field: String) throws(DriveError) {
        func refusal(_ message: String) -> DriveError { RingDesk.refusal(field, "\(field) \(message)") }
        guard text.utf8.allSatisfy(isAllowed) else {
            throw refusal("has characters that no URI has: encode them as %XX (RFC 3986 section 2.1).")
        }
        guard let parts = URLComponents(string: text, encodingInvalidCharacters: false) else {
            throw refusal("must be a URI (RFC 3986): what is no part of its own there is encoded as %XX.")
        }
        if text.utf8.first == UInt8(ascii: "/") {
            guard !text.hasPrefix("//") else { throw refusal("must not begin with two slashes: say https.") }
            return
        }
        let scheme = text.prefix { $0 != ":" }
        let isScheme =
            scheme.utf8.first.map { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 } ?? false
            && scheme.utf8.allSatisfy { isAllowed($0) && !"_~/?#[]@!$&'()*,;=%".utf8.contains($0) }
        guard isScheme, scheme.endIndex != text.endIndex else {
            throw refusal("must be a URI with a scheme, https://… say, or a path that begins with a slash.")
        }
        let name = scheme.lowercased()
        guard !refusedSchemes.contains(name) else { throw refusal("must not have the scheme \(name).") }
        guard name != "https" && name != "http" else {
            let rest = text[scheme.endIndex...].dropFirst()
            guard rest.hasPrefix("//"), let first = rest.dropFirst(2).utf8.first, !"/?#:@".utf8.contains(first) else {
                throw refusal("must have a host behind \(name)://.")
            }
            guard parts.user == nil, parts.password == nil else { throw refusal("must not have a name or a password before its host.") }
            guard (1...65535).contains(parts.port ?? 443) else { throw refusal("has a port from 1 to 65535, where it has one.") }
            return
        }
    }
}
