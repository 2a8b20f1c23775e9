import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// Notifications that are lost, a database that is away, and clients that come and go in the worst moment.
@Suite(.timeLimit(.minutes(2))) struct HubTroubleTests {
    @Test(arguments: Engine.underTest)
    func whatIsNotToldIsFoundByTheLook(engine: Engine) async throws {
        try await HubSite.with(engine, lookInterval: .milliseconds(20)) { site in
            let (busy, quiet) = (UUID(), UUID())
            let client = try await HubClient(site.hub, busy)
            let other = try await HubClient(site.hub, quiet)
            site.database.swallowNotifications()
            for round in 1...5 as ClosedRange<Int64> {
                try await site.send([.ended("round \(round)")], to: busy)
                #expect(try await client.take(to: round).map(\.sequence) == [round])
            }
            #expect(site.hub.take(other.subscription, atMost: 10).isEmpty)
        }
    }

    /// Live clients, one that is behind and one that comes meanwhile.
    @Test(arguments: Engine.underTest, [true, false])
    func aDatabaseThatComesBackIsReadOn(engine: Engine, isTold: Bool) async throws {
        try await HubSite.with(engine, lookInterval: .milliseconds(20)) {
            $0.queue = 4
        } _: { site in
            let account = UUID()
            let live = try await HubClient(site.hub, account)
            let behind = try await HubClient(site.hub, account)
            try await site.send((1...10).map { .ended("\($0)") }, to: account)
            _ = try await live.take(to: 10)
            // It may still be in its first read.
            try await eventually { behind.subscription.position == 4 }
            site.database.isAway = true
            if !isTold { site.database.swallowNotifications() }
            try await site.send((11...20).map { .ended("\($0)") }, to: account)
            // It takes what waits, and then waits for the database.
            try await behind.bell.wait()
            #expect(site.hub.take(behind.subscription, atMost: 64).map(\.sequence) == [1, 2, 3, 4])
            await #expect(throws: DatabaseError.self) { _ = try await HubClient(site.hub, account, since: 3) }
            #expect(site.hub.subscriptionCount == 2)
            #expect(site.hub.take(live.subscription, atMost: 64).isEmpty)
            #expect(site.hub.take(behind.subscription, atMost: 64).isEmpty)
            // Some looks and reads fail.
            let failures = site.database.failures
            try await eventually { site.database.failures >= failures + 6 }
            site.database.isAway = false
            // It waits to be told: nothing but the look reads on for it.
            try await behind.bell.wait()
            #expect(try await live.take(to: 20).map(\.sequence) == Array(11...20))
            #expect(try await behind.take(to: 20).map(\.sequence) == Array(5...20))
            try await site.send([.ended("after")], to: account)
            for client in [live, behind] { #expect(try await client.take(to: 21).map(\.sequence) == [21]) }
        }
    }

    /// The last client leaves while its account is being read, and another comes: what was told for the new one is not taken
    /// for told to the old.
    @Test(arguments: Engine.underTest)
    func aReaderOfAnAccountThatWasLeftDoesNotServeTheNext(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let first = try await HubClient(site.hub, account)
            try await site.send([.ended("one")], to: account)
            _ = try await first.take(to: 1)
            // The old reader finds nothing, and is slow to say so.
            let (oldRead, oldGoesOn) = (Doorbell(), Doorbell())
            let page = TroubledDatabase.Page(account: account, position: 1)
            site.database.hold(page, reached: oldRead, until: oldGoesOn)
            try await site.database.write { $0.notify(EventOutbox.channel, account.lowercaseString) }
            try await oldRead.wait()
            first.leave()
            // So is the reader of the new client.
            let (newRead, newGoesOn) = (Doorbell(), Doorbell())
            site.database.hold(page, reached: newRead, until: newGoesOn)
            let second = try await HubClient(site.hub, account)
            try await newRead.wait()
            try await site.send([.ended("two")], to: account)
            try await site.awaitNotifications()
            oldGoesOn.ring()
            try await Task.sleep(for: .milliseconds(30))
            newGoesOn.ring()
            #expect(try await second.take(to: 2).map(\.sequence) == [2])
        }
    }

    /// An event is committed and told while the first client of its account is still being read for.
    @Test(arguments: Engine.underTest)
    func whatIsToldDuringTheFirstReadIsReadAfterIt(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let (read, goesOn) = (Doorbell(), Doorbell())
            site.database.hold(.init(account: account, position: 0), reached: read, until: goesOn)
            let client = try await HubClient(site.hub, account)
            try await read.wait()
            try await site.send([.ended("one")], to: account)
            try await site.awaitNotifications()
            goesOn.ring()
            #expect(try await client.take(to: 1).map(\.sequence) == [1])
        }
    }

    /// The same while the clients are level already.
    @Test(arguments: Engine.underTest)
    func whatIsToldDuringALaterReadIsReadAfterIt(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let client = try await HubClient(site.hub, account)
            try await site.send([.ended("one")], to: account)
            _ = try await client.take(to: 1)
            let (read, goesOn) = (Doorbell(), Doorbell())
            site.database.hold(.init(account: account, position: 1), reached: read, until: goesOn)
            try await site.database.write { $0.notify(EventOutbox.channel, account.lowercaseString) }
            try await read.wait()
            try await site.send([.ended("two")], to: account)
            try await site.awaitNotifications()
            goesOn.ring()
            #expect(try await client.take(to: 2).map(\.sequence) == [2])
        }
    }

    /// The feed goes on while a second client is being read for: it comes level later, without a gap.
    @Test(arguments: Engine.underTest)
    func whoReadTooEarlyReadsOn(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let first = try await HubClient(site.hub, account)
            try await site.send([.ended("one")], to: account)
            _ = try await first.take(to: 1)
            let (read, goesOn) = (Doorbell(), Doorbell())
            site.database.hold(.init(account: account, position: 0), reached: read, until: goesOn)
            let second = try await HubClient(site.hub, account, since: 0)
            try await read.wait()
            try await site.send([.ended("two")], to: account)
            _ = try await first.take(to: 2)
            goesOn.ring()
            #expect(try await second.take(to: 2).map(\.sequence) == [1, 2])
            try await site.send([.ended("three")], to: account)
            for client in [first, second] { #expect(try await client.take(to: 3).map(\.sequence) == [3]) }
        }
    }

    /// A client that is gone before its first read is over.
    @Test(arguments: Engine.underTest)
    func whoLeavesWhileBeingReadForGetsNothing(engine: Engine) async throws {
        try await HubSite.with(engine) {
            $0.readers = 1
        } _: { site in
            let account = UUID()
            try await site.send([.ended("one")], to: account)
            let (read, goesOn) = (Doorbell(), Doorbell())
            site.database.hold(.init(account: account, position: 0), reached: read, until: goesOn)
            let gone = try await HubClient(site.hub, account, since: 0)
            try await read.wait()
            gone.leave()
            let next = try await HubClient(site.hub, account, since: 0)
            goesOn.ring()
            #expect(try await next.take(to: 1).map(\.sequence) == [1])
            #expect(gone.bell.rings == 0)
            #expect(site.hub.take(gone.subscription, atMost: 10).isEmpty)
            try await site.expectQuiet(account)
        }
    }
}
