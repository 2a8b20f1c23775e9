/// A mailbox that mail can be sent to (RFC 5321 section 4.1.2), read strictly: what mail programs gave a meaning of their own is
/// no address here.
///
/// - The local part is a dot-atom of letters, digits and ``# & ' * + - = ? ^ _ ~``: no quoted strings, none of
///   ``! $ % / ` { | }`` (routes, files, programs, expansions), no hyphen in front (an option), nothing beyond ASCII (SMTPUTF8).
/// - The domain is one or more labels of letters, digits and hyphens, the last not of digits alone: no address in brackets.
///   An internationalised one is written with its A-labels (`xn--…`); U-labels are refused.
struct MailAddress: Hashable, Sendable, CustomStringConvertible {
    /// RFC 5321 section 4.5.3.1.1.
    static let longestLocalPart = 64
    /// What a path of 256 octets leaves without its brackets (RFC 5321 section 4.5.3.1.3).
    static let longest = 254
    static let longestLabel = 63

    let localPart: String
    let domain: String

    var description: String { "\(localPart)@\(domain)" }

    /// - Parameter field: which of a message's addresses it is, for the refusal.
    init(_ text: String, field: MailRefusal.Field) throws(MailRefusal) {
        func refusal(_ rule: MailRefusal.Rule, _ message: String) -> MailRefusal {
            MailRefusal(field: field, rule: rule, message: "\(field.rawValue) \(message)")
        }
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.longest else { throw refusal(.length, "has at most \(Self.longest) bytes.") }
        let parts = bytes.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw refusal(.at, "must be one mailbox, name@domain.") }
        guard parts[0].count <= Self.longestLocalPart else {
            throw refusal(.length, "has at most \(Self.longestLocalPart) bytes before the @.")
        }
        guard Self.isLocalPart(parts[0]) else {
            throw refusal(.localPart, "has before the @ words of ASCII letters, digits and #&'*+-=?^_~ with single dots between them.")
        }
        guard Self.isDomain(parts[1]) else {
            throw refusal(.domain, "has behind the @ a domain of letters, digits and hyphens; an internationalised one as xn--… labels.")
        }
        localPart = String(decoding: parts[0], as: UTF8.self)
        domain = String(decoding: parts[1], as: UTF8.self)
    }

    private static func isLocalPart(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.first != UInt8(ascii: "-")
            && bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { atom in
                !atom.isEmpty && atom.allSatisfy { HTTPSyntax.isLetter($0) || HTTPSyntax.isDigit($0) || "#&'*+-=?^_~".utf8.contains($0) }
            }
    }

    private static func isDomain(_ bytes: ArraySlice<UInt8>) -> Bool {
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy(isLabel) && !(labels.last?.allSatisfy(HTTPSyntax.isDigit) ?? true)
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        let hyphen = UInt8(ascii: "-")
        return (1...longestLabel).contains(label.count) && label.first != hyphen && label.last != hyphen
            && label.allSatisfy { HTTPSyntax.isLetter($0) || HTTPSyntax.isDigit($0) || $0 == hyphen }
    }
}
