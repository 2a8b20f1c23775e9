import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// A hub that runs over a database of its own.
struct HubSite: Sendable {
    let database: TroubledDatabase
    let hub: EventHub

    /// Where nothing but notifications leads to what a test waits for.
    static let neverLook = Duration.seconds(600)

    /// Runs `body` beside a hub that listens already.
    /// - Parameter lookInterval: without a word the hub never looks by itself, so that whatever it misses stays missed.
    static func with(
        _ engine: Engine, lookInterval: Duration = neverLook, _ change: (inout EventHub.Limits) -> Void = { _ in },
        _ body: (HubSite) async throws -> Void
    ) async throws {
        var limits = EventHub.Limits()
        limits.lookInterval = lookInterval
        change(&limits)
        try await engine.with { [limits] base in
            let database = TroubledDatabase(base)
            let site = HubSite(database: database, hub: EventHub(database: database, limits: limits, logger: Engine.logger))
            let run = Task { try await site.hub.run() }
            let result: Result<Void, any Error>
            do {
                // Listening began, and what it began with is over.
                try await site.awaitNotifications()
                try await body(site)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            run.cancel()
            try await run.value
            try result.get()
        }
    }

    /// Until whatever was committed so far was told, for a later event of somebody else was. PostgreSQL tells those in any
    /// order that it tells at once, so a test may not fail where this returned too early.
    func awaitNotifications() async throws {
        let account = UUID()
        let witness = try await HubClient(hub, account)
        // Once it is live nothing but a notification brings the second.
        for sequence in 1...2 as ClosedRange<Int64> {
            try await send([.ended("witness")], to: account)
            _ = try await witness.take(to: sequence)
        }
        witness.leave()
    }

    /// That nobody reads the account's events any more, after what is under way.
    func expectQuiet(_ account: UUID) async throws {
        var pages = -1
        // A read or two may still be on its way; one that goes on and on makes a hundred in this time.
        for _ in 0..<5 where pages != database.pages(of: account) {
            pages = database.pages(of: account)
            try await awaitNotifications()
        }
        #expect(database.pages(of: account) == pages, "it is read on and on")
    }

    /// Commits events in one transaction; the number of the last.
    @discardableResult
    func send(_ events: [DriveEvent], to account: UUID, at time: Timestamp = ManualClock.start) async throws -> Int64 {
        try await database.write { sql in
            try EventOutbox.append(events, account: account, now: time, in: sql)
            return try EventOutbox.position(of: account, after: nil, in: sql).last
        }
    }

    /// All that was sent to an account after a number, as the outbox has it.
    func sent(to account: UUID, after start: Int64 = 0) async throws -> [LiveEvent] {
        try await database.write { sql in
            try sql.query(
                "SELECT sequence, type, task_id, data, relay FROM events WHERE account_id = $1 AND sequence > $2 ORDER BY sequence",
                [.uuid(account), .integer(start)]
            ).map { try LiveEvent($0) }
        }
    }
}

extension DriveEvent {
    static func progress(_ task: String, _ value: Int) -> DriveEvent {
        DriveEvent(type: "task.progress", taskId: task, data: ["progress": .integer(Int64(value))])
    }

    static func ended(_ task: String) -> DriveEvent {
        DriveEvent(type: "task.completed", taskId: task, data: ["taskId": .string(task)])
    }
}
