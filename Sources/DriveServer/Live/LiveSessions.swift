import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// Who listens, and until when: ends the streams of tokens that ran out or were revoked, and of disabled accounts.
///
/// One query for all of them twice a second, instead of one for each.
final class LiveSessions: Sendable {
    /// From the revocation to the end of the stream it takes this long at most, and the query's time.
    static let interval = Duration.milliseconds(400)

    private struct Session {
        var accountId: UUID
        var tokenId: String?
        var goodUntil: Timestamp
        var end: @Sendable (DriveError) -> Void
    }

    private struct State {
        var sessions: [Int: Session] = [:]
        var nextId = 0
    }

    private let database: any Database
    private let surroundings: Surroundings
    private let logger: Logger
    private let state = Mutex(State())

    init(database: any Database, surroundings: Surroundings, logger: Logger) {
        self.database = database
        self.surroundings = surroundings
        self.logger = logger
    }

    /// Watches over a stream; `end` is told once why it must end, from any thread.
    func add(_ identity: Identity, end: @escaping @Sendable (DriveError) -> Void) -> Int {
        state.withLock { state in
            state.nextId += 1
            state.sessions[state.nextId] = Session(
                accountId: identity.accountId, tokenId: identity.tokenId, goodUntil: identity.goodUntil, end: end)
            return state.nextId
        }
    }

    /// The same stream with a newer token.
    func renew(_ id: Int, with identity: Identity) {
        state.withLock { state in
            state.sessions[id]?.tokenId = identity.tokenId
            state.sessions[id]?.goodUntil = identity.goodUntil
        }
    }

    func remove(_ id: Int) {
        state.withLock { $0.sessions[id] = nil }
    }

    /// Looks until the Swift task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do {
                try await look()
            } catch {
                // Nobody's right was taken away by that; the next look finds what was.
                logger.debug("tokens of listening clients cannot be looked at now", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.interval)
        }
    }

    private func look() async throws {
        let now = surroundings.now()
        end(TokenFault.expired.error) { $0.goodUntil <= now }
        let (accounts, tokens) = state.withLock { state in
            (Set(state.sessions.values.map(\.accountId)), Set(state.sessions.values.compactMap(\.tokenId)))
        }
        guard !accounts.isEmpty else { return }
        let (disabled, revoked) = try await database.read { sql in
            let disabled = try sql.query(
                "SELECT id FROM accounts WHERE id \(sql.dialect.isAnyUUID("$1")) AND disabled_at IS NOT NULL",
                [sql.dialect.list(accounts.map(\.lowercaseString))])
            let revoked = try sql.query(
                "SELECT id FROM api_tokens WHERE id \(sql.dialect.isAny("$1")) AND revoked_at IS NOT NULL",
                [sql.dialect.list(Array(tokens))])
            return (Set(try disabled.map { try $0.uuid("id") }), Set(try revoked.map { try $0.text("id") }))
        }
        if !revoked.isEmpty { end(AccountRules.revoked) { $0.tokenId.map(revoked.contains) ?? false } }
        if !disabled.isEmpty { end(AccountRules.disabled) { disabled.contains($0.accountId) } }
    }

    private func end(_ error: DriveError, where condition: (Session) -> Bool) {
        let ended = state.withLock { state in
            let ended = state.sessions.filter { condition($0.value) }
            for id in ended.keys { state.sessions[id] = nil }
            return ended.values
        }
        for session in ended { session.end(error) }
    }
}
