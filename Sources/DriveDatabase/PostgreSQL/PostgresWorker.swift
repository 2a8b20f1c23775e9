import DriveModel
import Foundation
import Logging

/// One thread's connection and the way a transaction runs on it. Not `Sendable`: made and used on its thread alone.
final class PostgresWorker {
    enum Mode {
        case read, write

        var begin: String {
            switch self {
            case .read: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            case .write: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
            }
        }
    }

    /// How one run of a closure ended.
    private enum Outcome<Result> {
        case done(Result)
        /// Nothing of it stays; the closure may run again.
        case again(PostgresFailure)
        case failed(any Error)
    }

    private let target: PostgresTarget
    private let configuration: PostgresConfiguration
    private let reachability: PostgresReachability
    private let faults: Faults
    private let sink: any NotificationSink
    private let logger: Logger
    private var connection: PostgresConnection?

    init(
        target: PostgresTarget, configuration: PostgresConfiguration, reachability: PostgresReachability, faults: Faults,
        sink: any NotificationSink, logger: Logger
    ) {
        self.target = target
        self.configuration = configuration
        self.reachability = reachability
        self.faults = faults
        self.sink = sink
        self.logger = logger
    }

    /// Closes the connection; the next transaction would open another one.
    func disconnect() { connection = nil }

    /// Runs `body` in a transaction, again where the server undid it or the connection broke before COMMIT was sent.
    func transaction<Result>(_ mode: Mode, _ body: (any SQLSession) throws -> Result) throws -> Result {
        var attempt = 1
        while true {
            let connection = try openConnection()
            let outcome = run(mode, body, on: connection)
            if connection.isLost { self.connection = nil }
            switch outcome {
            case .done(let result): return result
            case .failed(let error): throw error
            case .again(let failure):
                guard attempt < configuration.maximumAttempts else { throw failure.databaseError }
                logger.debug("repeating a transaction", metadata: ["reason": "\(failure.message)", "attempt": "\(attempt)"])
                // A lost connection needs no wait: opening the next one waits as it must.
                if failure.isRepeatable { pause(.milliseconds(5 << attempt)) }
                attempt += 1
            }
        }
    }

    private func run<Result>(
        _ mode: Mode, _ body: (any SQLSession) throws -> Result, on connection: PostgresConnection
    ) -> Outcome<Result> {
        do {
            try connection.command(mode.begin)
        } catch {
            if connection.isLost { return .again(error) }
            // Nothing is wrong with our BEGIN: a standby refuses to write (0A000), for a failover is under way.
            return .failed(DatabaseError(.unavailable, error.databaseError.message))
        }
        let session = PostgresSession(connection, idleLimit: configuration.idleInTransactionTimeout, sink: sink)
        let result: Result
        do {
            result = try body(session)
        } catch {
            return rolledBack(connection, session.failure, orThrow: error)
        }
        // The closure went on after a failed statement, which SQLite would allow: COMMIT would be a silent ROLLBACK here.
        if connection.isLost || connection.isInFailedTransaction, let failure = session.failure {
            return rolledBack(connection, failure, orThrow: failure.databaseError)
        }
        let outcome = committed(mode, connection, result)
        if mode == .write, case .done = outcome { session.hooks.run() }
        return outcome
    }

    private func rolledBack<Result>(
        _ connection: PostgresConnection, _ failure: PostgresFailure?, orThrow error: any Error
    ) -> Outcome<Result> {
        do {
            if connection.isInTransaction { try connection.command("ROLLBACK") }
            if failure?.isStaleStatement == true { try connection.forgetStatements() }
        } catch {
            // The connection is lost, and the transaction with it.
            logger.debug("rolling back failed", metadata: ["reason": "\(error.message)"])
            self.connection = nil
        }
        guard let failure, !failure.isIdleTimeout,
            failure.isRepeatable || failure.isStaleStatement || failure.isConnectionLost
        else { return .failed(error) }
        return .again(failure)
    }

    private func committed<Result>(_ mode: Mode, _ connection: PostgresConnection, _ result: Result) -> Outcome<Result> {
        if mode == .write, case .fail(let number) = faults.hit("database.commit.before") {
            let error = DatabaseError(number == Faults.noSpace ? .full : .ioFailure, "injected fault")
            return rolledBack(connection, nil, orThrow: error)
        }
        do {
            let command = try connection.command("COMMIT").command
            guard command == "COMMIT" else {
                return .failed(DatabaseError(.statement, "the transaction was ended by its own statements: \(command)"))
            }
            if mode == .write { _ = faults.hit("database.commit.after") }
            return .done(result)
        } catch {
            // What was read stays true whatever becomes of the connection.
            if mode == .read { return .done(result) }
            if connection.isLost {
                logger.error("connection broke at COMMIT", metadata: ["reason": "\(error.message)"])
                return .failed(DatabaseError(.unavailable, "the connection broke at COMMIT; whether it took effect is not known"))
            }
            return error.isRepeatable ? .again(error) : .failed(error.databaseError)
        }
    }

    /// The thread's connection, opened anew where needed: with growing waits, until the patience ends.
    private func openConnection() throws(DatabaseError) -> PostgresConnection {
        if let connection { return connection }
        let start = ContinuousClock.now
        guard !reachability.isAway(at: start) else { throw DatabaseError(.unavailable, "PostgreSQL does not answer") }
        var delay = Duration.milliseconds(50)
        while true {
            do {
                let opened = try PostgresConnection(target, configuration)
                connection = opened
                reachability.isReached()
                return opened
            } catch {
                let now = ContinuousClock.now
                guard now + delay < start + configuration.reconnectPatience else {
                    reachability.isAway(error.message, until: now + .seconds(1), at: now)
                    throw DatabaseError(.unavailable, error.message)
                }
                reachability.failed(error.message, at: now)
                pause(delay)
                delay = min(delay * 2, .milliseconds(500))
            }
        }
    }

    /// Blocks this thread, which is its own, for half to all of `duration`.
    private func pause(_ duration: Duration) {
        Thread.sleep(forTimeInterval: duration.inSeconds * configuration.random(0.5...1))
    }
}
