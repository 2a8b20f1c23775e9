import DriveModel

/// What of a stream's connection is worth telling a person: that it is lost, and that it is back, once each. A pure value.
public struct LiveOutage: Hashable, Sendable {
    public enum News: Hashable, Sendable {
        /// It is lost, or was not made; it is tried again.
        case lost(DriveClientError)
        /// It is there again.
        case back
    }

    /// The loss was told, and its end was not.
    private var isOpen = false

    public init() {}

    /// Takes a message of the stream; nil where it is no news.
    public mutating func hear(_ message: LiveEventMessage) -> News? {
        switch message {
        // Who is sent away for his token is told so when he comes back with it, or comes in with another one: not that it passes.
        case .interrupted(let error, _) where !isOpen && !error.refusesToken:
            isOpen = true
            return .lost(error)
        case .ready where isOpen:
            isOpen = false
            return .back
        case .interrupted, .ready, .snapshot, .event: return nil
        }
    }
}

extension DriveClientError {
    /// Signing in is refused: 401, 403.
    fileprivate var refusesToken: Bool { serverReply.map { [401, 403].contains($0.status) } ?? false }
}
