import DriveDatabase
import Foundation
import Synchronization

/// A database that can be away, be slow to tell what it read, and tell nobody of what was committed.
final class TroubledDatabase: Database {
    /// A read of an account's events after a number.
    struct Page: Hashable, Sendable {
        let account: UUID
        let position: Int64
    }

    private struct State {
        var isAway = false
        var swallows = false
        var failures = 0
        var pages: [Page: Int] = [:]
        var holds: [(page: Page, reached: Doorbell, until: Doorbell)] = []
    }

    private let base: any Database
    private let state = Mutex(State())

    init(_ base: any Database) {
        self.base = base
    }

    /// Reads get `unavailable`.
    var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    /// Reads that failed so far.
    var failures: Int { state.withLock { $0.failures } }

    /// How often the events of an account were read.
    func pages(of account: UUID) -> Int {
        state.withLock { $0.pages.reduce(0) { $0 + ($1.key.account == account ? $1.value : 0) } }
    }

    /// Whether it was read, and its result is on its way at least.
    func wasRead(_ page: Page) -> Bool { state.withLock { $0.pages[page] != nil } }

    /// Whatever is told from now on is lost.
    func swallowNotifications() {
        state.withLock { $0.swallows = true }
    }

    /// The next such read rings `reached` once it has its result, and gives it after `until`; it throws `TimedOut` where that one is
    /// not rung.
    func hold(_ page: Page, reached: Doorbell, until: Doorbell) {
        state.withLock { $0.holds.append((page, reached, until)) }
    }

    var dialect: SQLDialect { base.dialect }
    var queueLength: Int { base.queueLength }

    func read<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
        let isAway = state.withLock { state in
            if state.isAway { state.failures += 1 }
            return state.isAway
        }
        if isAway { throw DatabaseError(.unavailable, "no connection") }
        let (result, page) = try await base.read { sql in
            let witness = Witness(sql)
            return (try body(witness), witness.page)
        }
        guard let page else { return result }
        let hold = state.withLock { state -> (page: Page, reached: Doorbell, until: Doorbell)? in
            state.pages[page, default: 0] += 1
            return state.holds.firstIndex { $0.page == page }.map { state.holds.remove(at: $0) }
        }
        if let hold {
            hold.reached.ring()
            try await hold.until.wait()
        }
        return result
    }

    func write<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
        try await base.write(body)
    }

    func listen(to channels: [String]) throws -> any DatabaseListener {
        let listener = try base.listen(to: channels)
        let elements = listener.elements
        let (stream, continuation) = AsyncStream<DatabaseNotification>.makeStream()
        let forwarding = Task { [self] in
            for await element in elements where !state.withLock({ $0.swallows }) { continuation.yield(element) }
            continuation.finish()
        }
        return Listener(base: listener, elements: stream, forwarding: forwarding)
    }

    func checkIntegrity() async throws -> [String] { try await base.checkIntegrity() }
    func close() async { await base.close() }

    private struct Listener: DatabaseListener {
        let base: any DatabaseListener
        let elements: AsyncStream<DatabaseNotification>
        let forwarding: Task<Void, Never>

        func close() async {
            await base.close()
            await forwarding.value
        }
    }

    /// Sees which page of events is asked for, by the page's first statement, and takes no other question for one: a client whose
    /// beginning were held in the place of its first page would never come, while the test that ends the hold waits for it.
    private final class Witness: SQLSession {
        private let base: any SQLSession
        private(set) var page: Page?

        init(_ base: any SQLSession) {
            self.base = base
        }

        var dialect: SQLDialect { base.dialect }

        func execute(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> Int { try base.execute(sql, arguments) }

        func query(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> [SQLRow] {
            if page == nil, sql.contains("sequence > $2 ORDER BY sequence LIMIT"),
                case .uuid(let account) = arguments[0], case .integer(let position) = arguments[1]
            {
                page = Page(account: account, position: position)
            }
            return try base.query(sql, arguments)
        }

        func afterCommit(_ work: @escaping @Sendable () -> Void) { base.afterCommit(work) }
        func notify(_ channel: String, _ payload: String) { base.notify(channel, payload) }
    }
}
