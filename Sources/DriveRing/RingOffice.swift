import DriveEvents
import DriveModel

/// Whom a call of the RingService is for. Ids are as the caller sent them.
public enum RingRecipients: Hashable, Sendable {
    /// One; it must exist.
    case user(String)
    /// Those of them that exist.
    case users([String])
    /// One; it must exist.
    case device(String)
    /// Those of them that exist.
    case devices([String])
}

/// A mail as the RingService carries it.
public struct RingMail: Hashable, Sendable {
    /// Of the person; empty where nobody said.
    public var toName: String
    public var toAddress: String
    public var subject: String
    /// Text or HTML.
    public var body: String

    public init(toName: String, toAddress: String, subject: String, body: String) {
        self.toName = toName
        self.toAddress = toAddress
        self.subject = subject
        self.body = body
    }
}

/// Another program that calls.
public struct RingCaller: Hashable, Sendable {
    /// Of its end of the connection; nil where that has gone.
    public var address: String?

    public init(address: String?) {
        self.address = address
    }
}

/// Does what other programs ask over the RingService. Its refusals become statuses of gRPC by ``RingStatus``.
public protocol RingOffice: Sendable {
    /// Somebody called without the token, or with a wrong one.
    func refusedToken(of caller: RingCaller) async
    func send(_ mail: RingMail, for caller: RingCaller) async throws(DriveError)
    func push(_ packet: RingPacket, to recipients: RingRecipients) async throws(DriveError)
    func notify(_ notification: PushNotification, users: RingRecipients) async throws(DriveError)
    /// Pushes nothing to the device from here on.
    func unsubscribe(device: String, for caller: RingCaller) async throws(DriveError)
    /// Whether the device has a WebSocket open, on any server.
    func isConnected(device: String) async throws(DriveError) -> Bool
    /// Which of the people have a WebSocket open, on any server. Those that do not exist have none.
    func areConnected(users: [String]) async throws(DriveError) -> [String: Bool]
    /// What a client of the gateway sent, whose backend this is.
    func received(_ packet: RingPacket, account: String, device: String) async throws(DriveError)
}
