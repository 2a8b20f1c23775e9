import DriveModel
import Foundation

extension ValueParser where Value == String {
    /// Any text but the empty one; control characters are refused.
    static func text(_ what: String) -> ValueParser {
        .scalar(
            allowed: what,
            { (text) throws(ValueRejection) -> String in
                guard !text.isEmpty else { throw ValueRejection("is empty") }
                guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
                    throw ValueRejection("holds a control character")
                }
                return text
            },
            format: { $0 })
    }

    /// A text that `rule` holds for.
    static func matching(_ what: String, reason: String, _ rule: @escaping @Sendable (String) -> Bool) -> ValueParser {
        let base = text(what)
        return .scalar(
            allowed: what,
            { (text) throws(ValueRejection) -> String in
                let value = try base.parse(.text(text, line: nil))
                guard rule(value) else { throw ValueRejection(reason) }
                return value
            },
            format: { $0 })
    }

    /// An absolute `http` or `https` address without query and fragment; its last slash is dropped.
    static var webAddress: ValueParser {
        .scalar(
            allowed: "an address such as `https://drive.example.org`",
            { (text) throws(ValueRejection) -> String in
                guard Texts.isWebAddress(text) else { throw ValueRejection("is not an http or https address") }
                return text.hasSuffix("/") ? String(text.dropLast()) : text
            },
            format: { $0 })
    }

    /// An origin of a browser, or `*`.
    static var origin: ValueParser {
        matching("origins such as `https://app.example.org`, or `*`", reason: "is not an origin") { text in
            text == "*" || (Texts.isWebAddress(text) && URLComponents(string: text)?.path.isEmpty == true)
        }
    }

    /// A token of RFC 9110 §5.6.2.
    static func httpToken(_ what: String) -> ValueParser {
        matching(what, reason: "is not an HTTP token") { text in
            text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
        }
    }

    /// An IP network in CIDR notation, or one address.
    static var network: ValueParser {
        matching("networks such as `10.0.0.0/8`, `::1/128`, or single addresses", reason: "is not a network", Texts.isNetwork)
    }
}

extension ValueParser where Value == Bool {
    static var boolean: ValueParser {
        .scalar(
            allowed: "`true` or `false`",
            { (text) throws(ValueRejection) -> Bool in
                switch text.lowercased() {
                case "true", "yes", "on", "1": return true
                case "false", "no", "off", "0": return false
                default: throw ValueRejection("is neither true nor false")
                }
            },
            format: { $0 ? "true" : "false" })
    }
}

extension ValueParser where Value == UUID {
    static var uuid: ValueParser {
        .scalar(
            allowed: "a UUID",
            { (text) throws(ValueRejection) -> UUID in
                guard let value = UUID(uuidString: text) else { throw ValueRejection("is not a UUID") }
                return value
            },
            format: { $0.lowercaseString })
    }
}

extension ValueParser where Value == Secret {
    /// A secret text; `base` checks it.
    static func secret(_ base: ValueParser<String>) -> ValueParser {
        ValueParser(
            allowed: base.allowed,
            parse: { (node) throws(ValueRejection) -> Secret in Secret(try base.parse(node)) },
            format: { "\($0)" })
    }
}

extension ValueParser where Value == LogLevels {
    static var logLevels: ValueParser {
        .scalar(allowed: LogLevels.allowed, { (text) throws(ValueRejection) in try LogLevels(text) }, format: { "\($0)" })
    }
}

extension ValueParser where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One word of an enumeration, in any case.
    static func word() -> ValueParser {
        let words = Value.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
        return .scalar(
            allowed: "one of \(words)",
            { (text) throws(ValueRejection) -> Value in
                guard let value = Value.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() }) else {
                    throw ValueRejection("is not known")
                }
                return value
            },
            format: { $0.rawValue })
    }
}

/// Rules for texts.
enum Texts {
    static func isWebAddress(_ text: String) -> Bool {
        guard let url = URLComponents(string: text), let scheme = url.scheme?.lowercased(), let host = url.host else { return false }
        return ["http", "https"].contains(scheme) && !host.isEmpty && url.query == nil && url.fragment == nil && url.user == nil
    }

    static func isNetwork(_ text: String) -> Bool {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first, let bits = addressBits(String(address)) else { return false }
        guard parts.count == 2 else { return true }
        guard Quantity.isDigits(parts[1]), let prefix = Int(parts[1]) else { return false }
        return prefix <= bits
    }

    /// 32 for an IPv4 address, 128 for an IPv6 address, nil for anything else.
    private static func addressBits(_ text: String) -> Int? {
        var storage = in6_addr()
        if inet_pton(AF_INET, text, &storage) == 1 { return 32 }
        if inet_pton(AF_INET6, text, &storage) == 1 { return 128 }
        return nil
    }
}
