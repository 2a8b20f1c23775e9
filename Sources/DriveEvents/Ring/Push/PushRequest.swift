/// One HTTP request to a push provider, and what the transport must know to send it.
public struct PushRequest: Hashable, Sendable {
    /// Who chose the address.
    public enum Destination: Hashable, Sendable {
        /// The operator: any address is meant.
        case trusted
        /// A subscriber, who must not reach into the server's network: before the first byte of the request leaves, the
        /// **connected peer's** address must be one the policy allows, because a name can lead to any address, and to
        /// another one each time it is looked up.
        case untrusted(PushAddressPolicy)
    }

    public var method: String
    public var url: String
    public var headers: [PushHeader]
    public var body: [UInt8]
    /// Whether the provider speaks HTTP/2 alone.
    public var needsHTTP2: Bool
    public var destination: Destination

    public init(
        method: String = "POST", url: String, headers: [PushHeader], body: [UInt8], needsHTTP2: Bool = false,
        destination: Destination = .trusted
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.needsHTTP2 = needsHTTP2
        self.destination = destination
    }
}

// The URL names the device, and the headers hold the sign-in: neither belongs into a log.
extension PushRequest: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "\(method) \(PushEndpoint(url, policy: .any)?.origin ?? "?") (\(body.count) bytes)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

/// A header field; its name in lower case, as HTTP/2 has it.
public struct PushHeader: Hashable, Sendable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What a provider answered.
public struct PushResponse: Hashable, Sendable {
    /// In bytes. No answer that the providers understand is longer.
    public static let maximumBody = 16 * 1024

    public var status: Int
    public var headers: [PushHeader]
    public var body: [UInt8]

    public init(status: Int, headers: [PushHeader] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first field of this name, which is in lower case.
    func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name }?.value
    }
}

/// Sends one request: all the I/O that the providers need.
///
/// An implementation follows no redirect, checks ``PushRequest/destination``, ends after a time of its own (some 15 s, the
/// body included), and reads at most ``PushResponse/maximumBody`` of the body: what is behind them is dropped.
public protocol PushTransport: Sendable {
    /// Throws ``PushTransportError``, or `CancellationError`.
    func send(_ request: PushRequest) async throws -> PushResponse
}

/// Why a request got no answer.
public enum PushTransportError: Error, Hashable, Sendable {
    case timedOut
    /// No connection, none with TLS, or it broke.
    case unreachable
    /// The address is none that ``PushRequest/destination`` allows.
    case addressRefused
}
