import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// Brings the accounts' events from the outbox into their lists of notifications and onto the way to their devices.
///
/// Each server does so for all accounts; the lock on an account's cursor makes that no more than a look for all but one of
/// them. Notifications of the database only say where to look: what is not told is found by a search through the latest events
/// now and then, and through all accounts at the start and after notifications that were missed.
///
/// It goes in rounds: all accounts that were told of, and one portion of a search, each with one page of its events. Whoever has
/// more, or fails, is in a later round; nobody waits for him.
public final class RingDispatcher: Sendable {
    /// How it paces itself.
    public struct Pace: Sendable {
        /// Accounts told of within this time are looked at together.
        public var gathering: Duration = .milliseconds(100)
        /// How often the latest events are searched.
        public var lookInterval: Duration = .seconds(30)
        /// How far back: more than the interval, and more than the clocks of the servers disagree.
        public var lookBack: Duration = .seconds(900)
        /// How far a search goes back before the one before it, at least; a transaction may commit so much later than it says.
        public var overlap: Duration = .seconds(60)
        /// Until what failed is tried again.
        public var patience: Duration = .seconds(1)
        /// Accounts looked at by one statement.
        public var portion = 200
        /// Accounts looked at the same time.
        public var width = 8
        /// Accounts that may wait; more are left to a search.
        public var capacity = 20_000

        public init() {}
    }

    private let database: any Database
    private let directory: RingDirectory
    private let pace: Pace
    private let logger: Logger
    private let enqueue: EnqueuePushes
    private let agenda: Mutex<DispatchAgenda>
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
        agenda = Mutex(DispatchAgenda(pace))
    }

    /// Runs until the Swift task is cancelled. Throws where nothing can be listened to.
    public func run() async throws {
        let listener = try database.listen(to: [EventOutbox.channel])
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                for await element in listener.elements {
                    switch element {
                    case .notification(_, let account):
                        if let account = UUID(uuidString: account) { tell { $0.tell(account) } }
                    case .reconnected: tell { $0.want(.everything) }
                    }
                }
            }
            group.addTask { [self] in
                while (try? await Task.sleep(for: pace.lookInterval)) != nil { tell { $0.want(.latest) } }
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

    private func tell(_ change: (inout DispatchAgenda) -> Void) {
        agenda.withLock { change(&$0) }
        signal.signal()
    }

    private func work() async {
        var complaints = Complaints()
        while !Task.isCancelled {
            let (isBusy, due) = agenda.withLock { ($0.isBusy, $0.due) }
            if !isBusy {
                if let due {
                    await signal.wait(atMost: max(.zero, due - .now))
                } else {
                    await signal.wait()
                }
                guard (try? await Task.sleep(for: pace.gathering)) != nil else { return }
            }
            await round(&complaints)
        }
    }

    /// All accounts that wait, and one portion of a search.
    private func round(_ complaints: inout Complaints) async {
        let (accounts, search) = agenda.withLock { $0.take(at: .now, now: directory.surroundings.now()) }
        for start in stride(from: 0, to: accounts.count, by: pace.portion) where !Task.isCancelled {
            let portion = Array(accounts[start..<min(start + pace.portion, accounts.count)])
            do {
                try await look(at: portion, &complaints)
            } catch {
                // The database is away, most likely: the rest would only fail too.
                agenda.withLock { agenda in
                    agenda.postpone(accounts[start...], at: .now)
                    agenda.postponeSearch(at: .now)
                }
                complain("events cannot be looked at for notifications now", error, &complaints.search)
                return
            }
        }
        guard let search, !Task.isCancelled else { return }
        do {
            let page =
                switch search.reach {
                case .everything: try await directory.accountsBehind(after: search.last, limit: pace.portion)
                case .since(let time): try await directory.accountsWithNews(since: time, after: search.last, limit: pace.portion)
                }
            try await look(at: page, &complaints)
            agenda.withLock { $0.searched(to: page.count < pace.portion ? nil : page.last) }
        } catch {
            agenda.withLock { $0.postponeSearch(at: .now) }
            complain("events cannot be searched for notifications now", error, &complaints.search)
        }
    }

    /// One page of each of the accounts that have news, a few at a time. Throws where it cannot be found out which these are.
    private func look(at accounts: [UUID], _ complaints: inout Complaints) async throws {
        var waiting = try await directory.accountsWithNews(among: accounts)[...]
        await withTaskGroup(of: (UUID, Result<RingDirectory.Dispatched?, any Error>).self) { group in
            for _ in 0..<pace.width {
                if let account = waiting.popFirst() { group.addTask { [self] in await dispatch(account) } }
            }
            for await (account, result) in group {
                switch result {
                case .success(.some(let dispatched)): if dispatched.isMore { agenda.withLock { $0.again(account) } }
                // Another server is at it; should it end before its end, this one goes on.
                case .success(.none): agenda.withLock { $0.postpone([account], at: .now) }
                case .failure(let error):
                    agenda.withLock { $0.postpone([account], at: .now) }
                    complain("an account's events become no notifications now", error, &complaints.accounts, account)
                }
                if !Task.isCancelled, let next = waiting.popFirst() { group.addTask { [self] in await dispatch(next) } }
            }
        }
    }

    private func dispatch(_ account: UUID) async -> (UUID, Result<RingDirectory.Dispatched?, any Error>) {
        do {
            return (account, .success(try await directory.dispatch(account, enqueue: enqueue)))
        } catch {
            return (account, .failure(error))
        }
    }

    // MARK: Complaints

    /// Each kind has its own pace, so that one account's failure does not hide the database's.
    private struct Complaints {
        var search = SparseLog()
        var accounts = SparseLog()
    }

    private func complain(_ message: Logger.Message, _ error: any Error, _ pace: inout SparseLog, _ account: UUID? = nil) {
        guard !Task.isCancelled, let unsaid = pace.say(at: .now) else { return }
        var metadata: Logger.Metadata = ["error": "\(error)", "unsaid": "\(unsaid)"]
        if let account { metadata["account"] = "\(account.lowercaseString)" }
        logger.warning(message, metadata: metadata)
    }
}
