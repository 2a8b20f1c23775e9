import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// Brings the accounts' events from the outbox into their lists of notifications and onto the way to their devices.
///
/// Each server does so for all accounts; the lock on an account's cursor makes that no more than a look for all but one of
/// them. Notifications of the database only say where to look: what is not told is found by a look at the latest events now
/// and then, and at all accounts at the start and after notifications that were missed.
public final class RingDispatcher: Sendable {
    /// How it paces itself.
    public struct Pace: Sendable {
        /// Accounts told of within this time are looked at together.
        public var gathering: Duration = .milliseconds(100)
        /// How often the latest events are looked at.
        public var lookInterval: Duration = .seconds(30)
        /// How far back: more than the interval, and more than the clocks of the servers disagree.
        public var lookBack: Duration = .seconds(900)
        /// After the database failed.
        public var patience: Duration = .seconds(1)
        /// Accounts looked at by one statement.
        public var portion = 200
        /// Accounts that may wait; more are left to the look.
        public var capacity = 20_000

        public init() {}
    }

    /// What is to be looked at beside the accounts that were told of.
    private enum Look: Int {
        case nothing, latest, everything
    }

    private struct State {
        var accounts: Set<UUID> = []
        var look = Look.everything

        mutating func want(_ wanted: Look) {
            if wanted.rawValue > look.rawValue { look = wanted }
        }
    }

    private let database: any Database
    private let directory: RingDirectory
    private let pace: Pace
    private let logger: Logger
    private let enqueue: EnqueuePushes
    private let state = Mutex(State())
    private let signal = WakeSignal()

    /// - Parameter enqueue: puts pushes into the queue of tasks, in the transaction it is given.
    public init(
        database: any Database, directory: RingDirectory, pace: Pace = Pace(), logger: Logger, enqueue: @escaping EnqueuePushes
    ) {
        self.database = database
        self.directory = directory
        self.pace = pace
        self.logger = logger
        self.enqueue = enqueue
    }

    /// Runs until the Swift task is cancelled. Throws where nothing can be listened to.
    public func run() async throws {
        let listener = try database.listen(to: [EventOutbox.channel])
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                for await element in listener.elements {
                    switch element {
                    case .notification(_, let account):
                        if let account = UUID(uuidString: account) { tell(account) }
                    case .reconnected: tell(.everything)
                    }
                }
            }
            group.addTask { [self] in
                while (try? await Task.sleep(for: pace.lookInterval)) != nil { tell(.latest) }
            }
            group.addTask { [self] in await work() }
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

    private func tell(_ account: UUID) {
        state.withLock { state in
            if state.accounts.count < pace.capacity { state.accounts.insert(account) } else { state.want(.latest) }
        }
        signal.signal()
    }

    private func tell(_ look: Look) {
        state.withLock { $0.want(look) }
        signal.signal()
    }

    private func work() async {
        signal.signal()
        while !Task.isCancelled {
            await signal.wait()
            guard (try? await Task.sleep(for: pace.gathering)) != nil else { return }
            do {
                try await pass()
            } catch {
                logger.warning("events cannot be looked at for notifications now", metadata: ["error": "\(error)"])
                guard (try? await Task.sleep(for: pace.patience)) != nil else { return }
                // What was taken and not done is found again.
                tell(.everything)
            }
        }
    }

    /// Looks at a portion of what was told of; for the rest it signals to itself.
    private func pass() async throws {
        let (accounts, look, isMore) = state.withLock { state in
            let taken = Array(state.accounts.prefix(pace.portion))
            state.accounts.subtract(taken)
            defer { state.look = .nothing }
            return (taken, state.look, !state.accounts.isEmpty)
        }
        if isMore { signal.signal() }
        try await self.look(at: accounts)
        if look != .nothing { try await search(look) }
    }

    private func search(_ look: Look) async throws {
        let start = directory.surroundings.now() - pace.lookBack
        var last: UUID?
        while !Task.isCancelled {
            let page =
                look == .everything
                ? try await directory.accountsBehind(after: last, limit: pace.portion)
                : try await directory.accountsWithNews(since: start, after: last, limit: pace.portion)
            try await self.look(at: page)
            guard page.count == pace.portion else { return }
            last = page.last
        }
    }

    private func look(at accounts: [UUID]) async throws {
        for account in try await directory.accountsWithNews(among: accounts) {
            while !Task.isCancelled {
                // Nil: another server is at it, and looks on until nothing is left.
                guard let dispatched = try await directory.dispatch(account, enqueue: enqueue), dispatched.isMore else { break }
            }
        }
    }
}
