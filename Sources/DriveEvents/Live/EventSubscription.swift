import DriveModel
import Foundation
import Synchronization

/// One client's place in the stream of its account's events.
///
/// The hub puts events in; the client's connection takes them out when it has room for them. Every event that its filter
/// admits comes once and in order, but for superseded progress.
public final class EventSubscription: Sendable {
    public let account: UUID
    /// The client's device: what is for another one passes it by.
    public let device: String?
    let id: Int
    /// Events follow after this one; `position` moves on from here at once.
    public let beginning: Int64
    /// The account's last event when it began: what comes up to this one happened before.
    public let latest: Int64
    /// Told when there is something to take. From any thread; it must not block.
    private let ready: @Sendable () -> Void
    private let state: Mutex<State>

    private struct State {
        var filter: EventFilter
        var queue: EventQueue
        /// All events up to this one are in the queue, were taken, or are not wanted.
        var position: Int64
        var phase = Phase.behind
        /// `ready` was told, and nobody has taken since.
        var isTold = false
    }

    private enum Phase {
        /// Gets events as they come.
        case live
        /// There was no room for one: it reads on from the outbox once what waits was taken.
        case behind
        /// It is being read for.
        case reading
        /// Events it had not got were removed from the outbox.
        case lost
        case closed
    }

    init(
        account: UUID, device: String?, id: Int, filter: EventFilter, position: Int64, latest: Int64, queue: EventQueue,
        ready: @escaping @Sendable () -> Void
    ) {
        self.account = account
        self.device = device
        self.id = id
        beginning = position
        self.latest = latest
        self.ready = ready
        state = Mutex(State(filter: filter, queue: queue, position: position))
    }

    /// The number of the last event that was put in for the client, or that it does not want.
    public var position: Int64 { state.withLock { $0.position } }

    /// All events up to this one were taken, or are not wanted: who has what was taken and no more goes on after it.
    public var taken: Int64 { state.withLock { state in state.queue.first.map { $0.sequence - 1 } ?? state.position } }

    /// Events it had not got were removed meanwhile: nothing follows what waits still, and the client must come back.
    public var isLost: Bool { state.withLock { $0.phase == .lost } }

    // MARK: The client's side

    /// Other events from here on; what waits already comes still.
    public func setFilter(_ filter: EventFilter) { state.withLock { $0.filter = filter } }

    /// What is next, at most `limit` events. Where it is less than that, `ready` tells of more.
    ///
    /// - Returns: the events, and whether the owner must call the hub to read on.
    func take(atMost limit: Int) -> (events: [LiveEvent], isStarved: Bool) {
        state.withLock { state in
            var events: [LiveEvent] = []
            while events.count < limit, let event = state.queue.popFirst() { events.append(event) }
            if state.queue.isEmpty { state.isTold = false }
            return (events, state.phase == .behind && state.queue.isEmpty)
        }
    }

    func close() {
        state.withLock { state in
            state.phase = .closed
            state.queue = EventQueue(capacity: 0, maximumBytes: 0)
        }
    }

    // MARK: The hub's side

    /// Puts live events in, in order; those that it has already are passed over, and a gap is not taken: it falls behind.
    ///
    /// - Returns: whether it must be read on for at once: it fell behind, and has nothing to take.
    func offer(_ events: [LiveEvent]) -> Bool {
        let (tells, isStarved) = state.withLock { state -> (Bool, Bool) in
            guard state.phase == .live else { return (false, false) }
            for event in events where event.sequence > state.position {
                guard event.sequence == state.position + 1, !admits(event, state.filter) || state.queue.append(event) else {
                    state.phase = .behind
                    break
                }
                state.position = event.sequence
            }
            return (Self.tells(&state), state.phase == .behind && state.queue.isEmpty)
        }
        if tells { ready() }
        return isStarved
    }

    /// Where to read on from; nil where it is not behind, or somebody reads already.
    func beginReading() -> Int64? {
        state.withLock { state in
            guard state.phase == .behind else { return nil }
            state.phase = .reading
            return state.position
        }
    }

    /// Puts a page of the outbox in.
    ///
    /// - Parameters:
    ///   - end: the number of the page's last event, whether it is wanted or not.
    ///   - isLive: decides, with the position, whether live events follow without a gap.
    /// - Returns: whether it must be read on for at once: nothing of the page was wanted.
    func endReading(_ page: [LiveEvent], end: Int64, isLive: (Int64) -> Bool) -> Bool {
        let (tells, isStarved) = state.withLock { state -> (Bool, Bool) in
            guard state.phase == .reading else { return (false, false) }
            var isWhole = true
            for event in page where event.sequence > state.position {
                guard !admits(event, state.filter) || state.queue.append(event) else {
                    isWhole = false
                    break
                }
                state.position = event.sequence
            }
            if isWhole { state.position = max(state.position, end) }
            state.phase = isWhole && isLive(state.position) ? .live : .behind
            return (Self.tells(&state), state.phase == .behind && state.queue.isEmpty)
        }
        if tells { ready() }
        return isStarved
    }

    /// What comes next for it is gone.
    func lose() {
        let isLost = state.withLock { state in
            guard state.phase == .reading else { return false }
            state.phase = .lost
            return true
        }
        if isLost { ready() }
    }

    /// The database did not answer; it stays behind.
    func failReading() {
        state.withLock { if $0.phase == .reading { $0.phase = .behind } }
    }

    /// Whether it waits to be read for, with nothing to take meanwhile.
    var isStarved: Bool { state.withLock { $0.phase == .behind && $0.queue.isEmpty } }

    private func admits(_ event: LiveEvent, _ filter: EventFilter) -> Bool {
        if let addressee = event.relay?.deviceId, addressee != device { return false }
        return filter.admits(event)
    }

    private static func tells(_ state: inout State) -> Bool {
        guard !state.queue.isEmpty, !state.isTold else { return false }
        state.isTold = true
        return true
    }
}
