import DriveModel
import EngineTestSupport
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DriveEvents

/// Many clients at random moments.
@Suite(.timeLimit(.minutes(2)), .serialized) struct HubStressTests {
    /// How the hub learns of events: by notifications alone, or by looks that meet everything else all the time.
    enum Way: CaseIterable {
        case told, looks
    }

    /// While several write to each of a few accounts, clients come (from now on, or after some earlier event), take as much as
    /// they like, leave and come back. Each sees all that came after its beginning.
    @Test(arguments: Engine.underTest, Way.allCases)
    func whoJoinsAtAnyMomentMissesNothing(engine: Engine, way: Way) async throws {
        try await HubSite.with(engine, lookInterval: way == .told ? HubSite.neverLook : .milliseconds(1)) { limits in
            limits.queue = 16
            limits.page = 8
            limits.readers = 2
            limits.perAccount = 1_000
        } _: { site in
            if way == .looks { site.database.swallowNotifications() }
            let accounts = (0..<4).map { _ in UUID() }
            let (clients, writes) = (30, 40)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, account) in accounts.enumerated() {
                    // Whoever came after the end would wait for it in vain.
                    let arrivals = Arrivals(clients)
                    group.addTask {
                        try await withThrowingTaskGroup(of: Void.self) { writers in
                            for writer in 0..<2 as Range<UInt64> {
                                writers.addTask {
                                    try await write(writes, to: account, at: site, seed: UInt64(index) * 100 + writer)
                                }
                            }
                            try await writers.waitForAll()
                        }
                        await arrivals.all.wait()
                        try await site.send([.ended("the end")], to: account)
                    }
                    for client in 0..<clients as Range<Int> {
                        group.addTask {
                            try await listen(to: account, at: site, seed: UInt64(index * clients + client), arrivals)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(site.hub.subscriptionCount == 0)
        }
    }

    private func write(_ count: Int, to account: UUID, at site: HubSite, seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<count {
            var events: [DriveEvent] = []
            for _ in 0..<Int.random(in: 1...5, using: &generator) {
                let task = "task \(Int.random(in: 0..<3, using: &generator))"
                events.append(Bool.random(using: &generator) ? .progress(task, round) : .ended(task))
            }
            try await site.send(events, to: account)
            try await Task.sleep(for: .microseconds(Int.random(in: 0...4_000, using: &generator)))
        }
    }

    private func listen(to account: UUID, at site: HubSite, seed: UInt64, _ arrivals: Arrivals) async throws {
        var generator = SeededGenerator(seed: 1_000 + seed)
        try await Task.sleep(for: .microseconds(Int.random(in: 0...200_000, using: &generator)))
        let isFromTheBeginning = Int.random(in: 0..<3, using: &generator) == 0
        let first = await Self.result { try await HubClient(site.hub, account, since: isFromTheBeginning ? 0 : nil) }
        arrivals.count()
        var client = try first.get()
        let start = client.subscription.beginning
        #expect(client.beginning == (isFromTheBeginning ? .resumed : .now))
        var events: [LiveEvent] = []
        // Takes for a while, and comes back some time later, after the last that it saw.
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            let (enough, limit) = (Int.random(in: 1...20, using: &generator), Int.random(in: 1...10, using: &generator))
            var count = 0
            events += try await client.take(atMost: limit) { event in
                count += 1
                return count >= enough || event.isTheEnd
            }
            client.leave()
            guard events.last?.isTheEnd != true else { break }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...5_000, using: &generator)))
            client = try await HubClient(site.hub, account, since: events.last?.sequence ?? start)
            #expect(client.beginning == .resumed)
        }
        if events.last?.isTheEnd != true {
            let (limit, isSlow) = (Int.random(in: 1...64, using: &generator), Bool.random(using: &generator))
            events += try await client.take(atMost: limit, until: \.isTheEnd) {
                if isSlow { try await Task.sleep(for: .milliseconds(2)) }
            }
        }
        client.leave()
        let sent = try await site.sent(to: account, after: start)
        let fault = events.fault(against: sent)
        #expect(fault == nil, "seed \(seed)")
    }

    private static func result<Value>(_ body: () async throws -> Value) async -> Result<Value, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }

    /// After a restart all come back in the same second, most of them with the number of what they saw last.
    @Test(arguments: Engine.underTest, Way.allCases)
    func aThousandComeBackAtOnce(engine: Engine, way: Way) async throws {
        try await HubSite.with(engine, lookInterval: way == .told ? HubSite.neverLook : .milliseconds(1)) { site in
            let accounts = (0..<50).map { _ in UUID() }
            for account in accounts {
                try await site.send((1...99).map { $0 % 3 == 0 ? .ended("\($0)") : .progress("long", $0) } + [.ended("100")], to: account)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<1_000 {
                    group.addTask {
                        let (account, since) = (accounts[index % 50], Int64(index / 50 * 5))
                        let client = try await HubClient(site.hub, account, since: since)
                        // The last comes when all are there: they are told of it as well.
                        let events = try await client.take(to: 101, within: .seconds(60))
                        #expect(client.beginning == .resumed)
                        #expect(events.fault(against: try await site.sent(to: account, after: since)) == nil)
                    }
                }
                try await eventually(within: .seconds(60)) { site.hub.subscriptionCount == 1_000 }
                for account in accounts { try await site.send([.ended("101")], to: account) }
                try await group.waitForAll()
            }
        }
    }
}

/// Opens a gate when so many have come.
private final class Arrivals: Sendable {
    let all = Gate()
    private let missing: Mutex<Int>

    init(_ count: Int) {
        missing = Mutex(count)
    }

    func count() {
        let isLast = missing.withLock { missing in
            missing -= 1
            return missing == 0
        }
        if isLast { all.open() }
    }
}

extension LiveEvent {
    /// The last event that a test sends.
    var isTheEnd: Bool { taskId == "the end" }
}
