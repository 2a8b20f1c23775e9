import DriveModel
import EngineTestSupport
import Foundation
import TestSupport
import Testing

@testable import DriveEvents

/// Clients that take slowly, or not at all for a while.
@Suite(.timeLimit(.minutes(2))) struct SlowReaderTests {
    /// 5,000 events of some tasks, of which two in five are no progress, in the order a seed gives.
    private static func events(seed: UInt64) -> [DriveEvent] {
        var generator = SeededGenerator(seed: seed)
        return (1...5_000).map { index in
            let task = "task \(Int.random(in: 0..<20, using: &generator))"
            return Int.random(in: 0..<5, using: &generator) < 3 ? .progress(task, index) : .ended("\(task) \(index)")
        } + [.ended("last")]
    }

    @Test(arguments: Engine.underTest)
    func whoTakesNothingForLongGetsEverythingThatCounts(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let slow = try await HubClient(site.hub, account)
            let choosy = try await HubClient(site.hub, account, filter: EventFilter(types: ["task.completed"]))
            let quick = try await HubClient(site.hub, account)
            async let seen = quick.take(to: 5_001)
            for batch in Self.events(seed: 1).batches(of: 100) { try await site.send(batch, to: account) }
            let sent = try await site.sent(to: account)
            // Nobody who is quick notices those who are slow; and now the feed has been through.
            #expect(try await seen.fault(against: sent) == nil)
            for client in [slow, choosy] {
                let position = client.subscription.position
                #expect(sent.filter { $0.sequence <= position && $0.progressKey == nil }.count <= 256)
                #expect(position < 5_001)
                #expect(client.bell.rings == 1)
                try await eventually { site.hub.latest(for: client.subscription) == 5_001 }
            }
            #expect(!sent.contains { $0.sequence <= slow.subscription.taken && $0.progressKey == nil }, "it took nothing yet")
            let late = try await slow.take(to: 5_001)
            #expect(late.fault(against: sent) == nil)
            #expect(late.count < sent.count, "nothing was coalesced")
            #expect(try await choosy.take(to: 5_001).map(\.sequence) == sent.filter { $0.type == "task.completed" }.map(\.sequence))
            // They are level again.
            let last = try await site.send([.progress("task 1", 100), .ended("after")], to: account)
            for client in [slow, choosy, quick] {
                #expect(try await client.take(to: last).last?.sequence == last)
            }
        }
    }

    /// Bytes bound what waits as the number of events does.
    @Test(arguments: Engine.underTest)
    func largeEventsWaitInTheDatabase(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let slow = try await HubClient(site.hub, account)
            let quick = try await HubClient(site.hub, account)
            let text = String(repeating: "x", count: 100_000)
            for index in 1...20 {
                try await site.send([DriveEvent(type: "task.failed", taskId: "\(index)", data: ["reason": .string(text)])], to: account)
            }
            #expect(try await quick.take(to: 20).map(\.sequence) == Array(1...20))
            #expect(slow.subscription.position <= 5)
            #expect(try await slow.take(to: 20, atMost: 3).map(\.sequence) == Array(1...20))
        }
    }

    /// And what is read at once: they come a few at a time, to whoever is level as to whoever comes back, and both are level after it.
    @Test(arguments: Engine.underTest)
    func largeEventsAreReadAFewAtATime(engine: Engine) async throws {
        try await HubSite.with(engine) {
            $0.pageBytes = 250_000
        } _: { site in
            let (account, other) = (UUID(), UUID())
            let text = JSONValue.string(String(repeating: "x", count: 100_000))
            let events = (1...20).map { DriveEvent(type: "task.failed", taskId: "\($0)", data: ["reason": text]) }
            let level = try await HubClient(site.hub, account)
            try await site.awaitNotifications()
            try await site.send(events, to: account)
            #expect(try await level.take(to: 20).map(\.sequence) == Array(1...20))
            try await site.send(events, to: other)
            let back = try await HubClient(site.hub, other, since: 0)
            #expect(try await back.take(to: 20).map(\.sequence) == Array(1...20))
            for (account, client) in [(account, level), (other, back)] {
                #expect(site.database.wasRead(.init(account: account, position: 2)), "two are a page")
                try await site.send([.ended("next")], to: account)
                #expect(try await client.take(to: 21).map(\.sequence) == [21])
                try await site.expectQuiet(account)
            }
        }
    }

    /// Takes one at a time, or as many as there are, with a queue that holds next to nothing.
    @Test(arguments: Engine.underTest, [1, 2, 7])
    func anyAppetiteGetsThemAll(engine: Engine, appetite: Int) async throws {
        try await HubSite.with(engine) { limits in
            limits.queue = 3
            limits.page = 5
        } _: { site in
            let account = UUID()
            let events = Array(Self.events(seed: UInt64(appetite)).prefix(400)) + [.ended("last")]
            let clients = [
                try await HubClient(site.hub, account), try await HubClient(site.hub, account, since: 0),
                try await HubClient(site.hub, account, filter: EventFilter(types: ["task.progress", "task.completed"])),
            ]
            async let sending: Void = {
                for batch in events.batches(of: 7) { try await site.send(batch, to: account) }
            }()
            var taken: [[LiveEvent]] = []
            for client in clients { taken.append(try await client.take(to: 401, atMost: appetite)) }
            try await sending
            let sent = try await site.sent(to: account)
            for events in taken { #expect(events.fault(against: sent) == nil) }
        }
    }
}

extension Array {
    /// In order, each of this size but the last.
    func batches(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
