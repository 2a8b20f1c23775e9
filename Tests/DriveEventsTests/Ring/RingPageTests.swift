import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// What one transaction makes of events: how many, where they go, and what other programs send, over each engine.
@Suite(.timeLimit(.minutes(1))) struct RingPageTests {
    /// Of a burst some are pushed, the first ones, and all are listed; with many devices fewer.
    @Test(arguments: Engine.underTest, [(1, 20), (6, 20), (10, 12), (20, 6)])
    func aBurstIsListedAndRingsAFewTimes(engine: Engine, row: (devices: Int, pushed: Int)) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            for number in 1...row.devices { _ = try await site.register(account, number) }
            try await site.send((1...30).map { .completed("\($0)") }, to: account)
            let dispatched = try await site.directory.dispatch(account, enqueue: RingSite.enqueue)
            #expect(dispatched == .init(notifications: 30, pushes: row.pushed * row.devices))
            #expect(Set(try await site.pushes().map(\.sequence)) == Set(1...Int64(row.pushed)))
            #expect(try await site.list(account).count == 30)
            // It is over.
            try await site.send([.completed("later")], to: account)
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue)?.pushes == row.devices)
        }
    }

    @Test(arguments: Engine.underTest) func theFirstOneGoesToAllDevices(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.pushes = 2
        } _: { site in
            let account = UUID()
            for number in 1...3 { _ = try await site.register(account, number) }
            try await site.send([.completed("a"), .completed("b")], to: account)
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue) == .init(notifications: 2, pushes: 3))
        }
    }

    /// A page ends where its data would be too much, in bytes; an event that is too much by itself is a page.
    @Test(arguments: Engine.underTest) func aPageIsBoundedByItsData(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.pageBytes = 2500
        } _: { site in
            let account = UUID()
            // The data has it twice, at two bytes a character: one fits, two do not, though their characters would.
            let long = String(repeating: "é", count: 400)
            let huge = String(repeating: "é", count: 4000)
            try await site.send([long, long, huge, "a", "b"].map { .completed($0) }, to: account)
            var pages: [Int] = []
            while let page = try await site.directory.dispatch(account, enqueue: RingSite.enqueue) {
                pages.append(page.notifications)
                if !page.isMore { break }
            }
            #expect(pages == [1, 1, 1, 2])
            #expect(try await site.list(account).map(\.sequence) == [5, 4, 3, 2, 1])
            #expect(try await site.cursor(account) == 5)
        }
    }

    @Test(arguments: Engine.underTest) func anothersPacketIsNoNotification(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            _ = try await site.register(account)
            try await site.sendPacket(to: account)
            try await site.send([.completed("a")], to: account)
            try await site.sendPacket(to: account)
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue) == .init(notifications: 1, pushes: 1))
            #expect(try await site.list(account).map(\.sequence) == [2])
            #expect(try await site.cursor(account) == 3)
        }
    }

    // MARK: Another program's notifications

    private static func program(_ body: String, _ more: [String: JSONValue] = [:]) -> DriveEvent {
        DriveEvent(
            type: "notification.received", taskId: nil,
            data: ["topic": "news", "title": "Hello", "body": .string(body)].merging(more) { $1 })
    }

    @Test(arguments: Engine.underTest) func anotherProgramsNotificationGoesWhereItSays(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            _ = try await site.register(account)
            try await site.send(
                [
                    Self.program("kept", ["meta": ["room": 5], "actionUri": "https://a.example/b", "subtitle": "S"]),
                    Self.program("unsaved", ["isSavable": false]), Self.program("silent", ["isSilent": true]),
                ], to: account)
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue) == .init(notifications: 1, pushes: 3))
            #expect(try await site.bodies().sorted() == ["kept", "silent", "unsaved"])
            let listed = try await site.list(account)
            #expect(listed.map(\.body) == ["kept"] && listed[0].kind == "notification.received" && listed[0].meta == ["room": 5])
            #expect(listed[0].subtitle == "S" && listed[0].actionUri == "https://a.example/b")
            // Nothing of it again.
            #expect(try await site.directory.dispatch(account, enqueue: RingSite.enqueue) == .init())
        }
    }

    /// What the list does not keep is not lost in a burst: the page ends before it.
    @Test(arguments: Engine.underTest) func whatIsNotListedIsPushedWhateverTheirNumber(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.pushes = 2
            $0.burst = 1
        } _: { site in
            let account = UUID()
            _ = try await site.register(account)
            try await site.send((1...5).map { Self.program("\($0)", ["isSavable": false]) }, to: account)
            var pages: [Int] = []
            while let page = try await site.directory.dispatch(account, enqueue: RingSite.enqueue) {
                pages.append(page.pushes)
                if !page.isMore { break }
            }
            #expect(pages == [2, 2, 1])
            #expect(try await site.bodies().sorted() == ["1", "2", "3", "4", "5"])
            #expect(try await site.list(account).isEmpty)
        }
    }

    // MARK: The gateway

    @Test(arguments: Engine.underTest) func theGatewayGetsWhatIsPushed(engine: Engine) async throws {
        try await RingSite.with(engine, hasGateway: true) { site in
            let (anna, bert, gone) = (UUID(), UUID(), UUID())
            let device = try await site.register(anna).id
            let now = site.clock.now
            _ = try await site.database.write { sql in
                try sql.execute(
                    """
                    INSERT INTO accounts (id, issuer, subject, name, role, created_at, disabled_at)
                    VALUES ($1, 'i', 's', 'n', 'user', $2, $2)
                    """, [.uuid(gone), .timestamp(now)])
            }
            _ = try await site.directory.setPreferences([.taskCompleted: .list], of: bert)
            for account in [anna, bert, gone] {
                try await site.send([.completed("a"), .uploaded("b"), Self.program("c")], to: account)
            }
            // To the device and the gateway, and from a gateway to the device alone.
            #expect(try await site.directory.dispatch(anna, enqueue: RingSite.enqueue) == .init(notifications: 3, pushes: 5))
            let pushes = try await site.pushes()
            #expect(pushes.filter { $0.device == RingSite.gateway }.map(\.sequence) == [1, 2])
            #expect(pushes.filter { $0.device == device }.count == 3)
            // Also for an account without devices; what it wants in its list alone does not go out.
            #expect(try await site.directory.dispatch(bert, enqueue: RingSite.enqueue) == .init(notifications: 3, pushes: 1))
            #expect(try await site.directory.dispatch(gone, enqueue: RingSite.enqueue) == .init(notifications: 3, pushes: 0))
        }
    }
}
