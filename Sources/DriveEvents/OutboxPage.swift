import DriveDatabase
import DriveModel
import Foundation

/// A page of an account's events, in their order: bounded by rows and by bytes, since other programs say how large an event is.
struct OutboxPage: Sendable {
    /// What bounds a page.
    struct Bounds: Hashable, Sendable {
        var rows: Int
        /// Of the data of its events; one that is larger by itself is a page of its own.
        var bytes: Int
    }

    struct Entry: Hashable, Sendable {
        var event: LiveEvent
        var createdAt: Timestamp
    }

    private(set) var entries: [Entry] = []
    /// The number of the last event that was looked at; nil of an empty page.
    private(set) var end: Int64?
    /// There may be more behind it.
    private(set) var isMore = false

    var events: [LiveEvent] { entries.map(\.event) }

    /// Reads a page by one statement, where its events are few and small, as they mostly are.
    ///
    /// Data comes with its row where even a page of nothing else would be within the bounds; larger data is read apart, once it is
    /// known how much of it the page takes. The engine has to look at data to say how long it is, so the first rows are looked at
    /// before all others.
    ///
    /// - Parameters:
    ///   - last: no events with a larger number.
    ///   - oldest: none that were created before.
    ///   - condition: on a row of `events`, which is `e`; in SQL, without arguments.
    init(
        of account: UUID, after position: Int64, upTo last: Int64? = nil, since oldest: Timestamp? = nil, where condition: String? = nil,
        bounds: Bounds, in sql: any SQLSession
    ) throws {
        var selection = Selection(account: account, position: position, last: last, oldest: oldest, condition: condition)
        let mostRows = max(1, bounds.rows)
        let inline = bounds.bytes / mostRows
        var (rows, bytes) = (0, 0)
        while true {
            let limit = min(rows == 0 ? Self.firstRows : .max, mostRows - rows)
            let found = try selection.heads(limit: limit, inline: inline, in: sql)
            var taken: [Head] = []
            for head in found {
                bytes += head.bytes
                guard rows == 0 || bytes <= bounds.bytes else { break }
                rows += 1
                taken.append(head)
            }
            try append(taken, of: selection, inline: inline, in: sql)
            isMore = taken.count < found.count || rows >= mostRows
            guard !isMore, found.count == limit, let end else { return }
            selection.position = end
        }
    }

    private static let firstRows = 32

    private mutating func append(_ heads: [Head], of selection: Selection, inline: Int, in sql: any SQLSession) throws {
        guard let last = heads.last else { return }
        end = last.sequence
        let apart = heads.filter { $0.data == nil }
        var larger: [Int64: String] = [:]
        if let first = apart.first, let last = apart.last {
            larger = try selection.larger(than: inline, from: first.sequence, to: last.sequence, in: sql)
        }
        for head in heads {
            // One that was removed between the two statements is gone.
            guard let data = head.data ?? larger[head.sequence] else { continue }
            entries.append(Entry(event: try LiveEvent(head.row, data: data), createdAt: try head.row.timestamp("created_at")))
        }
    }

    /// An event, as long as it is open whether the page takes it.
    private struct Head {
        var row: SQLRow
        var sequence: Int64
        /// Of its data.
        var bytes: Int
        /// Nil where it is read apart.
        var data: String?
    }

    /// The events that a page is read from.
    private struct Selection {
        var account: UUID
        var position: Int64
        var last: Int64?
        var oldest: Timestamp?
        var condition: String?

        private var arguments: [SQLValue] {
            [.uuid(account), .integer(position)] + (last.map { [.integer($0)] } ?? []) + (oldest.map { [.timestamp($0)] } ?? [])
        }

        /// With `arguments`.
        private var clause: String {
            var terms = ["account_id = $1"]
            if let condition { terms.append("(\(condition))") }
            terms.append("sequence > $2")
            if last != nil { terms.append("sequence <= $3") }
            if oldest != nil { terms.append("created_at >= $\(last == nil ? 3 : 4)") }
            return terms.joined(separator: " AND ")
        }

        private static func bytes(_ dialect: SQLDialect) -> String {
            dialect == .sqlite ? "LENGTH(CAST(data AS BLOB))" : "OCTET_LENGTH(data::text)"
        }

        /// The first events, with the data of those that have at most `inline` bytes of it.
        func heads(limit: Int, inline: Int, in sql: any SQLSession) throws -> [Head] {
            let count = arguments.count
            // The limit stands within, so that PostgreSQL writes each row's data as a text once.
            return try sql.query(
                """
                SELECT sequence, type, task_id, relay, created_at, bytes, CASE WHEN bytes <= $\(count + 2) THEN data END AS data FROM (
                    SELECT sequence, type, task_id, relay, created_at, data, \(Self.bytes(sql.dialect)) AS bytes FROM events e
                    WHERE \(clause) ORDER BY sequence LIMIT $\(count + 1)
                ) page ORDER BY sequence
                """, arguments + [.int(limit), .int(inline)]
            ).map {
                Head(row: $0, sequence: try $0.int64("sequence"), bytes: try $0.int("bytes"), data: try $0.optionalText("data"))
            }
        }

        /// The data of those that have more of it, by their numbers.
        func larger(than inline: Int, from first: Int64, to last: Int64, in sql: any SQLSession) throws -> [Int64: String] {
            var part = self
            (part.position, part.last) = (first - 1, last)
            let rows = try sql.query(
                """
                SELECT sequence, data FROM events e WHERE \(part.clause) AND \(Self.bytes(sql.dialect)) > $\(part.arguments.count + 1)
                """, part.arguments + [.int(inline)])
            return Dictionary(try rows.map { (try $0.int64("sequence"), try $0.text("data")) }, uniquingKeysWith: { $1 })
        }
    }
}
