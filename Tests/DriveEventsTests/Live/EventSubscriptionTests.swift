import Foundation
import Testing

@testable import DriveEvents

/// The number with which a client would come back that got what was taken for it, and no more.
@Suite struct EventSubscriptionTests {
    private static func subscription(_ filter: EventFilter = .all) -> EventSubscription {
        EventSubscription(
            account: UUID(), device: nil, id: 1, filter: filter, position: 10, latest: 15, queue: EventQueue(capacity: 3), ready: {})
    }

    /// Takes one event; its number, and where the client would go on after it.
    private static func next(_ client: EventSubscription) -> [Int64?] {
        [client.take(atMost: 1).events.first?.sequence, client.taken]
    }

    /// What waits is not counted, nor what found no room. What newer progress replaced never comes.
    @Test func whatWaitsWasNotTaken() {
        let client = Self.subscription()
        #expect(client.taken == 10)
        #expect(client.beginReading() == 10)
        let page: [LiveEvent] = [
            .progress(11, of: "a"), .completed(12, of: "b"), .progress(13, of: "a"), .completed(14, of: "a"), .completed(15, of: "c"),
        ]
        #expect(!client.endReading(page, end: 15) { _ in true })
        #expect(client.position == 14 && client.taken == 11, "the first that waits is 12")
        #expect(Self.next(client) == [12, 12])
        #expect(Self.next(client) == [13, 13])
        #expect(Self.next(client) == [14, 14])
        #expect(Self.next(client) == [nil, 14], "15 is read later")
        #expect(client.beginReading() == 14)
    }

    /// The number moves on over what the client does not want, up to what it waits for.
    @Test func whatIsNotWantedIsPassedOver() {
        let client = Self.subscription(EventFilter(types: ["task.completed"]))
        #expect(client.beginReading() == 10)
        #expect(!client.endReading([.progress(11, of: "a"), .progress(12, of: "b")], end: 12) { _ in true })
        #expect(client.taken == 12)
        #expect(!client.offer([.progress(13, of: "a"), .completed(14, of: "a"), .progress(15, of: "b")]))
        #expect(client.position == 15 && client.taken == 13)
        #expect(Self.next(client) == [14, 15])
    }
}
