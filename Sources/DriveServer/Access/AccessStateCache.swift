import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// The state of an account, and of one of its tokens, as the database had it a moment ago.
struct AccessState: Sendable, Hashable {
    struct Token: Sendable, Hashable {
        var role: TokenRole
        var isRevoked: Bool
    }

    var name: String
    var role: AccountRole
    var isDisabled: Bool
    /// The token asked for, where it exists and belongs to the account.
    var token: Token?
}

/// What the database says of accounts and tokens, at most half a second old.
///
/// Callers with one key share one query. An answer that was read too long before a caller came is never given to it:
/// it waits for the next one.
final class AccessStateCache: Sendable {
    struct Key: Hashable, Sendable {
        var accountId: UUID
        var tokenId: String?
    }

    typealias Answer = AccessState?

    private struct Entry {
        var answer: Answer = nil
        /// When the query of `answer` began; nil: there is none yet.
        var askedAt: Duration?
        var flight: Flight<Answer>?
    }

    private enum Step {
        case known(Answer)
        case wait(Flight<Answer>)
        case ask(Flight<Answer>)
    }

    private let database: any Database
    private let time: MonotonicTime
    private let lifetime: Duration
    private let patience: Duration
    private let logger: Logger
    private let entries: Mutex<LRUCache<Key, Entry>>

    /// - Parameters:
    ///   - lifetime: how old an answer may be.
    ///   - patience: after so long a database that does not answer counts as unavailable.
    init(
        database: any Database, time: MonotonicTime, capacity: Int, lifetime: Duration = .milliseconds(500),
        patience: Duration = .seconds(5), logger: Logger
    ) {
        self.database = database
        self.time = time
        self.lifetime = lifetime
        self.patience = patience
        self.logger = logger
        entries = Mutex(LRUCache(capacity: capacity))
    }

    /// The state, or nil for an unknown account. Throws where the database does not answer.
    func state(_ key: Key) async throws(DriveError) -> Answer {
        let arrival = time.now()
        while true {
            switch step(key, arrival: arrival) {
            case .known(let answer):
                return answer
            case .wait(let flight):
                let answer = try await flight.wait()
                if arrival - flight.startedAt < lifetime { return answer }
            case .ask(let flight):
                ask(key, flight)
                return try await flight.wait()
            }
        }
    }

    /// Forgets an account's state, after this process changed it.
    func forget(accountId: UUID) {
        entries.withLock { $0.removeAll { key, _ in key.accountId == accountId } }
    }

    private func step(_ key: Key, arrival: Duration) -> Step {
        let now = time.now()
        return entries.withLock { entries in
            entries.update(key, default: Entry()) { entry in
                if let askedAt = entry.askedAt, arrival - askedAt < lifetime { return .known(entry.answer) }
                if let flight = entry.flight { return .wait(flight) }
                let flight = Flight<Answer>(startedAt: now)
                entry.flight = flight
                return .ask(flight)
            }
        }
    }

    private func ask(_ key: Key, _ flight: Flight<Answer>) {
        let timer = Task { [patience] in
            try await Task.sleep(for: patience)
            flight.complete(.failure(DatabaseError(.unavailable, "").asDriveError))
        }
        Task {
            let result: Result<Answer, DriveError>
            do {
                result = .success(try await database.read { sql in try Self.read(key, sql) })
            } catch {
                logger.error("the state of an account could not be read", metadata: ["error": "\(error)"])
                result = .failure(DriveError(database: error))
            }
            timer.cancel()
            entries.withLock { entries in
                entries.updateIfPresent(key) { entry in
                    guard entry.flight === flight else { return }
                    entry.flight = nil
                    if case .success(let answer) = result {
                        entry.answer = answer
                        entry.askedAt = flight.startedAt
                    }
                }
            }
            flight.complete(result)
        }
    }

    private static func read(_ key: Key, _ sql: any SQLSession) throws -> Answer {
        guard let row = try sql.first("SELECT name, role, disabled_at FROM accounts WHERE id = $1", [.uuid(key.accountId)]) else {
            return nil
        }
        var state = AccessState(
            name: try row.text("name"), role: AccountRole(rawValue: try row.text("role")) ?? .user,
            isDisabled: try row.optionalTimestamp("disabled_at") != nil)
        if let tokenId = key.tokenId,
            let row = try sql.first(
                "SELECT role, revoked_at FROM api_tokens WHERE id = $1 AND account_id = $2", [.text(tokenId), .uuid(key.accountId)])
        {
            state.token = .init(
                role: TokenRole(rawValue: try row.text("role")) ?? .user, isRevoked: try row.optionalTimestamp("revoked_at") != nil)
        }
        return state
    }
}
