/// One transaction on one connection, for the time of one closure.
final class PostgresSession: SQLSession {
    let dialect = SQLDialect.postgresql
    private let connection: PostgresConnection
    private let idleLimit: Duration
    private var lastReply = ContinuousClock.now
    /// The failure that broke the transaction, as long as it is broken: what follows is its consequence alone.
    private(set) var failure: PostgresFailure?

    init(_ connection: PostgresConnection, idleLimit: Duration, sink: any NotificationSink) {
        self.connection = connection
        hooks = CommitHooks(sink: sink)
        self.idleLimit = idleLimit
    }

    let hooks: CommitHooks

    func afterCommit(_ work: @escaping @Sendable () -> Void) {
        hooks.add(work)
    }

    func notify(_ channel: String, _ payload: String) {
        hooks.notify(channel, payload)
    }

    @discardableResult
    func execute(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> Int {
        try run(sql, arguments).changedRows
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> [SQLRow] {
        let result = try run(sql, arguments)
        do {
            return try result.rows()
        } catch {
            throw DatabaseError(.unexpectedResult, error.message)
        }
    }

    private func run(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> PostgresResult {
        let pause = ContinuousClock.now - lastReply
        defer { lastReply = .now }
        do {
            let result = try connection.run(sql, arguments)
            // A savepoint was gone back to, where there was a failure before.
            failure = nil
            return result
        } catch {
            if let failure, error.isConsequence { throw failure.databaseError }
            var error = error
            // libpq meets the server's farewell (25P03) between two statements and keeps no SQLSTATE of it.
            error.isIdleTimeout = error.isConnectionLost && pause >= idleLimit
            failure = error
            throw error.databaseError
        }
    }
}
