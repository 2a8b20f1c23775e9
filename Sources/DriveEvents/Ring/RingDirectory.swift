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
        /// Events without news after which the cursor moves all the same, so that nothing is looked through again and again.
        public var lag = 256

        public init() {}
    }

    let database: any Database
    let seal: SecretSeal
    let policy: PushAddressPolicy
    let limits: Limits
    let surroundings: Surroundings

    /// - Parameters:
    ///   - seal: for the tokens of devices.
    ///   - policy: where Web Push endpoints may lead.
    public init(
        database: any Database, seal: SecretSeal, policy: PushAddressPolicy, limits: Limits = Limits(), surroundings: Surroundings
    ) {
        self.database = database
        self.seal = seal
        self.policy = policy
        self.limits = limits
        self.surroundings = surroundings
    }

    /// A UUID of version 4 (RFC 9562 section 5.4) from the injected randomness.
    func newUUID() -> UUID {
        var bytes = surroundings.randomBytes(16)
        guard bytes.count == 16 else { return UUID() }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }
}
