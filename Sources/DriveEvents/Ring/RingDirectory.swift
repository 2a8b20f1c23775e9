import DriveDatabase
import DriveModel
import Foundation

/// Ring's rows: devices, preferences, past notifications, who watches. Its parts stand in extensions, one per table.
public struct RingDirectory: Sendable {
    /// What bounds an account.
    public struct Limits: Sendable {
        /// Devices; the one that was registered longest ago gives way to a new one.
        public var devices = 20
        /// Past notifications; the oldest go.
        public var notifications = 500
        /// Events that become notifications in one transaction.
        public var page = 64
        /// Bytes of data of the events that are read at once, for that and to be forwarded; one that is larger is read alone.
        public var pageBytes = 256 << 10
        /// Notifications of a page that go to devices; the others are listed.
        public var burst = 20
        /// Pushes that a page becomes; with many devices fewer notifications than `burst` go to them, but always one.
        public var pushes = 128
        /// Events without news after which the cursor moves all the same, so that nothing is looked through again and again.
        public var lag = 256

        public init() {}
    }

    let database: any Database
    let seal: SecretSeal
    let policy: PushAddressPolicy
    let limits: Limits
    let surroundings: Surroundings
    /// Whether the RingService of another program gets what is pushed too.
    let hasGateway: Bool

    /// - Parameters:
    ///   - seal: for the tokens of devices.
    ///   - policy: where Web Push endpoints may lead.
    ///   - hasGateway: each notification that is pushed is one push more, to the gateway; not what came from a gateway.
    public init(
        database: any Database, seal: SecretSeal, policy: PushAddressPolicy, limits: Limits = Limits(), hasGateway: Bool = false,
        surroundings: Surroundings
    ) {
        self.database = database
        self.seal = seal
        self.policy = policy
        self.limits = limits
        self.hasGateway = hasGateway
        self.surroundings = surroundings
    }
}
