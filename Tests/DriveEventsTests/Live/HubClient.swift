import DriveEvents
import EngineTestSupport
import Foundation

/// A client of a hub that relies on `ready` alone: after it took less than it asked for it waits to be told.
final class HubClient: Sendable {
    let hub: EventHub
    let subscription: EventSubscription
    let beginning: EventHub.Beginning
    let bell: Doorbell

    /// It waited to be told, and in time it was not.
    struct NothingCame: Error {
        let beginning: Int64
        let position: Int64
        let last: Int64?
    }

    init(_ hub: EventHub, _ account: UUID, since: Int64? = nil, filter: EventFilter = .all) async throws {
        let bell = Doorbell()
        self.hub = hub
        self.bell = bell
        (subscription, beginning) = try await hub.subscribe(account, since: since, filter: filter) { bell.ring() }
    }

    /// Takes until an event fulfils the condition, that one included.
    /// - Parameters:
    ///   - patience: with each wait to be told.
    ///   - pause: what the client does between two takes, after which it takes on as any other.
    func take(
        atMost limit: Int = 64, within patience: Duration = .seconds(20), until isLast: (LiveEvent) -> Bool,
        pause: () async throws -> Void = {}
    ) async throws -> [LiveEvent] {
        var all: [LiveEvent] = []
        while true {
            let events = hub.take(subscription, atMost: limit)
            all += events
            if events.contains(where: isLast) { return all }
            try await pause()
            guard events.count < limit else { continue }
            do {
                try await bell.wait(within: patience)
            } catch {
                throw NothingCame(beginning: subscription.beginning, position: subscription.position, last: all.last?.sequence)
            }
        }
    }

    /// Takes up to the event of this number, which must not be progress.
    func take(to sequence: Int64, atMost limit: Int = 64, within patience: Duration = .seconds(20)) async throws -> [LiveEvent] {
        try await take(atMost: limit, within: patience, until: { $0.sequence >= sequence })
    }

    func leave() { hub.remove(subscription) }
}
