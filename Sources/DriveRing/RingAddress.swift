import DriveModel
import GRPCNIOTransportHTTP2Posix

/// Where a RingService listens: `https://ring.example.org:50051`, or `http://…` without encryption.
public struct RingAddress: Hashable, Sendable {
    public var isSecure: Bool
    /// A name or a literal address, an IPv6 one without its brackets.
    public var host: String
    public var port: Int

    public init(isSecure: Bool, host: String, port: Int) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
    }

    /// Reads an address; nil where it is none, or has more than scheme, host and port.
    public init?(_ text: String) {
        guard let scheme = ["https://", "http://"].first(where: text.lowercased().hasPrefix) else { return nil }
        var rest = text.dropFirst(scheme.count)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        isSecure = scheme == "https://"
        let tail: Substring
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            guard host.contains(":"), host.utf8.allSatisfy({ Self.isHexadecimal($0) || $0 == 58 || $0 == 46 }) else { return nil }
            tail = rest[rest.index(after: end)...]
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            host = String(rest[..<end])
            guard host.utf8.allSatisfy({ Self.isLetterOrDigit($0) || $0 == 45 || $0 == 46 || $0 == 95 }) else { return nil }
            tail = rest[end...]
        }
        guard !host.isEmpty, host.utf8.count <= 253 else { return nil }
        if tail.isEmpty {
            port = isSecure ? 443 : 80
        } else {
            guard tail.hasPrefix(":"), tail.dropFirst().allSatisfy(\.isWholeNumber), let number = UInt16(tail.dropFirst()), number > 0
            else {
                return nil
            }
            port = Int(number)
        }
    }

    var isIPv6: Bool { host.contains(":") }
    var isIPv4: Bool { !isIPv6 && IPAddress(host) != nil }

    var target: any ResolvableTarget {
        if isIPv4 { return .ipv4(address: host, port: port) }
        if isIPv6 { return .ipv6(address: host, port: port) }
        return .dns(host: host, port: port)
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...122).contains(byte | 0x20) }
    private static func isHexadecimal(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...102).contains(byte | 0x20) }
}
