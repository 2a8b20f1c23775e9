import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// Brings each account's events from the outbox to its clients on this server.
///
/// The outbox is the truth: a notification only says that an account has new events, and where one is lost a look once in
/// a while finds them. Each event is read once for all clients of its account. A client that cannot keep up, or
/// comes back with the number of the last event it saw, is read for apart until it is level with the others.
public final class EventHub: Sendable {
    /// What bounds a hub.
    public struct Limits: Sendable {
        /// Clients of one account on this server.
        public var perAccount = 100
        /// Events that wait for one client.
        public var queue = 256
        /// Events read at once.
        public var page = 256
        /// Bytes of their data, as many as wait for one client; an event that is larger is read alone.
        public var pageBytes = 512 << 10
        /// Clients that are read for at the same time.
        public var readers = 4
        /// How often the hub looks by itself at the accounts that somebody watches.
        public var lookInterval: Duration = .seconds(5)

        public init() {}
    }

    private struct Feed {
        /// Tells it from one that was removed and made anew meanwhile.
        let id: Int
        var subscriptions: [Int: EventSubscription] = [:]
        /// All events up to this one were offered; nil until the first client is level.
        var position: Int64?
        var isReading = false
        /// It was told while it was being read.
        var isDirty = false
    }

    private struct State {
        var feeds: [UUID: Feed] = [:]
        var nextId = 0
        /// Clients that wait to be read for, in the order in which they came.
        var behind: [EventSubscription] = []
        var readers = 0

        /// The feed that a reader began with, where it is still there.
        func feed(_ account: UUID, _ id: Int) -> Feed? {
            guard let feed = feeds[account], feed.id == id else { return nil }
            return feed
        }
    }

    private let database: any Database
    private let limits: Limits
    private let logger: Logger
    private let state = Mutex(State())

    public init(database: any Database, limits: Limits = Limits(), logger: Logger) {
        self.database = database
        var limits = limits
        // None at all could never come to an end.
        limits.queue = max(1, limits.queue)
        limits.page = max(1, limits.page)
        self.limits = limits
        self.logger = logger
    }

    /// Clients on this server.
    public var subscriptionCount: Int { state.withLock { $0.feeds.values.reduce(0) { $0 + $1.subscriptions.count } } }

    /// Whether somebody of the account watches on this server.
    public func isWatching(_ account: UUID) -> Bool { state.withLock { $0.feeds[account] != nil } }

    // MARK: Subscribing

    /// How a client's stream begins.
    public enum Beginning: Hashable, Sendable {
        /// From now on.
        case now
        /// After the number the client gave; nothing is missing.
        case resumed
        /// What follows the number the client gave is no longer kept, or it is none of this account's: it must look at everything anew.
        case gap
    }

    /// Adds a client.
    ///
    /// - Parameters:
    ///   - device: the client's, where it says so: events for one device alone come to that one's clients.
    ///   - since: the number of the last event the client has; nil: from now on.
    ///   - ready: told when there is something to take; from any thread, and it must not block.
    /// - Throws: `RATE_LIMITED` where the account has too many clients; the database's error.
    public func subscribe(
        _ account: UUID, device: String? = nil, since: Int64?, filter: EventFilter, ready: @escaping @Sendable () -> Void
    ) async throws -> (subscription: EventSubscription, beginning: Beginning) {
        let outbox = try await database.read { sql in try EventOutbox.position(of: account, after: since, in: sql) }
        let beginning = since == nil ? Beginning.now : outbox.isKept ? .resumed : .gap
        let (start, limits) = ((outbox.isKept ? since : nil) ?? outbox.last, limits)
        let subscription = try state.withLock { state throws(DriveError) in
            guard (state.feeds[account]?.subscriptions.count ?? 0) < limits.perAccount else {
                throw DriveError(
                    .rateLimited, "Too many clients of this account listen already.",
                    details: ["rule": "eventClients", "maximum": .integer(Int64(limits.perAccount))], retryAfter: 5)
            }
            state.nextId += 1
            let id = state.nextId
            let subscription = EventSubscription(
                account: account, device: device, id: id, filter: filter, position: start, latest: outbox.last,
                queue: EventQueue(capacity: limits.queue), ready: ready)
            // Before its first read, so that nothing told from here on is missed.
            state.feeds[account, default: Feed(id: id)].subscriptions[id] = subscription
            return subscription
        }
        readOn(subscription)
        return (subscription, beginning)
    }

    /// What is next for a client, at most `limit` events. Where it is less, `ready` tells of more.
    public func take(_ subscription: EventSubscription, atMost limit: Int) -> [LiveEvent] {
        let (events, isStarved) = subscription.take(atMost: limit)
        if isStarved { readOn(subscription) }
        return events
    }

    /// The number of the last event of a client's account, as far as this server has read.
    public func latest(for subscription: EventSubscription) -> Int64 {
        let read = state.withLock { $0.feeds[subscription.account]?.position } ?? 0
        return max(subscription.latest, subscription.position, read)
    }

    /// The client is gone.
    public func remove(_ subscription: EventSubscription) {
        subscription.close()
        state.withLock { state in
            state.feeds[subscription.account]?.subscriptions[subscription.id] = nil
            if state.feeds[subscription.account]?.subscriptions.isEmpty == true { state.feeds[subscription.account] = nil }
        }
    }

    // MARK: Live

    /// Listens until the Swift task is cancelled.
    public func run() async throws {
        let listener = try database.listen(to: [EventOutbox.channel])
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                for await element in listener.elements {
                    switch element {
                    case .notification(_, let account):
                        if let account = UUID(uuidString: account) { read(account) }
                    case .reconnected: await lookAnew()
                    }
                }
            }
            // For what was not told, and for those whom a database that was away left behind.
            group.addTask { [self] in
                while (try? await Task.sleep(for: limits.lookInterval)) != nil { await look() }
            }
            await withTaskCancellationHandler {
                await group.next()
            } onCancel: {
                Task { await listener.close() }
            }
            group.cancelAll()
        }
        await listener.close()
    }

    /// After notifications that were missed: whoever is just being read for may have read too early. The others are looked
    /// for by one statement: a thousand accounts that are read at once would keep everybody else waiting.
    private func lookAnew() async {
        state.withLock { state in
            for (account, feed) in state.feeds where feed.isReading || feed.position == nil { state.feeds[account]?.isDirty = true }
        }
        await look()
    }

    /// Looks which of the watched accounts have events that were not told.
    private func look() async {
        let (watched, subscriptions) = state.withLock { state in
            (
                state.feeds.compactMapValues { $0.isReading ? nil : $0.position },
                state.feeds.values.flatMap { $0.subscriptions.values }
            )
        }
        // Not under our lock: a subscription's comes before it (`join`).
        for subscription in subscriptions where subscription.isStarved { readOn(subscription) }
        guard !watched.isEmpty else { return }
        do {
            let changed = try await database.read { sql -> [UUID] in
                let rows = try sql.query(
                    "SELECT account_id, last_sequence FROM event_sequences WHERE account_id \(sql.dialect.isAnyUUID("$1"))",
                    [sql.dialect.list(watched.keys.map(\.lowercaseString))])
                return try rows.compactMap { row in
                    let account = try row.uuid("account_id")
                    return try row.int64("last_sequence") > watched[account] ?? .max ? account : nil
                }
            }
            for account in changed { read(account) }
        } catch {
            logger.debug("events cannot be looked for now", metadata: ["error": "\(error)"])
        }
    }

    /// Reads an account's new events, where somebody here waits for them and nobody reads already.
    private func read(_ account: UUID) {
        let feed = state.withLock { state -> Int? in
            guard let feed = state.feeds[account] else { return nil }
            guard !feed.isReading, feed.position != nil else {
                state.feeds[account]?.isDirty = true
                return nil
            }
            state.feeds[account]?.isReading = true
            return feed.id
        }
        if let feed { Task { await readLive(account, feed: feed) } }
    }

    private func readLive(_ account: UUID, feed: Int) async {
        while let position = state.withLock({ $0.feed(account, feed)?.position }) {
            let page: OutboxPage
            do {
                page = try await self.page(account, after: position)
            } catch {
                // The regular look tries again.
                logger.warning("events cannot be read now", metadata: ["error": "\(error)"])
                state.withLock { state in
                    if state.feed(account, feed) != nil { state.feeds[account]?.isReading = false }
                }
                return
            }
            let subscriptions = state.withLock { state -> [EventSubscription]? in
                guard let current = state.feed(account, feed) else { return nil }
                if let end = page.end { state.feeds[account]?.position = end }
                return Array(current.subscriptions.values)
            }
            guard let subscriptions else { return }
            let events = page.events
            for subscription in subscriptions where subscription.offer(events) { readOn(subscription) }
            let isDone = state.withLock { state in
                guard let current = state.feed(account, feed) else { return true }
                guard !page.isMore, !current.isDirty else {
                    state.feeds[account]?.isDirty = false
                    return false
                }
                state.feeds[account]?.isReading = false
                return true
            }
            if isDone { return }
        }
    }

    private func page(_ account: UUID, after position: Int64) async throws -> OutboxPage {
        let bounds = OutboxPage.Bounds(rows: limits.page, bytes: limits.pageBytes)
        return try await database.read { sql in try OutboxPage(of: account, after: position, bounds: bounds, in: sql) }
    }

    // MARK: Those who are behind

    /// Reads on for a client, where it is behind; few at the same time, so that a thousand who come back at once share
    /// the database with everybody else.
    private func readOn(_ subscription: EventSubscription) {
        let begins = state.withLock { state in
            guard !state.behind.contains(where: { $0 === subscription }) else { return false }
            state.behind.append(subscription)
            guard state.readers < limits.readers else { return false }
            state.readers += 1
            return true
        }
        if begins { Task { await readForThoseBehind() } }
    }

    private func readForThoseBehind() async {
        while true {
            let next = state.withLock { state -> EventSubscription? in
                if !state.behind.isEmpty { return state.behind.removeFirst() }
                state.readers -= 1
                return nil
            }
            guard let next else { return }
            await readPage(for: next)
        }
    }

    private func readPage(for subscription: EventSubscription) async {
        guard let position = subscription.beginReading() else { return }
        // What was there before the page was read must be in it, or is gone.
        let before = state.withLock { $0.feeds[subscription.account]?.position } ?? position
        do {
            let page = try await page(subscription.account, after: position)
            // Up to the first that was removed: the next read finds the hole where it begins.
            let events = zip(page.events, (position + 1)...).prefix { $0.sequence == $1 }.map(\.0)
            guard !events.isEmpty || (page.end == nil && before <= position) else { return subscription.lose() }
            let isLast = !page.isMore && events.last?.sequence == page.end
            let end = events.last?.sequence ?? position
            let isStarved = subscription.endReading(events.withoutSuperseded(), end: end) { [self] position in
                isLast && join(subscription, at: position)
            }
            if isStarved { readOn(subscription) }
        } catch {
            logger.warning("events cannot be read now", metadata: ["error": "\(error)"])
            subscription.failReading()
        }
    }

    /// Whether a client at this position is level with its account's feed: from then on it gets what the feed reads. The first
    /// of an account says where the feed is.
    private func join(_ subscription: EventSubscription, at position: Int64) -> Bool {
        let (isLevel, isDirty) = state.withLock { state -> (Bool, Bool) in
            guard let feed = state.feeds[subscription.account] else { return (false, false) }
            guard let level = feed.position else {
                state.feeds[subscription.account]?.position = position
                state.feeds[subscription.account]?.isDirty = false
                return (true, feed.isDirty)
            }
            // One who is ahead of the feed, which is about to read: passed over until it is as far.
            return (position >= level, false)
        }
        if isDirty { read(subscription.account) }
        return isLevel
    }
}
