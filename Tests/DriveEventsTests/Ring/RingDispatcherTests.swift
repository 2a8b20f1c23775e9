import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Synchronization
import Testing

@testable import DriveEvents

/// The dispatcher and the board of presence as they run.
@Suite(.timeLimit(.minutes(1))) struct RingDispatcherTests {
    private func running(
        _ site: RingSite, look: Duration = .seconds(600), database: (any Database)? = nil, _ body: () async throws -> Void
    ) async throws {
        var pace = RingDispatcher.Pace()
        pace.gathering = .milliseconds(1)
        pace.lookInterval = look
        pace.patience = .milliseconds(5)
        let dispatcher = RingDispatcher(
            database: database ?? site.database, directory: site.directory, pace: pace, logger: Engine.logger, enqueue: RingSite.enqueue)
        let run = Task { try await dispatcher.run() }
        let result: Result<Void, any Error>
        do {
            try await body()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        run.cancel()
        // It ends, whatever it waits for.
        try await run.value
        try result.get()
    }

    @Test(arguments: Engine.underTest) func whatWasThereAndWhatComesIsTold(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            _ = try await site.register(anna, 1)
            try await site.send([.completed("before")], to: anna)
            try await running(site) {
                try await eventually { try await site.pushes().map(\.sequence) == [1] }
                try await site.send([.completed("after")], to: anna)
                try await site.send([.completed("another's")], to: bert)
                try await eventually { try await site.pushes().map(\.sequence) == [1, 2] }
                try await eventually { try await site.list(bert).count == 1 }
            }
        }
    }

    @Test(arguments: Engine.underTest) func whatIsNotToldIsFoundByTheLook(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            // It listens where nobody says anything.
            let deaf = TroubledDatabase(site.database)
            deaf.swallowNotifications()
            let account = UUID()
            _ = try await site.register(account, 1)
            try await running(site, look: .milliseconds(20), database: deaf) {
                for round in 1...3 as ClosedRange<Int64> {
                    try await site.send([.completed("\(round)")], to: account)
                    try await eventually { try await site.pushes().count == Int(round) }
                }
            }
        }
    }

    @Test(arguments: Engine.underTest) func presenceIsToldAndEnds(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            let board = PresenceBoard(directory: site.directory, server: "one", logger: Engine.logger)
            func isWatching() async throws -> Bool {
                let now = site.clock.now
                return try await site.database.read { try RingDirectory.isWatching(account, now: now, in: $0) }
            }
            let run = Task { await board.run() }
            board.enter(account)
            try await eventually { try await isWatching() }
            // Two clients: the second one is still there.
            board.enter(account)
            board.leave(account)
            await board.tell(renewing: false)
            #expect(try await isWatching())
            board.leave(account)
            try await eventually { try await !isWatching() }
            // One too many does no harm.
            board.leave(account)
            board.enter(account)
            try await eventually { try await isWatching() }
            // A renewal holds on.
            site.clock.advance(by: .seconds(59))
            await board.tell(renewing: true)
            site.clock.advance(by: .seconds(59))
            #expect(try await isWatching())
            run.cancel()
            await run.value
            #expect(try await !isWatching())
        }
    }
}
