/// One open transaction, or a snapshot for reading. Lives on the database's own thread, inside one closure only.
public protocol SQLSession {
    var dialect: SQLDialect { get }

    /// Runs a statement with `$1…$n` bound to `arguments` and returns how many rows it changed.
    @discardableResult
    func execute(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> Int

    /// Runs a statement and returns its rows.
    @discardableResult
    func query(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> [SQLRow]

    /// Runs `work` on the database's thread once the transaction is durable; never where it is undone. For log lines and
    /// wake-ups: short, and without the database.
    func afterCommit(_ work: @escaping @Sendable () -> Void)

    /// Wakes the listeners of a channel on every instance once the transaction is durable; equal ones may come as one. The
    /// tables are the truth: a notification may be lost, and a reader looks by itself now and then.
    /// - Parameter payload: at most 8,000 bytes.
    func notify(_ channel: String, _ payload: String)
}

/// What waits for a transaction's commit. Belongs to one transaction on one thread.
final class CommitHooks {
    private var works: [@Sendable () -> Void] = []
    private let sink: any NotificationSink

    init(sink: any NotificationSink) {
        self.sink = sink
    }

    func add(_ work: @escaping @Sendable () -> Void) { works.append(work) }

    func notify(_ channel: String, _ payload: String) { works.append { [sink] in sink.post(channel, payload) } }

    func run() {
        for work in works { work() }
    }
}

extension SQLSession {
    @discardableResult
    public func execute(_ sql: String) throws(DatabaseError) -> Int { try execute(sql, []) }
    @discardableResult
    public func query(_ sql: String) throws(DatabaseError) -> [SQLRow] { try query(sql, []) }
    /// The first row, where there is one.
    public func first(_ sql: String, _ arguments: [SQLValue] = []) throws(DatabaseError) -> SQLRow? {
        try query(sql, arguments).first
    }
}

/// A database that runs synchronous closures on threads of its own.
///
/// A closure has no suspension point, so no transaction stays open while something else is awaited. It may run
/// more than once (a serialization failure repeats it), so it changes nothing but the database and returns its result.
public protocol Database: Sendable {
    var dialect: SQLDialect { get }

    /// Runs `body` over a consistent snapshot. Errors of `body` come back as they are.
    func read<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result

    /// Runs `body` in a transaction and returns after it was made durable. Where `body` throws, nothing of it stays.
    /// A failing commit throws a retryable `DatabaseError`, and nothing of it stays either.
    func write<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result

    /// The engine's own integrity check; the findings, empty where all is well.
    func checkIntegrity() async throws -> [String]

    /// Begins to hear what `SQLSession.notify` tells. Throws `DatabaseError.unavailable` without file descriptors.
    func listen(to channels: [String]) throws -> any DatabaseListener

    /// How many closures wait for a thread now.
    var queueLength: Int { get }

    /// Ends the threads after the work that was accepted.
    func close() async
}

/// Where the two engines differ, the dialect supplies the phrase.
public enum SQLDialect: Sendable {
    case sqlite, postgresql

    /// Ends a SELECT whose rows are to be changed in the same transaction. SQLite has one writer and needs none.
    public var forUpdate: String { self == .postgresql ? " FOR UPDATE" : "" }
    /// The same, passing over rows another transaction holds.
    public var forUpdateSkipLocked: String { self == .postgresql ? " FOR UPDATE SKIP LOCKED" : "" }

    /// As `forUpdateSkipLocked`, but whoever only relies on the row's key (`forKeyShare`) does not stand in the way.
    public var forNoKeyUpdateSkipLocked: String { self == .postgresql ? " FOR NO KEY UPDATE SKIP LOCKED" : "" }
    /// Keeps a row from being changed in what others rely on, while they read it so too.
    public var forKeyShare: String { self == .postgresql ? " FOR KEY SHARE" : "" }

    /// Column types for migrations.
    func columnTypes(in ddl: String) -> String {
        let types: [(String, String, String)] = [
            ("{uuid}", "TEXT", "UUID"), ("{timestamp}", "INTEGER", "TIMESTAMPTZ"), ("{json}", "TEXT", "JSONB"),
            ("{bool}", "INTEGER", "BOOLEAN"), ("{bytes}", "BLOB", "BYTEA"), ("{text}", "TEXT", "VARCHAR"),
            ("{bigint}", "INTEGER", "BIGINT"), ("{int}", "INTEGER", "INTEGER"), ("{double}", "REAL", "DOUBLE PRECISION"),
            ("{false}", "0", "FALSE"), ("{serial}", "INTEGER PRIMARY KEY", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
            ("{clustered}", " WITHOUT ROWID", ""),
        ]
        return types.reduce(ddl) { text, type in
            text.replacing(type.0, with: self == .sqlite ? type.1 : type.2)
        }
    }
}
