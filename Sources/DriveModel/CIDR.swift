/// A network: an address and how many of its first bits count (RFC 4632).
public struct CIDR: Hashable, Sendable, CustomStringConvertible {
    /// The first address of the network.
    public let network: IPAddress
    public let prefixLength: Int

    /// - Parameter prefixLength: brought into 0…32 or 0…128.
    public init(address: IPAddress, prefixLength: Int) {
        self.prefixLength = min(max(prefixLength, 0), address.family.width)
        network = address.masked(to: self.prefixLength)
    }

    /// Parses `10.0.0.0/8`, or an address alone, which is the network of itself. Bits behind the prefix are cleared.
    public init?(_ text: String) {
        let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = halves.first, let address = IPAddress(String(first)) else { return nil }
        guard halves.count == 2 else {
            self.init(address: address, prefixLength: address.family.width)
            return
        }
        guard !halves[1].isEmpty, halves[1].utf8.allSatisfy({ (48...57).contains($0) }), var length = Int(halves[1]) else { return nil }
        // A mapped IPv4 network is written with the prefix of its IPv6 form.
        if address.family == .v4, first.utf8.contains(UInt8(ascii: ":")) { length -= 96 }
        guard (0...address.family.width).contains(length) else { return nil }
        self.init(address: address, prefixLength: length)
    }

    public func contains(_ address: IPAddress) -> Bool {
        address.family == network.family && address.masked(to: prefixLength) == network
    }

    public var description: String { "\(network)/\(prefixLength)" }
}
