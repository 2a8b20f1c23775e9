import DriveModel

/// A message to the open pages of people, as the RingService carries it.
public struct RingPacket: Hashable, Sendable {
    /// `task.completed`, or what another program calls its own.
    public var type: String
    /// JSON text of an object.
    public var data: String
    /// Where the packet tells of an error.
    public var errorMessage: String?

    /// - Parameter data: JSON text of an object.
    public init(type: String, data: String, errorMessage: String? = nil) {
        self.type = type
        self.data = data
        self.errorMessage = errorMessage
    }
}

/// The RingService of another program, which knows people by ids of its own (``RingUser``).
///
/// What became of a call is said as of a push to a device; `unregistered` says that it does not know the person.
public protocol RingGateway: Sendable {
    /// Shows a packet on the person's open pages. Nobody who looks at none gets it later.
    func push(_ packet: RingPacket, to user: String) async -> PushOutcome
    /// Brings a notification to the person's devices, and into the service's list of them where it says so.
    func notify(_ notification: PushNotification, user: String) async -> PushOutcome
}

/// How the account of a person is called to other programs: as its token's issuer calls it, who is theirs too; a local account
/// by its id.
public enum RingUser {
    public static func name(account: String, issuer: String, subject: String, localIssuer: String) -> String {
        issuer == localIssuer ? account : subject
    }
}
