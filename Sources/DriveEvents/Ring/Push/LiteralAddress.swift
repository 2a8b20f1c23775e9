#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// An IP address, and how far it reaches (the special-purpose registries of IANA, RFC 6890).
struct LiteralAddress: Hashable, Sendable {
    enum Scope: Hashable, Sendable {
        case loopback
        /// Private, link-local, shared, documentation, benchmarking: not the public Internet.
        case local
        case global
        /// Nobody to connect to: unspecified, multicast, broadcast, reserved.
        case none
    }

    private let bytes: [UInt8]

    /// Dotted or colon notation, without brackets; a zone (`fe80::1%eth0`) is dropped.
    init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        let isV6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isV6 ? 16 : 4)
        let plain = isV6 ? text.prefix { $0 != "%" } : text[...]
        guard inet_pton(isV6 ? AF_INET6 : AF_INET, String(plain), &bytes) == 1 else { return nil }
        self.bytes = bytes
    }

    var scope: Scope { bytes.count == 4 ? Self.scope(ofV4: bytes[...]) : Self.scope(ofV6: bytes) }

    private static func scope(ofV4 bytes: ArraySlice<UInt8>) -> Scope {
        let address = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        func isIn(_ network: UInt32, _ prefix: UInt32) -> Bool { (address ^ network) >> (32 - prefix) == 0 }

        if isIn(0x7F00_0000, 8) { return .loopback }
        // 0/8, multicast, and reserved with broadcast.
        if isIn(0, 8) || isIn(0xE000_0000, 4) || isIn(0xF000_0000, 4) { return .none }
        let local: [(UInt32, UInt32)] = [
            (0x0A00_0000, 8), (0xAC10_0000, 12), (0xC0A8_0000, 16),  // private (RFC 1918)
            (0xA9FE_0000, 16),  // link-local, where clouds keep their metadata
            (0x6440_0000, 10),  // shared by carriers (RFC 6598)
            (0xC000_0000, 24), (0xC058_6300, 24),  // protocol assignments, 6to4 relays
            (0xC000_0200, 24), (0xC633_6400, 24), (0xCB00_7100, 24),  // documentation
            (0xC612_0000, 15),  // benchmarking
        ]
        return local.contains { isIn($0.0, $0.1) } ? .local : .global
    }

    private static func scope(ofV6 bytes: [UInt8]) -> Scope {
        func begins(_ prefix: [UInt8]) -> Bool { bytes.starts(with: prefix) }

        // Forms that hold an IPv4 address reach what that one reaches: mapped, translated (RFC 6052, 8215), 6to4.
        if begins([UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]) { return scope(ofV4: bytes[12...]) }
        if begins([0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]) { return scope(ofV4: bytes[12...]) }
        if begins([0x20, 0x02]) { return scope(ofV4: bytes[2..<6]) }
        if begins([0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01]) { return .local }
        if bytes.dropLast().allSatisfy({ $0 == 0 }) { return bytes[15] == 1 ? .loopback : .none }
        // Multicast, the discard prefix, the old IPv4-compatible addresses, and Teredo, which hides an IPv4 address.
        if bytes[0] == 0xFF || begins([0x01, 0x00]) || begins([UInt8](repeating: 0, count: 12)) || begins([0x20, 0x01, 0, 0]) {
            return .none
        }
        // Unique local, link-local, the former site-local, documentation.
        if bytes[0] & 0xFE == 0xFC || (bytes[0] == 0xFE && bytes[1] & 0x80 != 0) || begins([0x20, 0x01, 0x0D, 0xB8]) { return .local }
        // What IANA has given out for the Internet (2000::/3); nothing else is routed there.
        return bytes[0] & 0xE0 == 0x20 ? .global : .none
    }
}
