import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// Brings the accounts' own events from the outbox to an external RingService, for the pages that are open there.
///
/// One server, the leader, does so for all accounts: in order per account, each event at least once. How far it came is
/// written about once a second, so after a crash the last second may come twice. Where the gateway takes nothing, nothing is
/// passed over but what got older than ``ForwardRule/maximumAge`` meanwhile.
public final class PacketForwarder: Sendable {
    /// How it paces itself.
    public struct Pace: Sendable {
        /// Accounts that are forwarded at the same time.
        public var parallel = 16
        /// Events that are read at once.
        public var page = 64
        /// How long one account's turn may take before those that wait have theirs.
        public var turn: Duration = .seconds(1)
        /// Accounts that may wait; more are left to the look.
        public var capacity = 20_000
        /// Accounts looked for by one statement.
        public var portion = 500
        /// How often the latest events are looked at, for what was not told.
        public var lookInterval: Duration = .seconds(30)
        /// How far back: more than the interval, and more than the clocks of the servers disagree.
        public var lookBack: Duration = .seconds(120)
        /// How often it is written how far the accounts came, where they moved.
        public var writing: Duration = .seconds(1)
        /// How often a leader shows a sign of life at least, and how often the others look for it.
        public var renewal: Duration = .seconds(3)
        /// How long a leader that shows none is left to lead.
        public var lease: Duration = .seconds(12)
        /// How long before that it stops by itself; more than `farewell`.
        public var margin: Duration = .seconds(3)
        /// How long what is on its way may take when it stops.
        public var farewell: Duration = .seconds(1)
        /// After the database failed.
        public var patience: Duration = .seconds(1)

        public init() {}
    }

    static let leadershipName = "ring forwarding"

    private let directory: RingDirectory
    private let gateway: any RingGateway
    private let holder: String
    private let localIssuer: String
    private let isAlone: Bool
    private let pace: Pace
    private let logger: Logger
    private let steady: @Sendable () -> ContinuousClock.Instant
    private let term = Mutex<ForwardingTerm?>(nil)
    private let signal = WakeSignal()

    /// - Parameters:
    ///   - gateway: answers within a time of its own, and soon where its Swift task is cancelled.
    ///   - server: names this process among all of them, anew at each start.
    ///   - localIssuer: the issuer of Drive's own accounts, which are called by their id.
    ///   - isAlone: that no other process can be at the database, as over SQLite: the lead is taken at once.
    ///   - steady: the clock that nobody sets; leases and waits are measured by it.
    public init(
        directory: RingDirectory, gateway: any RingGateway, server: String, localIssuer: String, isAlone: Bool = false, pace: Pace = Pace(),
        logger: Logger,
        steady: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.directory = directory
        self.gateway = gateway
        holder = server
        self.localIssuer = localIssuer
        self.isAlone = isAlone
        self.pace = pace
        self.logger = logger
        self.steady = steady
    }

    /// Whether this server is the one that forwards.
    public var isLeading: Bool { term.withLock { $0 != nil } }

    /// Runs until the Swift task is cancelled; then it gives up the lead. Throws where nothing can be listened to.
    public func run() async throws {
        let listener = try directory.database.listen(to: [EventOutbox.channel, RingDirectory.leadershipChannel])
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                for await element in listener.elements { hear(element) }
            }
            group.addTask { [self] in await serve() }
            await withTaskCancellationHandler {
                await group.next()
            } onCancel: {
                signal.signal()
                Task { await listener.close() }
            }
            group.cancelAll()
            signal.signal()
        }
        await listener.close()
    }

    private func hear(_ element: DatabaseNotification) {
        let term = term.withLock { $0 }
        switch element {
        case .notification(EventOutbox.channel, let account):
            if let account = UUID(uuidString: account) { term?.tell(account) }
        case .notification: signal.signal()
        case .reconnected:
            term?.look(.everything)
            signal.signal()
        }
    }

    /// Waits for the lead, leads, and waits for it again where it was lost.
    private func serve() async {
        var watch = LeadershipWatch(lease: pace.lease, isAlone: isAlone)
        while !Task.isCancelled {
            do {
                if let term = try await lead(&watch) {
                    self.term.withLock { $0 = term }
                    await term.run()
                    self.term.withLock { $0 = nil }
                    await term.leave()
                }
            } catch {
                logger.debug("nobody can begin to forward events now", metadata: ["error": "\(error)"])
            }
            await signal.waitUnlessCancelled(atMost: pace.renewal)
        }
    }

    private func lead(_ watch: inout LeadershipWatch) async throws -> ForwardingTerm? {
        let row = try await directory.leadership(Self.leadershipName)
        let start = steady()
        guard watch.mayTake(row, me: holder, now: start),
            let since = try await directory.takeLeadership(Self.leadershipName, holder: holder, seen: row)
        else { return nil }
        return ForwardingTerm(
            directory: directory, gateway: gateway, holder: holder, localIssuer: localIssuer, since: since, start: start, pace: pace,
            logger: logger, steady: steady)
    }
}

extension WakeSignal {
    /// Returns at a signal, after `limit`, or where the Swift task is cancelled.
    func waitUnlessCancelled(atMost limit: Duration) async {
        await withTaskCancellationHandler {
            await wait(atMost: limit)
        } onCancel: {
            signal()
        }
    }
}
