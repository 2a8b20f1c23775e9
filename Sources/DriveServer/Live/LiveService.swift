import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation
import Logging
import ServiceLifecycle

/// The streams of events: the hub that reads them, the clients that listen, and how one joins.
final class LiveService: Service {
    let hub: EventHub
    let sessions: LiveSessions
    private let database: any Database
    private let tasks: TaskService

    /// Open tasks that a snapshot shows.
    static let mostInSnapshot = 500

    init(database: any Database, tasks: TaskService, surroundings: Surroundings, logger: Logger) {
        self.database = database
        self.tasks = tasks
        hub = EventHub(database: database, logger: logger)
        sessions = LiveSessions(database: database, surroundings: surroundings, logger: logger)
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown { [hub, sessions] in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await hub.run() }
                group.addTask { await sessions.run() }
                try await group.waitForAll()
            }
        }
    }

    /// A client that joined.
    struct Joined: Sendable {
        var subscription: EventSubscription
        var ready: LivePackets.Ready
        /// Nil where it goes on where it was.
        var snapshot: LivePackets.Snapshot?
    }

    /// Adds a client of an account. Throws `TASK_NOT_FOUND` for tasks that are not the account's, `RATE_LIMITED`.
    ///
    /// - Parameter ready: told when there are events to take; from any thread, and it must not block.
    func join(_ identity: Identity, _ options: LiveOptions, ready: @escaping @Sendable () -> Void) async throws -> Joined {
        try await checkOwned(options.filter, by: identity)
        let (subscription, beginning) = try await hub.subscribe(
            identity.accountId, device: options.deviceId, since: options.since, filter: options.filter, ready: ready)
        do {
            var joined = Joined(
                subscription: subscription,
                ready: LivePackets.Ready(
                    account: identity.accountId, sequence: subscription.beginning, latest: subscription.latest, beginning: beginning,
                    filter: options.filter))
            if beginning != .resumed {
                // After the position was taken: what it shows may come once more as an event, and nothing is missing.
                let open = try await tasks.openTasks(
                    options.filter.taskIds, limit: Self.mostInSnapshot, in: .account(identity.accountId))
                joined.snapshot = LivePackets.Snapshot(
                    sequence: subscription.beginning, tasks: open.items, isComplete: open.items.count == open.total)
            }
            return joined
        } catch {
            hub.remove(subscription)
            throw error
        }
    }

    /// Throws `TASK_NOT_FOUND`, naming the first of them, where the filter names tasks that are not the account's.
    func checkOwned(_ filter: EventFilter, by identity: Identity) async throws {
        guard let ids = filter.taskIds else { return }
        try await tasks.expectTasks(ids, in: .account(identity.accountId))
    }
}
