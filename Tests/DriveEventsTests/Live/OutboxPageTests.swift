import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// What is read of an account's events at once, over each engine.
@Suite(.timeLimit(.minutes(1))) struct OutboxPageTests {
    private struct Row: CustomStringConvertible {
        /// Characters of each event's text, of two bytes each.
        var texts: [Int]
        var rows = 256
        var bytes = 2500
        /// How many events each page has.
        var pages: [Int]

        var description: String { "\(texts.count) events by \(rows), \(bytes): \(pages)" }
    }

    /// A text of 400 is some 820 bytes of data: three are within 2,500, by their characters six would be.
    private static let table = [
        Row(texts: [], pages: [0]),
        Row(texts: [1, 2, 3], pages: [3]),
        Row(texts: Array(repeating: 1, count: 5), rows: 2, pages: [2, 2, 1]),
        Row(texts: Array(repeating: 1, count: 4), rows: 2, pages: [2, 2, 0]),
        Row(texts: Array(repeating: 400, count: 7), pages: [3, 3, 1]),
        Row(texts: [400, 400, 4000, 1, 1], pages: [2, 1, 2]),
        Row(texts: [4000, 4000], pages: [1, 1]),
        Row(texts: [1, 4000], pages: [1, 1]),
        // Data that comes with its row, and data that is read apart, in one page.
        Row(texts: [1, 400, 1, 600, 1], rows: 8, pages: [5]),
        // More than are looked at first.
        Row(texts: Array(repeating: 1, count: 100), bytes: 1 << 20, pages: [100]),
        Row(texts: Array(repeating: 1, count: 32), bytes: 1 << 20, pages: [32]),
        Row(texts: Array(repeating: 1, count: 40) + [4000, 400], bytes: 9000, pages: [41, 1]),
        Row(texts: [1, 1], rows: 0, bytes: 0, pages: [1, 1, 0]),
    ]

    /// Of 256 KiB that a worker said PostgreSQL makes 11 MB, which nobody is to keep or send.
    @Test(arguments: Engine.underTest)
    func longNumbersAreAsShortAsTheyWere(engine: Engine) async throws {
        try await engine.with { database in
            let account = UUID()
            let data = "{\"n\":[\(Array(repeating: "1e+300", count: 36_000).joined(separator: ","))]}"
            try await Self.append([OutboxEvent(account: account, type: "task.completed", taskId: "t", data: data)], database)
            let page = try await database.read { sql in
                try OutboxPage(of: account, after: 0, bounds: .init(rows: 256, bytes: 512 << 10), in: sql)
            }
            #expect(page.events.map { $0.data.utf8.count } == [data.utf8.count])
            #expect(page.events.first?.data == data)
        }
    }

    @Test(arguments: Engine.underTest)
    func aPageIsBoundedByRowsAndBytes(engine: Engine) async throws {
        try await engine.with { database in
            for row in Self.table {
                let account = UUID()
                try await Self.append(row.texts.map { Self.event(account, String(repeating: "é", count: $0)) }, database)
                let bounds = OutboxPage.Bounds(rows: row.rows, bytes: row.bytes)
                var (pages, seen, position) = ([Int](), [LiveEvent](), Int64(0))
                while true {
                    let page = try await database.read { [position] sql in
                        try OutboxPage(of: account, after: position, bounds: bounds, in: sql)
                    }
                    pages.append(page.entries.count)
                    seen += page.events
                    #expect(page.end == page.events.last?.sequence, "\(row)")
                    #expect(page.entries.allSatisfy { $0.createdAt == ManualClock.start }, "\(row)")
                    guard page.isMore, let end = page.end, pages.count <= row.pages.count else { break }
                    position = end
                }
                #expect(pages == row.pages)
                #expect(seen.map(\.sequence) == Array(1..<Int64(row.texts.count + 1)), "\(row)")
                #expect(try seen.map { try DriveJSON.value([String: String].self, from: $0.data)["text"]?.count } == row.texts, "\(row)")
            }
        }
    }

    /// Each event, and the page's bounds, are what they would be without the others in between; larger ones are none of them.
    @Test(arguments: Engine.underTest)
    func aPageHasWhatWasAskedForAlone(engine: Engine) async throws {
        try await engine.with { database in
            let (account, other) = (UUID(), UUID())
            let text = String(repeating: "x", count: 3000)
            try await Self.append([Self.event(account, text)], at: ManualClock.start - .seconds(1), database)
            let relay = try DriveJSON.text(EventRelay())
            try await Self.append(
                [
                    Self.event(account, text), Self.event(account, text + text, relay: relay), Self.event(other, text),
                    Self.event(account, "small"), Self.event(account, "packet", relay: relay), Self.event(account, text),
                    Self.event(account, text),
                ], database)
            let page = try await database.read { sql in
                try OutboxPage(
                    of: account, after: 0, upTo: 6, since: ManualClock.start, where: "e.relay IS NULL",
                    bounds: .init(rows: 4, bytes: 8000), in: sql)
            }
            #expect(page.events.map(\.sequence) == [2, 4, 6])
            #expect(!page.isMore && page.end == 6)
            let whole = try await database.read { sql in
                try OutboxPage(of: account, after: 2, upTo: 5, bounds: .init(rows: 9, bytes: 1 << 20), in: sql)
            }
            #expect(whole.events.map { $0.relay != nil } == [true, false, true])
        }
    }

    /// What a live client waits for: one statement, however many small events there are in a moment.
    @Test(arguments: Engine.underTest)
    func aPageOfSmallEventsIsNextToNothing(engine: Engine) async throws {
        try await engine.with { database in
            for (events, statements) in [(0, 1), (1, 1), (31, 1), (33, 2), (256, 2)] {
                let account = UUID()
                try await Self.append((0..<events).map { Self.event(account, "\($0)") }, database)
                let limits = EventHub.Limits()
                let bounds = OutboxPage.Bounds(rows: limits.page, bytes: limits.pageBytes)
                let found = try await database.read { sql in
                    let counter = StatementCounter(sql)
                    let page = try OutboxPage(of: account, after: 0, bounds: bounds, in: counter)
                    return [page.entries.count, counter.count]
                }
                #expect(found == [events, statements])
            }
        }
    }

    private static func event(_ account: UUID, _ text: String, relay: String? = nil) -> OutboxEvent {
        OutboxEvent(account: account, type: "chat.message", taskId: nil, data: #"{"text":"\#(text)"}"#, relay: relay)
    }

    private static func append(_ events: [OutboxEvent], at time: Timestamp = ManualClock.start, _ database: any Database) async throws {
        try await database.write { try EventOutbox.append(events, now: time, in: $0) }
    }

    private final class StatementCounter: SQLSession {
        private let base: any SQLSession
        private(set) var count = 0

        init(_ base: any SQLSession) {
            self.base = base
        }

        var dialect: SQLDialect { base.dialect }

        func execute(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> Int {
            count += 1
            return try base.execute(sql, arguments)
        }

        func query(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> [SQLRow] {
            count += 1
            return try base.query(sql, arguments)
        }

        func afterCommit(_ work: @escaping @Sendable () -> Void) { base.afterCommit(work) }
        func notify(_ channel: String, _ payload: String) { base.notify(channel, payload) }
    }
}
