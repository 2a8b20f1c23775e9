/// What callers may hold of the RingService's port, so that nobody without the token holds memory without bound.
public struct RingLimits: Hashable, Sendable {
    /// Open connections in all; one more is closed at once.
    public var connections = 250
    /// Open connections from one address, or from one /64 network of IPv6; one more is closed at once.
    public var connectionsPerAddress = 50
    /// Calls under way over one connection (SETTINGS_MAX_CONCURRENT_STREAMS, RFC 9113 section 6.5.2): callers keep further ones back.
    public var callsPerConnection = 50
    /// Calls under way in all; one more is refused.
    public var calls = 200
    /// Questions for the state of health that need no token, at a time; one more is refused.
    public var probes = 16
    /// How long such a question may take to be there.
    public var probePatience = Duration.seconds(2)
    /// How long a call's one message may take to be there.
    public var messagePatience = Duration.seconds(30)
    /// A connection over which no call has shown the token by then is closed.
    public var signInTime = Duration.seconds(30)
    /// A connection without a call is told to end (GOAWAY) by then, and closed a minute later.
    public var idleTime = Duration.seconds(600)
    /// How often it is looked for connections whose time is over.
    public var lookInterval = Duration.seconds(5)

    /// Bytes of a packet's data, which is not read where it is longer: as much as an event of Drive's own may have, so that one Drive's
    /// packets lose nothing at another. That is the results of a worker (256 KiB), and its task's names.
    public static let packetData = 320 << 10
    /// Bytes of a notification's meta, likewise.
    public static let notificationMeta = 4 << 10

    public init() {}
}
