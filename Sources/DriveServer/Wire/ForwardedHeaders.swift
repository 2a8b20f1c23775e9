import DriveModel
import HTTPTypes

/// Where a request came from, as far as it can be believed.
struct ClientOrigin: Hashable, Sendable {
    /// The client's address, or that of the last proxy known where the client's was hidden.
    var address: IPAddress
    /// `http` or `https`, as the client spoke it.
    var scheme: String
    /// The host (and port) the client asked for.
    var host: String?
}

/// Finds the client behind trusted proxies by `Forwarded` (RFC 7239) or `X-Forwarded-For`, `-Proto` and `-Host`.
///
/// Only a trusted peer's word counts, and each word reaches one hop: the last entry was written by the peer, the one before it by the
/// address in the last entry, and so on. The walk ends at the first address that is not trusted, which is the client.
enum ForwardedHeaders {
    /// Entries looked at; whoever sends more is not walked further.
    private static let hopLimit = 32

    /// One hop as a proxy described it.
    private struct Hop {
        /// Nil where it is hidden (`unknown`, `_secret`) or malformed.
        var address: IPAddress?
        var scheme: String?
        var host: String?
    }

    /// Decides the origin.
    ///
    /// A proxy that writes one of the two headers may pass a client's forgery of the other: where both are there and name different
    /// clients, neither is believed and the peer itself is the client.
    /// - Parameters:
    ///   - peer: the address of the connection's other end.
    ///   - trusted: the proxies' networks; empty trusts nobody.
    ///   - scheme: of the connection itself.
    ///   - host: of the request itself (`Host` or `:authority`).
    static func resolve(peer: IPAddress, trusted: [CIDR], headers: HTTPFields, scheme: String, host: String?) -> ClientOrigin {
        let direct = ClientOrigin(address: peer, scheme: scheme, host: host.flatMap(validHost))
        guard trusted.contains(where: { $0.contains(peer) }) else { return direct }
        let standard = standardHops(headers)
        let conventional = conventionalHops(headers)
        switch (standard, conventional) {
        case (nil, nil): return direct
        case (let hops?, nil), (nil, let hops?): return walk(hops, from: direct, trusted: trusted)
        case (let hops?, let others?):
            let first = walk(hops, from: direct, trusted: trusted)
            return first.address == walk(others, from: direct, trusted: trusted).address ? first : direct
        }
    }

    private static func walk(_ hops: [Hop], from direct: ClientOrigin, trusted: [CIDR]) -> ClientOrigin {
        var origin = direct
        for hop in hops.reversed().prefix(hopLimit) {
            origin.scheme = hop.scheme ?? origin.scheme
            origin.host = hop.host ?? origin.host
            guard let address = hop.address else { break }
            origin.address = address
            guard trusted.contains(where: { $0.contains(address) }) else { break }
        }
        return origin
    }

    /// The elements of `Forwarded`, the client's first; nil where there is none. A malformed header has one hop that says nothing.
    private static func standardHops(_ headers: HTTPFields) -> [Hop]? {
        guard let text = combined("forwarded", in: headers) else { return nil }
        guard let elements = HTTPSyntax.split(text[...], at: UInt8(ascii: ",")) else { return [Hop()] }
        return elements.filter { !$0.isEmpty }.map { element in
            guard let pairs = HeaderParameters(parametersOnly: element) else { return Hop() }
            return Hop(
                address: pairs["for"].flatMap(nodeAddress), scheme: pairs["proto"].flatMap(validScheme),
                host: pairs["host"].flatMap(validHost))
        }
    }

    /// The entries of `X-Forwarded-For` with scheme and host from its companions; nil where none of them is there.
    private static func conventionalHops(_ headers: HTTPFields) -> [Hop]? {
        let addresses = combined("x-forwarded-for", in: headers).map(entries)
        let schemes = combined("x-forwarded-proto", in: headers).map(entries) ?? []
        let hosts = combined("x-forwarded-host", in: headers).map(entries) ?? []
        guard addresses != nil || !schemes.isEmpty || !hosts.isEmpty else { return nil }
        guard let addresses, !addresses.isEmpty else {
            return [Hop(scheme: schemes.last.flatMap(validScheme), host: hosts.last.flatMap(validHost))]
        }
        // Lists as long as the addresses belong to them one by one; else only the nearest proxy's word is certain.
        return addresses.indices.map { index in
            func companion(_ list: [String]) -> String? {
                if list.count == addresses.count { return list[index] }
                return index == addresses.count - 1 ? list.last : nil
            }
            return Hop(
                address: nodeAddress(addresses[index]), scheme: companion(schemes).flatMap(validScheme),
                host: companion(hosts).flatMap(validHost))
        }
    }

    /// All lines of a field as one list.
    private static func combined(_ canonicalName: String, in headers: HTTPFields) -> [UInt8]? {
        let lines = headers.filter { $0.name.canonicalName == canonicalName }.map(\.value)
        return lines.isEmpty ? nil : Array(lines.joined(separator: ",").utf8)
    }

    private static func entries(_ list: [UInt8]) -> [String] {
        list.split(separator: UInt8(ascii: ",")).map { String(decoding: HTTPSyntax.trim($0), as: UTF8.self) }.filter { !$0.isEmpty }
    }

    /// The address of `1.2.3.4`, `1.2.3.4:80`, `[::1]`, `[::1]:80` or `::1`; nil for anything else.
    private static func nodeAddress(_ node: String) -> IPAddress? {
        if node.utf8.first == UInt8(ascii: "[") {
            guard let end = node.firstIndex(of: "]") else { return nil }
            let rest = node[node.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            let inside = String(node[node.index(after: node.startIndex)..<end])
            return inside.utf8.contains(UInt8(ascii: ":")) ? IPAddress(inside) : nil
        }
        if let address = IPAddress(node) { return address }
        let halves = node.split(separator: ":", omittingEmptySubsequences: false)
        return halves.count == 2 ? IPAddress(String(halves[0])) : nil
    }

    private static func validScheme(_ text: String) -> String? {
        let lower = text.lowercased()
        return lower == "http" || lower == "https" ? lower : nil
    }

    /// A host with an optional port, of characters that cannot leave a URL's authority.
    private static func validHost(_ text: String) -> String? {
        let extra: Set<UInt8> = [
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"),
        ]
        guard !text.isEmpty, text.utf8.count <= 261,
            text.utf8.allSatisfy({ HTTPSyntax.isLetter($0) || HTTPSyntax.isDigit($0) || extra.contains($0) })
        else { return nil }
        return text
    }
}
