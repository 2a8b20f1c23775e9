import DriveModel
import Foundation
import Logging

/// A pool of threads, each with a connection to PostgreSQL of its own.
///
/// Reads are `REPEATABLE READ`, writes `READ COMMITTED`: a write that decides on what it read locks it
/// (`SQLDialect.forUpdate`) or decides in the statement itself. A deadlock or serialization failure repeats the closure.
/// A failed statement breaks its transaction: a closure that carries on after one fails as a whole.
public final class PostgresDatabase: Database {
    public let dialect = SQLDialect.postgresql
    private let queue: PostgresWorkQueue
    private let threads: PostgresThreadGroup
    /// For listeners, which have a connection of their own. Never shown.
    private let connectionString: String
    private let configuration: PostgresConfiguration
    private let logger: Logger

    /// Starts the threads; each connects when its first closure comes.
    ///
    /// - Parameters:
    ///   - connectionString: a libpq connection string; its password is in no error and no log line.
    ///   - maximumConnections: threads, and so connections.
    ///   - faults: for tests; `database.commit.before` and `.after` lie around each COMMIT of a write.
    /// - Throws: `DatabaseError.Kind.statement` where the string cannot be read.
    public init(
        connectionString: String, maximumConnections: Int = 8, logger: Logger, configuration: PostgresConfiguration = .init(),
        faults: Faults = .none
    ) throws(DatabaseError) {
        let target = try PostgresTarget(connectionString: connectionString)
        let count = max(1, maximumConnections)
        let queue = PostgresWorkQueue(threads: count, maximumLength: configuration.maximumQueueLength)
        let threads = PostgresThreadGroup(count: count)
        let reachability = PostgresReachability(logger: logger)
        let notifier = PostgresNotifier(queue: queue, logger: logger)
        self.connectionString = connectionString
        self.configuration = configuration
        self.queue = queue
        self.threads = threads
        self.logger = logger
        for number in 1...count {
            // The threads hold the queue, not the database: where that is dropped without `close`, they still end.
            let thread = Thread {
                let worker = PostgresWorker(
                    target: target, configuration: configuration, reachability: reachability, faults: faults, sink: notifier, logger: logger
                )
                while let job = queue.next() { job(worker) }
                worker.disconnect()
                threads.threadEnds()
            }
            thread.name = "drive-pg-\(number)"
            thread.start()
        }
    }

    deinit { queue.refuseMore() }

    public var queueLength: Int { queue.count }

    public func listen(to channels: [String]) throws -> any DatabaseListener {
        try PostgresListener(connectionString: connectionString, channels: channels, logger: logger, configuration: configuration)
    }

    public func read<Result: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        try await run(.read, body)
    }

    public func write<Result: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        try await run(.write, body)
    }

    /// What SQL can tell: checksum failures, invalid indexes, and the B-trees where the extension `amcheck` is installed.
    public func checkIntegrity() async throws -> [String] {
        try await PostgresIntegrity.findings(in: self, logger: logger)
    }

    public func close() async {
        queue.refuseMore()
        await threads.waitForAll()
    }

    private func run<Result: Sendable>(
        _ mode: PostgresWorker.Mode, _ body: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try queue.add { worker in
                    continuation.resume(with: Swift.Result { try worker.transaction(mode, body) })
                }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
