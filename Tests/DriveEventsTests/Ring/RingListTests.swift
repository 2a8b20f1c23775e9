import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// The list of past notifications and the preferences, over each engine.
@Suite(.timeLimit(.minutes(1))) struct RingListTests {
    @Test(arguments: Engine.underTest) func marksAreSetAndTakenAway(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            for account in [anna, bert] {
                try await site.send((1...5).map { .completed("\($0)") }, to: account)
                _ = try await site.directory.dispatch(account, enqueue: RingSite.enqueue)
            }
            let all = try await site.list(anna)
            #expect(all.map(\.sequence) == [5, 4, 3, 2, 1] && all.allSatisfy { $0.readAt == nil })
            #expect(all[0].body == "5" && all[0].taskId == "5" && all[0].meta["event"] == "task.completed")
            // Another's id changes nothing.
            let foreign = try await site.list(bert)[0].id
            #expect(try await site.directory.mark(.ids([all[0].id, foreign, UUID()]), read: true, of: anna) == 1)
            #expect(try await site.directory.mark(.ids([all[0].id]), read: true, of: anna) == 0)
            #expect(try await site.directory.mark(.upTo(2), read: true, of: anna) == 2)
            #expect(try await site.directory.mark(.ids([]), read: true, of: anna) == 0)
            let unread = try await site.directory.notifications(of: anna, unreadOnly: true, offset: 0, limit: 10)
            #expect(unread.items.map(\.sequence) == [4, 3] && unread.total == 2 && unread.unread == 2)
            let page = try await site.directory.notifications(of: anna, unreadOnly: false, offset: 1, limit: 2)
            #expect(page.items.map(\.sequence) == [4, 3] && page.total == 5 && page.unread == 2)
            #expect(try await site.directory.mark(.upTo(.max), read: false, of: anna) == 3)
            #expect(try await site.directory.notifications(of: anna, unreadOnly: true, offset: 0, limit: 10).total == 5)
            #expect(try await site.directory.notifications(of: bert, unreadOnly: true, offset: 0, limit: 10).total == 5)
        }
    }

    @Test(arguments: Engine.underTest) func oldOnesArePruned(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            for round in 1...3 {
                try await site.send([.completed("\(round)")], to: account)
                _ = try await site.directory.dispatch(account, enqueue: RingSite.enqueue)
                site.clock.advance(by: .seconds(100))
            }
            let cutoff = site.clock.now - .seconds(150)
            let removed = try await site.database.write { try RingDirectory.pruneNotifications(before: cutoff, limit: 1, in: $0) }
            #expect(removed == 1)
            let rest = try await site.database.write { try RingDirectory.pruneNotifications(before: cutoff, limit: 10, in: $0) }
            #expect(rest == 1)
            #expect(try await site.list(account).map(\.sequence) == [3])
        }
    }

    @Test(arguments: Engine.underTest) func preferencesKeepWhatIsNotNamed(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            #expect(try await site.directory.preferences(of: account) == NotificationPreferences())
            _ = try await site.directory.setPreferences([.uploadCompleted: .off, .taskCancelled: .push], of: account)
            let changed = try await site.directory.setPreferences([.uploadCompleted: .list], of: account)
            #expect(changed[.uploadCompleted] == .list && changed[.taskCancelled] == .push && changed[.taskFailed] == .push)
            #expect(try await site.directory.preferences(of: account) == changed)
            #expect(try await site.directory.preferences(of: UUID()).all.count == NotificationKind.allCases.count)
            // A kind of a newer program is passed over.
            _ = try await site.database.write { sql in
                try sql.execute(
                    "INSERT INTO ring_preferences (account_id, kind, delivery) VALUES ($1, 'new.kind', 'push')", [.uuid(account)])
            }
            #expect(try await site.directory.preferences(of: account) == changed)
        }
    }
}
