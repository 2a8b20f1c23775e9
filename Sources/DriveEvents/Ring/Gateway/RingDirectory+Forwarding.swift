import DriveDatabase
import DriveModel
import Foundation

/// Events of an account that are to be forwarded: a page of them.
struct ForwardPage: Hashable, Sendable {
    /// How the external RingService calls the person; nil where nothing is forwarded for the account.
    var user: String?
    var events: [LiveEvent] = []
    /// How far the account came before.
    var start: Int64
    /// With the page all events up to this one are done.
    var end: Int64
    /// There may be more behind it.
    var isMore = false
}

extension RingDirectory {
    /// Reads what is to be forwarded next for an account: one page.
    ///
    /// - Parameters:
    ///   - position: how far it was forwarded, where that is not written yet.
    ///   - oldest: what was created before this is passed over.
    func forwardPage(
        of account: UUID, after position: Int64?, oldest: Timestamp, limit: Int, localIssuer: String
    ) async throws -> ForwardPage {
        try await database.read { sql in
            let found = try sql.first(
                """
                SELECT s.last_sequence, COALESCE($2, c.sequence, 0) AS position, a.issuer, a.subject
                FROM event_sequences s LEFT JOIN ring_forwarding c ON c.account_id = s.account_id
                LEFT JOIN accounts a ON a.id = s.account_id AND a.disabled_at IS NULL WHERE s.account_id = $1
                """, [.uuid(account), .integer(position)])
            guard let found else { return ForwardPage(start: 0, end: 0) }
            var page = ForwardPage(start: try found.int64("position"), end: try found.int64("last_sequence"))
            guard let issuer = try found.optionalText("issuer") else { return page }
            page.user = RingUser.name(
                account: account.lowercaseString, issuer: issuer, subject: try found.text("subject"), localIssuer: localIssuer)
            // Up to the number that was read: what is committed in between would make a hole in the page.
            let read = try OutboxPage(
                of: account, after: page.start, upTo: page.end, since: oldest, where: ForwardRule.isOwn("e"),
                bounds: .init(rows: limit, bytes: limits.pageBytes), in: sql)
            page.isMore = read.isMore
            if read.isMore, let end = read.end { page.end = end }
            page.events = read.events.withoutSuperseded()
            return page
        }
    }

    /// The accounts with events since `time` that are to be forwarded, in the order of their ids: one page of them. It reads the
    /// events since then and no others, whatever the number of accounts.
    func accountsToForward(since time: Timestamp, after last: UUID?, limit: Int) async throws -> [UUID] {
        // Apart, as SQLite would look through the accounts in their order otherwise, with all their events.
        try await database.read { sql in
            try sql.query(
                """
                WITH recent AS MATERIALIZED (
                    SELECT e.account_id, e.sequence FROM events e WHERE e.created_at >= $2 AND \(ForwardRule.isOwn("e")))
                SELECT DISTINCT r.account_id FROM recent r LEFT JOIN ring_forwarding c ON c.account_id = r.account_id
                WHERE r.sequence > COALESCE(c.sequence, 0)\(last == nil ? "" : " AND r.account_id > $3")
                ORDER BY r.account_id LIMIT $1
                """, [.int(limit), .timestamp(time)] + (last.map { [.uuid($0)] } ?? [])
            ).map { try $0.uuid("account_id") }
        }
    }

    /// How many events were created in a time and not forwarded.
    func countUnforwarded(from start: Timestamp, to end: Timestamp) async throws -> Int64 {
        guard start < end else { return 0 }
        return try await database.read { sql in
            try sql.first(
                """
                SELECT COUNT(*) AS value FROM events e JOIN accounts a ON a.id = e.account_id AND a.disabled_at IS NULL
                LEFT JOIN ring_forwarding c ON c.account_id = e.account_id
                WHERE e.created_at >= $1 AND e.created_at < $2 AND \(ForwardRule.isOwn("e")) AND e.sequence > COALESCE(c.sequence, 0)
                """, [.timestamp(start), .timestamp(end)])?.int64("value") ?? 0
        }
    }
}
