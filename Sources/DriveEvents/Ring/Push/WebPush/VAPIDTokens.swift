import DriveModel
import Synchronization

/// The authorizations of the push services in use, each signed once for half of its life.
final class VAPIDTokens: Sendable {
    /// RFC 8292 section 2 allows 24 hours.
    static let lifetime = Duration.seconds(12 * 3600)
    /// Endpoints are chosen by subscribers, and so is the number of services; the real ones are a handful.
    static let capacity = 64

    private struct Entry {
        var authorization: String
        var issued: Timestamp
    }

    private let key: VAPIDKey
    private let entries = Mutex<[String: Entry]>([:])

    init(key: VAPIDKey) {
        self.key = key
    }

    func authorization(audience: String, now: Timestamp) throws -> String {
        let kept = entries.withLock { $0[audience] }
        // After a clock that was set back, a token from the future is of no use.
        if let kept, kept.issued <= now, now - kept.issued < Self.lifetime / 2 { return kept.authorization }
        let authorization = try key.authorization(audience: audience, expires: now + Self.lifetime)
        entries.withLock { entries in
            entries[audience] = Entry(authorization: authorization, issued: now)
            if entries.count > Self.capacity, let oldest = entries.min(by: { $0.value.issued < $1.value.issued }) {
                entries[oldest.key] = nil
            }
        }
        return authorization
    }

    /// For tests.
    var count: Int { entries.withLock { $0.count } }
}
