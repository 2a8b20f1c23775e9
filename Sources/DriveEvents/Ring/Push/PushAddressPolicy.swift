import DriveModel

/// Where a subscriber's endpoint may lead, so that nobody makes the server knock at doors inside its own network
/// (server-side request forgery, OWASP).
///
/// ``PushEndpoint`` applies it to what stands in the URL. A name says nothing about where it leads: the transport must
/// apply ``allows(_:)`` to the address of the peer it has connected to, each time.
public struct PushAddressPolicy: Hashable, Sendable {
    /// Loopback addresses and the name `localhost`, also without TLS: for tests.
    public var allowsLoopback: Bool
    /// Private, link-local and other addresses that are not of the public Internet, and names without a dot.
    public var allowsPrivateNetworks: Bool

    public init(allowsLoopback: Bool, allowsPrivateNetworks: Bool) {
        self.allowsLoopback = allowsLoopback
        self.allowsPrivateNetworks = allowsPrivateNetworks
    }

    /// The public Internet alone.
    public static let publicInternet = PushAddressPolicy(allowsLoopback: false, allowsPrivateNetworks: false)
    /// For addresses that the operator gave.
    public static let any = PushAddressPolicy(allowsLoopback: true, allowsPrivateNetworks: true)

    /// Whether a literal address, IPv4 or IPv6 without brackets, may be connected to; false for what is no address.
    public func allows(_ address: String) -> Bool {
        guard let address = IPAddress(address) else { return false }
        return switch address.scope {
        case .loopback: allowsLoopback
        case .local: allowsPrivateNetworks
        case .global: true
        case .none: false
        }
    }

    /// Whether a name may be looked up: names that only a private network or the machine itself knows are told apart.
    func allows(name: String) -> Bool {
        if name == "localhost" || name.hasSuffix(".localhost") { return allowsLoopback }
        let local = [".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa"]
        if !name.contains(".") || local.contains(where: name.hasSuffix) { return allowsPrivateNetworks }
        return true
    }
}
