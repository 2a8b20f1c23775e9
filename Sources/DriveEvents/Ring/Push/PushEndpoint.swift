import DriveModel

/// The URL of a push resource, read so strictly that no two programs can disagree about the host in it.
public struct PushEndpoint: Hashable, Sendable {
    /// The URL as it was given.
    public let url: String
    /// Scheme, host and port, these where they are not the scheme's own (RFC 6454 section 6.2): a VAPID audience.
    public let origin: String
    /// In lower case; an IPv6 address without brackets.
    public let host: String
    public let port: Int
    public let isSecure: Bool

    /// Longer ones are no push service's.
    public static let maximumLength = 2048

    /// The endpoint; nil for anything but an `https` URL (`http` on loopback where the policy allows that) of visible ASCII
    /// without user information and fragment, and for a host that the policy does not allow.
    public init?(_ text: String, policy: PushAddressPolicy) {
        guard text.utf8.count <= Self.maximumLength, text.utf8.allSatisfy(ASCII.isVisible),
            // Characters that RFC 3986 has not, and that parsers repair in ways of their own.
            !text.utf8.contains(where: { #""<>\^`{|}#"#.utf8.contains($0) }),
            let scheme = ["https://", "http://"].first(where: { text.lowercased().hasPrefix($0) })
        else { return nil }
        let secure = scheme == "https://"
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.utf8.contains(UInt8(ascii: "@")), let (host, port, isLiteral) = Self.hostAndPort(authority.lowercased()) else {
            return nil
        }
        guard isLiteral ? policy.allows(host) : policy.allows(name: host) else { return nil }
        if !secure {
            guard policy.allowsLoopback, isLiteral ? IPAddress(host)?.scope == .loopback : host == "localhost" else { return nil }
        }
        url = text
        self.host = host
        isSecure = secure
        let usual = secure ? 443 : 80
        self.port = port ?? usual
        let written = host.contains(":") ? "[\(host)]" : host
        origin = scheme + written + (self.port == usual ? "" : ":\(self.port)")
    }

    private static func hostAndPort(_ authority: String) -> (host: String, port: Int?, isLiteral: Bool)? {
        var host = authority[...]
        var port: Int?
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            let digits = authority[authority.index(after: colon)...]
            guard digits.utf8.count <= 5, !digits.isEmpty, digits.utf8.allSatisfy(ASCII.isDigit), let number = Int(digits),
                (1...65_535).contains(number)
            else { return nil }
            port = number
            host = authority[..<colon]
        }
        if host.first == "[" {
            guard host.last == "]" else { return nil }
            let address = String(host.dropFirst().dropLast())
            guard address.contains(":"), !address.contains("%"), IPAddress(address) != nil else { return nil }
            return (address, port, true)
        }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard host.utf8.count <= 253,
            labels.allSatisfy({ label in
                (1...63).contains(label.utf8.count) && label.utf8.allSatisfy { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
            }), let last = labels.last
        else { return nil }
        // A host whose last label is a number is an IPv4 address to some parsers (`127.1`, `2130706433`, `0x7f.1`): it must
        // be one to all of them (WHATWG URL, "ends in a number").
        if last.utf8.first.map(ASCII.isDigit) == true, last.utf8.allSatisfy(ASCII.isDigit) || last.hasPrefix("0x") {
            guard IPAddress(String(host)) != nil else { return nil }
            return (String(host), port, true)
        }
        return (String(host), port, false)
    }
}

// The path is a capability: who knows it can send to the device, as far as the service does not ask for more.
extension PushEndpoint: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { origin }
    public var debugDescription: String { origin }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
