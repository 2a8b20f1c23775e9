#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// An IPv4 or IPv6 address. An IPv4 address mapped into IPv6 (`::ffff:1.2.3.4`) is the IPv4 address.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    public enum Family: Hashable, Sendable {
        case v4
        case v6

        /// Bits of an address.
        public var width: Int { self == .v4 ? 32 : 128 }
    }

    public let family: Family
    /// The address as a number; an IPv4 address takes the low 32 bits.
    public let bits: UInt128

    /// Stands for a peer without an address, such as a Unix socket's.
    public static let unknown = IPAddress(family: .v4, bits: 0)

    private static let mappedPrefix: UInt128 = 0xFFFF << 32

    private init(family: Family, bits: UInt128) {
        if family == .v6, bits >> 32 == Self.mappedPrefix >> 32 {
            self.family = .v4
            self.bits = bits & 0xFFFF_FFFF
        } else {
            self.family = family
            self.bits = bits
        }
    }

    /// Parses dotted or colon notation. A zone (`fe80::1%eth0`) is dropped; brackets and ports are not part of an address.
    public init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        let isV6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isV6 ? 16 : 4)
        let plain = isV6 ? text.prefix { $0 != "%" } : text[...]
        guard inet_pton(isV6 ? AF_INET6 : AF_INET, String(plain), &bytes) == 1 else { return nil }
        self.init(family: isV6 ? .v6 : .v4, bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
    }

    /// The canonical notation (RFC 5952).
    public var description: String {
        let width = family.width / 8
        let bytes = (0..<width).map { UInt8(truncatingIfNeeded: bits >> UInt128(8 * (width - 1 - $0))) }
        var text = [CChar](repeating: 0, count: 64)
        guard inet_ntop(family == .v4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The address with all but its first bits cleared.
    func masked(to prefixLength: Int) -> IPAddress {
        let hostBits = family.width - prefixLength
        return IPAddress(family: family, bits: hostBits >= 128 ? 0 : (bits >> UInt128(hostBits)) << UInt128(hostBits))
    }
}
