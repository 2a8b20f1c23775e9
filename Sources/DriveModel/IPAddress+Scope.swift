extension IPAddress {
    /// How far an address reaches (the special-purpose registries of IANA, RFC 6890).
    public enum Scope: Hashable, Sendable {
        case loopback
        /// Private, link-local, shared, documentation, benchmarking: not the public Internet.
        case local
        case global
        /// Nobody to connect to: unspecified, multicast, broadcast, reserved.
        case none
    }

    public var scope: Scope {
        family == .v4 ? Self.scope(ofV4: UInt32(truncatingIfNeeded: bits)) : Self.scope(ofV6: bits)
    }

    private static func scope(ofV4 address: UInt32) -> Scope {
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

    private static func scope(ofV6 address: UInt128) -> Scope {
        func isIn(_ network: UInt128, _ prefix: UInt128) -> Bool { (address ^ network) >> (128 - prefix) == 0 }
        func v4(endingAt bit: UInt128) -> UInt32 { UInt32(truncatingIfNeeded: address >> (128 - bit)) }

        // Forms that hold an IPv4 address reach what that one reaches: translated (RFC 6052, 8215) and 6to4. One that is
        // mapped is an IPv4 address already.
        if isIn(0x0064_FF9B << 96, 96) { return scope(ofV4: v4(endingAt: 128)) }
        if isIn(0x2002 << 112, 16) { return scope(ofV4: v4(endingAt: 48)) }
        if isIn(0x0064_FF9B_0001 << 80, 48) { return .local }
        if address == 1 { return .loopback }
        // Unspecified and the old IPv4-compatible addresses, multicast, the discard prefix, and Teredo, which hides an IPv4
        // address.
        if isIn(0, 96) || isIn(0xFF << 120, 8) || isIn(0x0100 << 112, 16) || isIn(0x2001 << 112, 32) { return .none }
        // Unique local, link-local with the former site-local, documentation.
        if isIn(0xFC << 120, 7) || isIn(0xFE80 << 112, 9) || isIn(0x2001_0DB8 << 96, 32) { return .local }
        // What IANA has given out for the Internet (2000::/3); nothing else is routed there.
        return isIn(0x2000 << 112, 3) ? .global : .none
    }
}
