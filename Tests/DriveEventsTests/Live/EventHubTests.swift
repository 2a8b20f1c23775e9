import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// What a client gets, over each engine. The hub never looks by itself here: every event must be told.
@Suite(.timeLimit(.minutes(2))) struct EventHubTests {
    @Test(arguments: Engine.underTest)
    func eachGetsTheEventsOfItsOwnAccount(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            let clients = [
                (anna, try await HubClient(site.hub, anna)), (anna, try await HubClient(site.hub, anna)),
                (bert, try await HubClient(site.hub, bert)),
            ]
            for index in 1...20 {
                try await site.send([.progress("anna", index), .ended("anna \(index)")], to: anna)
                try await site.send([.ended("bert \(index)")], to: bert)
            }
            for (account, client) in clients {
                #expect(client.beginning == .now)
                let events = try await client.take(to: account == anna ? 40 : 20)
                #expect(events.fault(against: try await site.sent(to: account)) == nil)
            }
        }
    }

    private struct Beginning {
        let since: Int64?
        let beginning: EventHub.Beginning
        let start: Int64
    }

    /// Ten events, of which the first four were removed with the years.
    private static let beginnings = [
        Beginning(since: nil, beginning: .now, start: 10), Beginning(since: 10, beginning: .resumed, start: 10),
        Beginning(since: 7, beginning: .resumed, start: 7), Beginning(since: 4, beginning: .resumed, start: 4),
        Beginning(since: 3, beginning: .gap, start: 10), Beginning(since: 0, beginning: .gap, start: 10),
        Beginning(since: -1, beginning: .gap, start: 10), Beginning(since: 11, beginning: .gap, start: 10),
        Beginning(since: .max, beginning: .gap, start: 10), Beginning(since: .min, beginning: .gap, start: 10),
    ]

    @Test(arguments: Engine.underTest)
    func goesOnWhereTheClientWas(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let old = ManualClock.start - .seconds(100)
            try await site.send((1...4).map { .ended("old \($0)") }, to: account, at: old)
            try await site.send((5...10).map { .ended("new \($0)") }, to: account)
            #expect(try await site.database.write { try EventOutbox.prune(before: ManualClock.start, limit: 100, in: $0) } == 4)
            var clients: [HubClient] = []
            for row in Self.beginnings {
                let client = try await HubClient(site.hub, account, since: row.since)
                #expect(client.beginning == row.beginning, "since \(row.since ?? 0)")
                #expect(client.subscription.beginning == row.start, "since \(row.since ?? 0)")
                clients.append(client)
            }
            try await site.send([.ended("eleven")], to: account)
            for (row, client) in zip(Self.beginnings, clients) {
                #expect(try await client.take(to: 11).map(\.sequence) == Array(row.start + 1...11), "since \(row.since ?? 0)")
            }
        }
    }

    /// Nothing is kept: of an account that never had an event, and of one whose events are all too old.
    @Test(arguments: Engine.underTest)
    func goesOnWhereNothingIsKept(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let (fresh, quiet) = (UUID(), UUID())
            try await site.send((1...10).map { .ended("\($0)") }, to: quiet)
            _ = try await site.database.write { try EventOutbox.prune(before: ManualClock.start + .seconds(1), limit: 100, in: $0) }
            let table: [(account: UUID, since: Int64, beginning: EventHub.Beginning)] = [
                (fresh, 0, .resumed), (fresh, 1, .gap), (quiet, 10, .resumed), (quiet, 9, .gap), (quiet, 11, .gap),
            ]
            var clients: [HubClient] = []
            for row in table {
                let client = try await HubClient(site.hub, row.account, since: row.since)
                #expect(client.beginning == row.beginning, "since \(row.since)")
                clients.append(client)
            }
            for account in [fresh, quiet] {
                let last = try await site.send([.ended("next")], to: account)
                for (row, client) in zip(table, clients) where row.account == account {
                    #expect(try await client.take(to: last).map(\.sequence) == [last], "since \(row.since)")
                }
            }
        }
    }

    /// An event among others is gone, for a clock was changed when it was written. Whoever has read up to it comes back, and is told
    /// at once to look at everything anew: without that it would come back again and again. The hole is between two pages, or in one.
    @Test(arguments: Engine.underTest, [3, 2, 256])
    func whoComesToAHoleComesBackOnce(engine: Engine, page: Int) async throws {
        try await HubSite.with(engine) {
            $0.page = page
        } _: { site in
            let account = UUID()
            try await site.send((1...3).map { .ended("\($0)") }, to: account)
            try await site.send([.ended("4")], to: account, at: ManualClock.start - .seconds(100))
            try await site.send((5...6).map { .ended("\($0)") }, to: account)
            #expect(try await site.database.write { try EventOutbox.prune(before: ManualClock.start, limit: 100, in: $0) } == 1)
            let client = try await HubClient(site.hub, account, since: 0)
            #expect(client.beginning == .resumed)
            #expect(try await client.take(to: 3).map(\.sequence) == [1, 2, 3])
            try await eventually { client.subscription.isLost }
            #expect(site.hub.take(client.subscription, atMost: 10).isEmpty)
            let again = try await HubClient(site.hub, account, since: 3)
            #expect(again.beginning == .gap)
            let behindIt = try await HubClient(site.hub, account, since: 4)
            #expect(behindIt.beginning == .resumed)
            try await site.send([.ended("7")], to: account)
            #expect(try await again.take(to: 7).map(\.sequence) == [7])
            #expect(try await behindIt.take(to: 7).map(\.sequence) == [5, 6, 7])
        }
    }

    /// What it has not read yet is removed: it is told so, gets what waited, and nothing behind the hole.
    @Test(arguments: Engine.underTest)
    func whoIsTooFarBehindIsToldSo(engine: Engine) async throws {
        try await HubSite.with(
            engine,
            {
                $0.queue = 4
                $0.page = 4
            }
        ) { site in
            let account = UUID()
            let client = try await HubClient(site.hub, account)
            try await site.send([.ended("1")], to: account)
            #expect(try await client.take(to: 1).map(\.sequence) == [1])
            try await site.send((2...20).map { .ended("\($0)") }, to: account)
            // The last page, for the clients that are level: this one was left behind at the first.
            try await eventually { site.database.wasRead(.init(account: account, position: 17)) }
            _ = try await site.database.write { try EventOutbox.prune(before: ManualClock.start + .seconds(1), limit: 100, in: $0) }
            var taken: [Int64] = []
            try await eventually {
                taken += site.hub.take(client.subscription, atMost: 10).map(\.sequence)
                return client.subscription.isLost
            }
            #expect(taken == Array(2..<Int64(taken.count + 2)) && taken.count < 19, "\(taken)")
            #expect(site.hub.take(client.subscription, atMost: 10).isEmpty)
            #expect(try await HubClient(site.hub, account, since: taken.last ?? 1).beginning == .gap)
        }
    }

    /// It is read for over pages of which it wants nothing, and gets the one event it waits for.
    @Test(arguments: Engine.underTest)
    func aFilterHoldsBeforeAndAfterItIsLevel(engine: Engine) async throws {
        try await HubSite.with(engine) {
            $0.page = 10
        } _: { site in
            let account = UUID()
            try await site.send((1...99).map { .ended("other \($0)") } + [.ended("mine")], to: account)
            let client = try await HubClient(site.hub, account, since: 0, filter: EventFilter(taskIds: ["mine"], types: ["task.completed"]))
            #expect(try await client.take(to: 100).map(\.sequence) == [100])
            try await site.send([.ended("other"), .progress("mine", 3), .ended("mine")], to: account)
            #expect(try await client.take(to: 103).map(\.sequence) == [103])
        }
    }

    @Test(arguments: Engine.underTest)
    func anAccountHasOnlySoManyClients(engine: Engine) async throws {
        try await HubSite.with(engine) {
            $0.perAccount = 2
        } _: { site in
            let account = UUID()
            let first = try await HubClient(site.hub, account)
            _ = try await HubClient(site.hub, account)
            let error = await #expect(throws: DriveError.self) { _ = try await HubClient(site.hub, account) }
            #expect(error?.code == .rateLimited)
            #expect(error?.details["maximum"] == .integer(2))
            _ = try await HubClient(site.hub, UUID())
            first.leave()
            _ = try await HubClient(site.hub, account)
            #expect(site.hub.subscriptionCount == 3)
        }
    }

    @Test(arguments: Engine.underTest)
    func whoeverIsRemovedGetsNothingMore(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            let (gone, stays) = (try await HubClient(site.hub, account), try await HubClient(site.hub, account))
            #expect(site.hub.isWatching(account))
            try await site.send([.ended("one")], to: account)
            _ = try await stays.take(to: 1)
            try await gone.bell.wait()
            gone.leave()
            gone.leave()
            #expect(site.hub.take(gone.subscription, atMost: 10).isEmpty)
            try await site.send([.ended("two")], to: account)
            _ = try await stays.take(to: 2)
            #expect(gone.bell.rings == 1)
            #expect(site.hub.take(gone.subscription, atMost: 10).isEmpty)
            #expect(site.hub.subscriptionCount == 1)
            stays.leave()
            #expect(!site.hub.isWatching(account))
            #expect(site.hub.subscriptionCount == 0)
            try await site.awaitNotifications()
            let pages = site.database.pages(of: account)
            try await site.send([.ended("three")], to: account)
            try await site.awaitNotifications()
            #expect(site.database.pages(of: account) == pages, "it is read for nobody")
        }
    }

    /// Clients that are level cost nothing, wherever they began.
    @Test(arguments: Engine.underTest)
    func anAccountWithoutNewEventsIsNotRead(engine: Engine) async throws {
        try await HubSite.with(engine) { site in
            let account = UUID()
            try await site.send((1...20).map { .ended("\($0)") }, to: account)
            var clients: [HubClient] = []
            for since in [nil, 0, 10, 20, 21] as [Int64?] { clients.append(try await HubClient(site.hub, account, since: since)) }
            clients.append(try await HubClient(site.hub, account, since: 0, filter: EventFilter(taskIds: [])))
            try await site.send([.ended("next")], to: account)
            for client in clients.dropLast() { _ = try await client.take(to: 21) }
            try await eventually { clients.allSatisfy { $0.subscription.position == 21 } }
            try await site.expectQuiet(account)
        }
    }
}
