import DriveModel
import Foundation
import Testing

@testable import DriveServer

@Suite struct RateLimiterTests {
    private static func limit(_ perSecond: Double, _ burst: Double) throws -> RateLimit {
        try #require(RateLimit(perSecond: perSecond, burst: burst))
    }

    @Test func aBucketGivesItsBurstThenItsRate() throws {
        let limit = try Self.limit(2, 3)
        var bucket = TokenBucket(limit: limit, at: .zero)
        /// Milliseconds, and what is decided then.
        let steps: [(Int, RateDecision)] = [
            (0, .allowed), (0, .allowed), (0, .allowed), (0, .limited(retryAfterSeconds: 1)), (499, .limited(retryAfterSeconds: 1)),
            (500, .allowed), (500, .limited(retryAfterSeconds: 1)), (400, .limited(retryAfterSeconds: 1)), (1000, .allowed),
            (100_000, .allowed), (100_000, .allowed), (100_000, .allowed), (100_000, .limited(retryAfterSeconds: 1)),
        ]
        for (index, (milliseconds, decision)) in steps.enumerated() {
            #expect(bucket.take(at: .milliseconds(milliseconds), limit: limit) == decision, "step \(index)")
        }
    }

    @Test func retryAfterIsWhenTheNextTokenComes() throws {
        let limit = try Self.limit(0.1, 1)
        var bucket = TokenBucket(limit: limit, at: .zero)
        #expect(bucket.take(at: .zero, limit: limit) == .allowed)
        #expect(bucket.take(at: .zero, limit: limit) == .limited(retryAfterSeconds: 10))
        #expect(bucket.take(at: .milliseconds(2500), limit: limit) == .limited(retryAfterSeconds: 8))
        #expect(bucket.isFull(at: .seconds(9), limit: limit) == false)
        #expect(bucket.isFull(at: .seconds(10), limit: limit))
        #expect(bucket.take(at: .seconds(10), limit: limit) == .allowed)
    }

    @Test(arguments: [(0.0, 1.0), (1.0, 0.0), (-1.0, 5.0)]) func noLimit(perSecond: Double, burst: Double) {
        #expect(RateLimit(perSecond: perSecond, burst: burst) == nil)
    }

    @Test func aTableStaysBoundedAndDropsFullBucketsFirst() throws {
        let table = BucketTable<Int>(limit: try Self.limit(1, 2), capacity: 4)
        _ = table.take(0, at: .zero)
        _ = table.take(0, at: .zero)
        for key in 1...3 { _ = table.take(key, at: .seconds(1)) }
        // At 2 s bucket 0 is full again; it was used longest ago, so it goes, and nobody notices.
        _ = table.take(4, at: .seconds(2))
        #expect(table.count == 4)
        // At 2 s no bucket but 1…3 is full: 1 goes before 4, which was used just now.
        for key in 5..<100 { _ = table.take(key, at: .seconds(2)) }
        #expect(table.count == 4)
    }

    @Test func aLimitedBucketOutlivesFullOnes() throws {
        let table = BucketTable<Int>(limit: try Self.limit(1, 10), capacity: 4)
        for _ in 0..<10 { _ = table.take(0, at: .zero) }
        for key in 1...3 { _ = table.take(key, at: .zero) }
        _ = table.take(4, at: .seconds(1))
        #expect(table.take(0, at: .seconds(1)) == .allowed)
        #expect(table.take(0, at: .seconds(1)) == .limited(retryAfterSeconds: 1))
    }

    private static func key(_ address: String) throws -> AddressKey { AddressKey(try #require(IPAddress(address))) }

    @Test func addresses() throws {
        let same = [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8:0:0:ffff::2"), ("fe80::1%eth0", "fe80::1")]
        for (left, right) in same { #expect(try Self.key(left) == Self.key(right), "\(left) \(right)") }
        let different = [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1"), ("0.0.0.1", "::1"), ("::", "0.0.0.0")]
        for (left, right) in different { #expect(try Self.key(left) != Self.key(right), "\(left) \(right)") }
    }

    @Test func limitsAreApartAndFailedSignInsCountAlone() throws {
        let time = ManualTime()
        var limits = DriveConfiguration.RateLimits()
        limits.account = .init(requestsPerSecond: 1, burst: 1)
        limits.address = .init(requestsPerSecond: 0, burst: 0)
        limits.failedSignInsPerMinute = 2
        let limiter = RateLimiter(limits: limits, time: time.monotonic)
        let (account, address) = (UUID(), try Self.key("192.0.2.1"))
        #expect(limiter.check(account: account) == .allowed)
        #expect(limiter.check(account: account) == .limited(retryAfterSeconds: 1))
        #expect(limiter.check(account: UUID()) == .allowed)
        for _ in 0..<1000 { #expect(limiter.check(address: address) == .allowed) }
        for _ in 0..<100 { #expect(limiter.checkSignIn(address: address) == .allowed) }
        limiter.recordFailedSignIn(address: address)
        limiter.recordFailedSignIn(address: address)
        #expect(limiter.checkSignIn(address: address) == .limited(retryAfterSeconds: 30))
        #expect(limiter.checkSignIn(address: try Self.key("192.0.2.2")) == .allowed)
        time.advance(by: .seconds(30))
        #expect(limiter.checkSignIn(address: address) == .allowed)
    }

    @Test func defaultsNeverThrottleAFastClient() throws {
        let time = ManualTime()
        let limiter = RateLimiter(limits: .init(), time: time.monotonic)
        let (account, address) = (UUID(), try Self.key("127.0.0.1"))
        for _ in 0..<5000 {
            #expect(limiter.check(account: account) == .allowed)
            #expect(limiter.check(address: address) == .allowed)
            time.advance(by: .microseconds(200))
        }
    }
}

@Suite struct LRUCacheTests {
    @Test func theLeastRecentlyUsedGoesFirst() {
        var cache = LRUCache<String, Int>(capacity: 3)
        for (index, key) in ["a", "b", "c"].enumerated() { cache.insert(index, for: key) }
        #expect(cache.value(for: "a") == 0)
        cache.insert(3, for: "d")
        #expect(cache.value(for: "b") == nil)
        #expect(cache.value(for: "a") == 0)
        #expect(cache.count == 3)
    }

    /// The cache against a plain list, over random operations.
    @Test func equalsAPlainList() {
        var cache = LRUCache<Int, Int>(capacity: 8)
        var model: [(key: Int, value: Int)] = []
        var random = UInt64(42)
        for step in 0..<20_000 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let key = Int(random >> 40) % 16
            let known = model.firstIndex { $0.key == key }
            switch Int(random >> 60) {
            case 0...6:
                cache.insert(step, for: key)
                if let known { model.remove(at: known) } else if model.count == 8 { model.removeFirst() }
                model.append((key, step))
            case 7...12:
                #expect(cache.value(for: key) == known.map { model[$0].value })
                if let known { model.append(model.remove(at: known)) }
            default:
                cache.removeValue(for: key)
                if let known { model.remove(at: known) }
            }
            #expect(cache.count == model.count)
            #expect(cache.leastRecent(among: 1, where: { _ in true }) == model.first?.key)
        }
    }
}
