import CLibPQ
import DriveModel

/// One connection to the server. Not `Sendable`: it lives and ends on the thread that opened it.
final class PostgresConnection {
    private let handle: OpaquePointer
    private let target: PostgresTarget
    private var statements: PostgresStatementCache

    init(_ target: PostgresTarget, _ configuration: PostgresConfiguration) throws(PostgresFailure) {
        self.target = target
        statements = PostgresStatementCache(capacity: configuration.statementCacheSize)
        handle = try target.connect()
        try command(
            """
            SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET bytea_output = 'hex'; SET extra_float_digits = 1; \
            SET statement_timeout = \(configuration.statementTimeout.wholeMicroseconds / 1000); \
            SET idle_in_transaction_session_timeout = \(configuration.idleInTransactionTimeout.wholeMicroseconds / 1000)
            """)
    }

    deinit { PQfinish(handle) }

    /// The connection is gone; nothing but closing it makes sense.
    var isLost: Bool { PQstatus(handle) != CONNECTION_OK }
    /// A statement of the open transaction failed, so that the server refuses all others.
    var isInFailedTransaction: Bool { PQtransactionStatus(handle) == PQTRANS_INERROR }
    /// A transaction is open, failed or not.
    var isInTransaction: Bool { [PQTRANS_INERROR, PQTRANS_INTRANS].contains(PQtransactionStatus(handle)) }
    /// For `poll`.
    var socket: Int32 { PQsocket(handle) }

    /// Runs text without parameters by the simple protocol; several statements may stand in it.
    @discardableResult
    func command(_ sql: String) throws(PostgresFailure) -> PostgresResult {
        try checked(PQexec(handle, sql))
    }

    /// Runs one statement; queries and changes are prepared once per connection.
    func run(_ sql: String, _ arguments: [SQLValue]) throws(PostgresFailure) -> PostgresResult {
        let parameters = try PostgresParameters(arguments)
        guard Self.isWorthPreparing(sql) else {
            return try checked(
                parameters.withPointers { values, lengths, formats in
                    PQexecParams(handle, sql, parameters.count, parameters.types, values, lengths, formats, 0)
                })
        }
        let name = try preparedName(sql, parameters)
        return try checked(
            parameters.withPointers { values, lengths, formats in
                PQexecPrepared(handle, name, parameters.count, values, lengths, formats, 0)
            })
    }

    /// Forgets all prepared statements, here and in the server. Only outside a failed transaction.
    func forgetStatements() throws(PostgresFailure) {
        statements.removeAll()
        try command("DEALLOCATE ALL")
    }

    /// Notifications that arrived; reads what the socket holds, without waiting.
    func takeNotifications() throws(PostgresFailure) -> [(channel: String, payload: String)] {
        guard PQconsumeInput(handle) == 1 else {
            throw PostgresFailure(target.redacted(String(cString: PQerrorMessage(handle))), isConnectionLost: true)
        }
        var found: [(channel: String, payload: String)] = []
        while let notification = PQnotifies(handle) {
            found.append((String(cString: notification.pointee.relname), String(cString: notification.pointee.extra)))
            PQfreemem(notification)
        }
        return found
    }

    private func preparedName(_ sql: String, _ parameters: PostgresParameters) throws(PostgresFailure) -> String {
        let key = PostgresStatementCache.Key(sql: sql, types: parameters.types)
        if let name = statements.name(for: key) { return name }
        if let evicted = statements.evict() { try command("DEALLOCATE \(evicted)") }
        let name = statements.newName()
        try checked(PQprepare(handle, name, sql, parameters.count, parameters.types))
        statements.insert(name, for: key)
        return name
    }

    /// Definitions and settings run once; their plans are not worth a place in the cache.
    private static func isWorthPreparing(_ sql: String) -> Bool {
        let word = sql.drop(while: { $0.isWhitespace || $0 == "(" }).prefix(while: \.isLetter)
        return ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "MERGE"].contains(word.uppercased())
    }

    @discardableResult
    private func checked(_ result: OpaquePointer?) throws(PostgresFailure) -> PostgresResult {
        let status = PQresultStatus(result)
        if let result, [PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY].contains(status) { return PostgresResult(result) }
        defer { PQclear(result) }
        throw PostgresFailure(result: result, handle: handle, target: target)
    }
}
