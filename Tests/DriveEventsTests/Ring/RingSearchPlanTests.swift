import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// The search that every server makes again and again reads the news, and not the table that they are a small part of.
@Suite(.timeLimit(.minutes(1))) struct RingSearchPlanTests {
    @Test(arguments: Engine.underTest, [false, true])
    func theLatestNewsAreFoundByTheirIndex(engine: Engine, isContinued: Bool) async throws {
        try await RingSite.with(engine) { site in
            for _ in 0..<5 {
                let steps = (1...1000).map { DriveEvent.step("\($0)") }
                try await site.send(steps + [.completed("a")], to: UUID())
            }
            // SQLite plans without having counted anything, as it does in service.
            if engine == .postgresql { _ = try await site.database.write { try $0.execute("ANALYZE events") } }
            let arguments: [SQLValue] = [.int(200), .timestamp(site.clock.now - .seconds(900))] + (isContinued ? [.uuid(UUID())] : [])
            let sql = RingDirectory.latestNews(isContinued: isContinued)
            let (explain, column) = engine == .sqlite ? ("EXPLAIN QUERY PLAN ", "detail") : ("EXPLAIN ", "QUERY PLAN")
            let plan = try await site.database.read { try $0.query(explain + sql, arguments).map { try $0.text(column) } }
                .joined(separator: "\n")
            #expect(plan.contains("idx_events_news"), "\(plan)")
            for scan in ["SCAN e", "Seq Scan on events", "idx_events_created"] { #expect(!plan.contains(scan), "\(plan)") }
        }
    }

    /// What the search finds: news behind the cursor, not older, of accounts after one, and no packets of other programs.
    @Test(arguments: Engine.underTest) func onlyNewsAreFound(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let accounts = (0..<5).map { _ in UUID() }.sorted { $0.lowercaseString < $1.lowercaseString }
            let (news, old, told, steps, packets) = (accounts[0], accounts[1], accounts[2], accounts[3], accounts[4])
            let (now, directory) = (site.clock.now, site.directory)
            try await site.send([.completed("a"), .completed("b")], to: news)
            try await site.send([.completed("a")], to: old, at: now - .seconds(1000))
            try await site.send([.completed("a")], to: told)
            _ = try await directory.dispatch(told, enqueue: RingSite.enqueue)
            try await site.send([.step("a")], to: steps)
            try await site.sendPacket(to: packets)
            #expect(try await directory.accountsWithNews(since: now - .seconds(900), after: nil, limit: 10) == [news])
            #expect(try await directory.accountsWithNews(since: now - .seconds(1001), after: nil, limit: 10) == [news, old])
            #expect(try await directory.accountsWithNews(since: now - .seconds(1001), after: nil, limit: 1) == [news])
            #expect(try await directory.accountsWithNews(since: now - .seconds(1001), after: news, limit: 10) == [old])
            #expect(Set(try await directory.accountsWithNews(among: accounts)) == [news, old])
        }
    }
}
