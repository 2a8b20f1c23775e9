import DriveModel
import Foundation
import Synchronization

/// The part of a client's address that limits count by: all of an IPv4 address, the /64 network of an IPv6 one.
package struct AddressKey: Hashable, Sendable {
    private let network: UInt64
    private let isVersion4: Bool

    package init(_ address: IPAddress) {
        isVersion4 = address.family == .v4
        network = UInt64(truncatingIfNeeded: isVersion4 ? address.bits : address.bits >> 64)
    }
}

/// Limits requests by account and by address, and failed sign-ins by address.
package final class RateLimiter: Sendable {
    private let accounts: BucketTable<UUID>
    private let addresses: BucketTable<AddressKey>
    private let failedSignIns: BucketTable<AddressKey>
    private let time: MonotonicTime

    /// - Parameter capacity: the most buckets of each kind.
    package init(limits: DriveConfiguration.RateLimits, time: MonotonicTime = .system, capacity: Int = 100_000) {
        func limit(_ bucket: DriveConfiguration.RateLimits.Bucket) -> RateLimit? {
            RateLimit(perSecond: Double(bucket.requestsPerSecond), burst: Double(bucket.burst))
        }
        let perMinute = Double(limits.failedSignInsPerMinute)
        accounts = BucketTable(limit: limit(limits.account), capacity: capacity)
        addresses = BucketTable(limit: limit(limits.address), capacity: capacity)
        failedSignIns = BucketTable(limit: RateLimit(perSecond: perMinute / 60, burst: perMinute), capacity: capacity)
        self.time = time
    }

    /// Counts a request of an account.
    package func check(account: UUID) -> RateDecision { accounts.take(account, at: time.now()) }

    /// Counts a request from an address.
    package func check(address: AddressKey) -> RateDecision { addresses.take(address, at: time.now()) }

    /// Whether the address may try to sign in; to be asked before a token is verified.
    package func checkSignIn(address: AddressKey) -> RateDecision { failedSignIns.peek(address, at: time.now()) }

    /// Counts a sign-in that was refused.
    package func recordFailedSignIn(address: AddressKey) { _ = failedSignIns.take(address, at: time.now()) }
}

/// Buckets by key, in a table of bounded size.
final class BucketTable<Key: Hashable & Sendable>: Sendable {
    private let limit: RateLimit?
    private let buckets: Mutex<LRUCache<Key, TokenBucket>>

    /// - Parameter limit: nil: everything is allowed.
    init(limit: RateLimit?, capacity: Int) {
        self.limit = limit
        buckets = Mutex(LRUCache(capacity: capacity))
    }

    var count: Int { buckets.withLock { $0.count } }

    func take(_ key: Key, at now: Duration) -> RateDecision {
        guard let limit else { return .allowed }
        return buckets.withLock { buckets in
            Self.makeRoom(in: &buckets, for: key, at: now, limit: limit)
            return buckets.update(key, default: TokenBucket(limit: limit, at: now)) { $0.take(at: now, limit: limit) }
        }
    }

    /// Asks without counting; an unknown key gets no bucket by it.
    func peek(_ key: Key, at now: Duration) -> RateDecision {
        guard let limit else { return .allowed }
        return buckets.withLock { buckets in
            var bucket = buckets.value(for: key)
            return bucket?.peek(at: now, limit: limit) ?? .allowed
        }
    }

    /// In a full table a bucket that has filled up again goes first, as nothing is lost with it. Where none of the few
    /// oldest has, the oldest goes: memory stays bounded.
    private static func makeRoom(in buckets: inout LRUCache<Key, TokenBucket>, for key: Key, at now: Duration, limit: RateLimit) {
        guard buckets.count >= buckets.capacity, buckets.value(for: key) == nil,
            let full = buckets.leastRecent(among: 8, where: { $0.isFull(at: now, limit: limit) })
        else { return }
        buckets.removeValue(for: full)
    }
}
