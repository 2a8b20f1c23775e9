import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// The time in which this server is the one that forwards events. How it sends stands in an extension.
final class ForwardingTerm: Sendable {
    /// What is to be looked at beside the accounts that were told of.
    enum Look: Int {
        case latest, everything
    }

    struct State {
        var queue: ForwardQueue
        /// How far accounts came, as far as that is not written.
        var cursors: [UUID: Int64] = [:]
        var outage: GatewayOutage?
        /// Raised by each failure of the gateway: what began to send before it stops.
        var round = 0
        /// When the last sign of life was given that arrived.
        var renewed: ContinuousClock.Instant
        /// From here on nothing is sent: another server may soon lead.
        var lapses: ContinuousClock.Instant
        var look: Look? = .everything
        var refusals = SparseLog()
        var troubles = SparseLog()
    }

    let directory: RingDirectory
    let gateway: any RingGateway
    let localIssuer: String
    let since: Timestamp
    let pace: PacketForwarder.Pace
    let logger: Logger
    let steady: @Sendable () -> ContinuousClock.Instant
    let state: Mutex<State>
    /// There may be something to send.
    let wake = WakeSignal()
    private let holder: String
    private let lookWake = WakeSignal()

    /// - Parameters:
    ///   - since: what was created before it is not forwarded.
    ///   - start: before the lead was taken.
    init(
        directory: RingDirectory, gateway: any RingGateway, holder: String, localIssuer: String, since: Timestamp,
        start: ContinuousClock.Instant, pace: PacketForwarder.Pace, logger: Logger,
        steady: @escaping @Sendable () -> ContinuousClock.Instant
    ) {
        self.directory = directory
        self.gateway = gateway
        self.holder = holder
        self.localIssuer = localIssuer
        self.since = since
        self.pace = pace
        self.logger = logger
        self.steady = steady
        state = Mutex(
            State(queue: ForwardQueue(capacity: pace.capacity), renewed: start, lapses: start + pace.lease - pace.margin))
    }

    /// Runs until the Swift task is cancelled or the lead is lost. `leave` must follow.
    func run() async {
        logger.info("this server forwards events to the external RingService")
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in await sendForEver() }
            group.addTask { [self] in await lookForEver() }
            group.addTask { [self] in await renewForEver() }
            group.addTask { [self] in await watchLease() }
            await group.next()
            group.cancelAll()
        }
    }

    // MARK: What is to be looked at

    /// The account has new events.
    func tell(_ account: UUID) {
        let hasRoom = state.withLock { $0.queue.add(account) }
        // How long until there is room, nobody knows.
        if hasRoom { wake.signal() } else { look(.everything) }
    }

    func look(_ wanted: Look) {
        state.withLock { state in
            if wanted.rawValue > state.look?.rawValue ?? -1 { state.look = wanted }
        }
        lookWake.signal()
    }

    private func lookForEver() async {
        lookWake.signal()
        while !Task.isCancelled {
            await lookWake.waitUnlessCancelled(atMost: pace.lookInterval)
            let look = state.withLock { state in
                defer { state.look = nil }
                return state.look ?? .latest
            }
            do {
                try await search(look)
            } catch {
                report(error, "events to be forwarded cannot be looked for now")
                self.look(look)
                try? await Task.sleep(for: pace.patience)
            }
        }
    }

    private func search(_ look: Look) async throws {
        let now = directory.surroundings.now()
        var start = ForwardRule.oldest(since: since, now: now)
        if look == .latest { start = max(start, now - pace.lookBack) }
        var last: UUID?
        while !Task.isCancelled {
            let page = try await directory.accountsToForward(since: start, after: last, limit: pace.portion)
            for account in page {
                // What waits is bounded: while the gateway takes nothing, the rest is found later.
                while !state.withLock({ $0.queue.add(account) }) {
                    state.withLock { $0.look = .everything }
                    guard (try? await Task.sleep(for: pace.patience)) != nil else { return }
                }
            }
            wake.signal()
            guard page.count == pace.portion else { return }
            last = page.last
        }
    }

    // MARK: The lead

    private func renewForEver() async {
        while (try? await Task.sleep(for: pace.writing)) != nil {
            let start = steady()
            let (cursors, renewed) = state.withLock { ($0.cursors, $0.renewed) }
            guard !cursors.isEmpty || start - renewed >= pace.renewal else { continue }
            do {
                guard
                    try await directory.keepLeadership(PacketForwarder.leadershipName, holder: holder, cursors: cursors)
                else { return logger.warning("another server forwards events now: this one was taken for lost") }
                state.withLock { state in
                    state.renewed = start
                    state.lapses = start + pace.lease - pace.margin
                    for (account, sequence) in cursors where state.cursors[account] == sequence { state.cursors[account] = nil }
                }
            } catch {
                report(error, "how far events were forwarded cannot be written now")
            }
        }
    }

    /// Ends before another server may take the lead, whatever hangs.
    private func watchLease() async {
        while !Task.isCancelled {
            let rest = state.withLock { $0.lapses } - steady()
            guard rest > .zero else { return logger.warning("events are not forwarded now: the lead could not be renewed in time") }
            try? await Task.sleep(for: min(rest, pace.patience))
        }
    }

    /// Writes how far it came, and gives up the lead. Where that fails, another server takes it when it expires.
    func leave() async {
        let cursors = state.withLock { $0.cursors }
        do {
            // Not the cancelled task's.
            _ = try await Task { [directory, holder] in
                try await directory.keepLeadership(PacketForwarder.leadershipName, holder: holder, cursors: cursors, isLast: true)
            }.value
        } catch {
            logger.warning("the lead in forwarding events is left to expire", metadata: ["error": "\(error)"])
        }
    }

    func report(_ error: any Error, _ message: Logger.Message) {
        let now = steady()
        guard state.withLock({ $0.troubles.say(at: now) }) != nil else { return }
        logger.warning(message, metadata: ["error": "\(error)"])
    }
}
