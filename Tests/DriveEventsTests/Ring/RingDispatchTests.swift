import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// From the outbox into the list and the queue, over each engine.
@Suite(.timeLimit(.minutes(2))) struct RingDispatchTests {
    @Test(arguments: Engine.underTest) func eachEventIsToldOnceToEachDevice(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            let devices = [try await site.register(anna, 1).id, try await site.register(anna, 2).id]
            _ = try await site.register(bert, 3)
            try await site.send([.step("a"), .completed("a"), .uploaded("b"), .step("c")], to: anna)
            let first = try await site.directory.dispatch(anna, enqueue: RingSite.enqueue)
            #expect(first == .init(notifications: 2, pushes: 4))
            #expect(try await site.cursor(anna) == 4)
            let again = try await site.directory.dispatch(anna, enqueue: RingSite.enqueue)
            #expect(again == .init())
            try await site.send([.completed("d")], to: anna)
            _ = try await site.directory.dispatch(anna, enqueue: RingSite.enqueue)
            let expected = [2, 3, 5].flatMap { number in devices.map { RingSite.Enqueued(device: $0, sequence: number) } }.sorted()
            #expect(try await site.pushes() == expected)
            #expect(try await site.list(anna).map(\.sequence) == [5, 3, 2])
            #expect(try await site.list(bert).isEmpty)
        }
    }

    /// What the transaction enqueued goes with it: the cursor stands where it stood, and the next one does all of it.
    @Test(arguments: Engine.underTest) func aTransactionThatFailsLeavesNothing(engine: Engine) async throws {
        struct Failure: Error {}
        try await RingSite.with(engine) { site in
            let account = UUID()
            _ = try await site.register(account, 1)
            try await site.send([.completed("a"), .completed("b")], to: account)
            await #expect(throws: Failure.self) {
                try await site.directory.dispatch(account) { pushes, sql in
                    try RingSite.enqueue(pushes, sql)
                    throw Failure()
                }
            }
            #expect(try await site.pushes().isEmpty)
            #expect(try await site.list(account).isEmpty)
            _ = try await site.directory.dispatch(account, enqueue: RingSite.enqueue)
            #expect(try await site.pushes().map(\.sequence) == [1, 2])
        }
    }

    /// Several servers at once, while events come: each is told once.
    @Test(arguments: Engine.underTest) func severalServersTellEachEventOnce(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.page = 3
        } _: { site in
            let account = UUID()
            let device = try await site.register(account, 1).id
            let count = 60
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 1...count { try await site.send([.completed("\(number)")], to: account) }
                }
                for _ in 0..<3 {
                    group.addTask {
                        for _ in 0..<40 { _ = try await site.directory.dispatch(account, enqueue: RingSite.enqueue) }
                    }
                }
                try await group.waitForAll()
            }
            while try await site.directory.dispatch(account, enqueue: RingSite.enqueue)?.isMore == true {}
            let expected = (1...Int64(count)).map { RingSite.Enqueued(device: device, sequence: $0) }
            #expect(try await site.pushes() == expected)
            #expect(try await site.list(account).count == count)
            #expect(try await site.cursor(account) == Int64(count))
        }
    }

    @Test(arguments: Engine.underTest) func aLongBacklogIsToldPageByPage(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.page = 4
            $0.notifications = 6
        } _: { site in
            let account = UUID()
            try await site.send((1...10).map { .completed("\($0)") }, to: account)
            var pages = 0
            while let page = try await site.directory.dispatch(account, enqueue: RingSite.enqueue) {
                pages += 1
                if !page.isMore { break }
            }
            #expect(pages == 3)
            // Of more than six the oldest went.
            #expect(try await site.list(account).map(\.sequence) == [10, 9, 8, 7, 6, 5])
        }
    }

    @Test(arguments: Engine.underTest) func whoWatchesIsNotPushed(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            _ = try await site.register(account, 1)
            let soon = site.clock.now + .seconds(60)
            let here: Set = [PresenceBoard.Presence(account: account, place: .foreground)]
            try await site.directory.notePresence(on: "one", here: here, gone: [], until: soon)
            try await site.send([.uploaded("a"), .completed("b")], to: account)
            let watched = try await site.directory.dispatch(account, enqueue: RingSite.enqueue)
            #expect(watched == .init(notifications: 1, pushes: 0))
            // Another server's word does not count for this one's; the last to leave ends it.
            try await site.directory.notePresence(on: "two", here: here, gone: [], until: soon)
            try await site.directory.notePresence(on: "one", here: [], gone: here, until: soon)
            try await site.send([.completed("c")], to: account)
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue)?.pushes == 0)
            // The server died.
            site.clock.advance(by: .seconds(61))
            try await site.send([.completed("d")], to: account)
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue)?.pushes == 1)
        }
    }

    @Test(arguments: Engine.underTest) func aDisabledAccountIsListedAndNotPushed(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            let now = site.clock.now
            _ = try await site.database.write { sql in
                try sql.execute(
                    """
                    INSERT INTO accounts (id, issuer, subject, name, role, created_at, disabled_at)
                    VALUES ($1, 'i', 's', 'n', 'user', $2, $2)
                    """, [.uuid(account), .timestamp(now)])
            }
            _ = try await site.register(account, 1)
            try await site.send([.completed("a")], to: account)
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue) == .init(notifications: 1, pushes: 0))
        }
    }

    @Test(arguments: Engine.underTest) func onlyNewsAndAFarCursorAreWorthATransaction(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.lag = 5
        } _: { site in
            let (news, steps, far, quiet) = (UUID(), UUID(), UUID(), UUID())
            try await site.send([.step("a"), .completed("a")], to: news)
            try await site.send([.step("a")], to: steps)
            try await site.send((1...5).map { .step("\($0)") }, to: far)
            try await site.send([.completed("a")], to: quiet)
            _ = try await site.directory.dispatch(quiet, enqueue: RingSite.enqueue)
            let worth = try await site.directory.accountsWithNews(among: [news, steps, far, quiet, UUID()])
            #expect(Set(worth) == [news, far])
            #expect(try await site.directory.accountsWithNews(among: []).isEmpty)
            // The look goes through all that are behind, page by page, in the order of their ids.
            let behind = [news, steps, far].sorted { $0.lowercaseString < $1.lowercaseString }
            var found: [UUID] = []
            while true {
                let page = try await site.directory.accountsBehind(after: found.last, limit: 2)
                found += page
                if page.count < 2 { break }
            }
            #expect(found == behind)
            let (now, directory) = (site.clock.now, site.directory)
            #expect(try await directory.accountsWithNews(since: now - .seconds(10), after: nil, limit: 10) == [news])
            #expect(try await directory.accountsWithNews(since: now - .seconds(10), after: news, limit: 10).isEmpty)
            #expect(try await directory.accountsWithNews(since: now + .seconds(10), after: nil, limit: 10).isEmpty)
            _ = try await site.directory.dispatch(far, enqueue: RingSite.enqueue)
            #expect(try await site.cursor(far) == 5)
            #expect(try await site.directory.accountsWithNews(among: [far]).isEmpty)
        }
    }
}
