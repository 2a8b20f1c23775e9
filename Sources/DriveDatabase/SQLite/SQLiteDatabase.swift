import DriveModel
import Foundation
import GRDB
import Logging

/// SQLite in WAL mode: many readers, one writer that commits in groups (`GroupCommitWriter`).
///
/// `synchronous=FULL`: a returned `write` is in the write-ahead log and that is flushed to the disk.
public final class SQLiteDatabase: Database {
    public let dialect = SQLDialect.sqlite
    private let pool: DatabasePool
    private let writer: GroupCommitWriter
    private let statements = SQLiteStatementCaches()
    private let notifications = LocalNotifications()

    /// - Parameters:
    ///   - path: the database file; made where it is missing, readable by its owner alone.
    ///   - maximumReaders: connections for reading at the same time.
    ///   - beforeCommit: runs on the writer's thread before each group's COMMIT; what it throws fails the group.
    ///     A place for injected faults.
    public init(
        path: String, maximumReaders: Int = 4, logger: Logger, faults: Faults = .none, beforeCommit: (@Sendable () throws -> Void)? = nil
    ) throws {
        var configuration = Configuration()
        configuration.maximumReaderCount = maximumReaders
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = true
        configuration.prepareDatabase { [statements] connection in
            statements.connectionOpened(connection)
            try connection.execute(
                sql: """
                    PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;
                    PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;
                    """)
        }
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            // The pool sets NORMAL while it turns WAL on; only FULL flushes the log at every commit.
            try pool.writeWithoutTransaction { connection in
                try connection.execute(sql: "PRAGMA synchronous = FULL")
                guard try Int.fetchOne(connection, sql: "PRAGMA synchronous") == 2 else {
                    throw DatabaseError(.statement, "SQLite does not keep synchronous=FULL")
                }
            }
        } catch let error as GRDB.DatabaseError {
            throw DatabaseError(error)
        }
        writer = GroupCommitWriter(
            pool: pool, statements: statements, sink: notifications, logger: logger, faults: faults, beforeCommit: beforeCommit)
    }

    public var queueLength: Int { writer.queueLength }

    public func listen(to channels: [String]) -> any DatabaseListener { notifications.listen(to: channels) }

    public func read<Result: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        // Not GRDB's async `read`, which ends with its task: clean-up after a broken request reads too.
        try await withCheckedThrowingContinuation { continuation in
            pool.asyncRead { [statements] connection in
                continuation.resume(
                    with: Swift.Result {
                        do {
                            return try body(SQLiteSession(try connection.get(), caches: statements))
                        } catch let error as GRDB.DatabaseError {
                            throw DatabaseError(error)
                        }
                    })
            }
        }
    }

    public func write<Result: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        try await writer.perform(body)
    }

    public func checkIntegrity() async throws -> [String] {
        try await read { sql in
            var findings = try sql.query("PRAGMA integrity_check").map { try $0.text("integrity_check") }.filter { $0 != "ok" }
            findings += try sql.query("PRAGMA foreign_key_check").map { "foreign key of table \(try $0.text("table"))" }
            return findings
        }
    }

    public func close() async {
        await writer.close()
        notifications.close()
        do {
            try closeConnections()
        } catch {
            // Readers that still run keep the connection; the process's end closes it, and the log is durable already.
        }
    }

    /// Not the asynchronous calls, which end with a cancelled task.
    private func closeConnections() throws {
        // SQLite closes no connection that has statements. Behind the barrier nobody reads; only the connection of a reader
        // that comes between it and the closing stays.
        try pool.barrierWriteWithoutTransaction { [statements] _ in statements.removeAll() }
        try pool.close()
    }
}
