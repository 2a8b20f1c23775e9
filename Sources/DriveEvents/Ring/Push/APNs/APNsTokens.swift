import DriveModel
import Synchronization

/// The provider token in use. APNs takes one for an hour, and is annoyed by a new one more often than every 20 minutes.
final class APNsTokens: Sendable {
    /// Between the two, with room on both sides for clocks that disagree.
    static let renewal = Duration.seconds(40 * 60)
    static let shortestLife = Duration.seconds(20 * 60)

    private struct Entry {
        var token: String
        var issued: Timestamp
    }

    private let credentials: APNsCredentials
    private let entry = Mutex<Entry?>(nil)

    init(credentials: APNsCredentials) {
        self.credentials = credentials
    }

    func token(now: Timestamp) throws -> String {
        // Signed under the lock: two at once would be two updates.
        try entry.withLock { entry in
            if let entry, entry.issued <= now, now - entry.issued < Self.renewal { return entry.token }
            let token = try credentials.token(issued: now)
            entry = Entry(token: token, issued: now)
            return token
        }
    }

    /// The service calls the token too old. True where a new one may be made now: only where the old one has had its
    /// 20 minutes, else a clock is wrong and a new one would fare no better.
    func expire(now: Timestamp) -> Bool {
        entry.withLock { entry in
            guard let issued = entry?.issued else { return true }
            guard issued > now || now - issued >= Self.shortestLife else { return false }
            entry = nil
            return true
        }
    }
}
