import DriveModel
import EngineTestSupport
import Testing

@testable import DriveDatabase

extension DatabaseConformance {
    @Test(arguments: Engine.required)
    func whatThrowsLeavesNothing(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            await #expect(throws: Refusal()) {
                try await database.write { sql in
                    try sql.execute("INSERT INTO items VALUES (1, 'a', 0)")
                    throw Refusal()
                }
            }
            let count = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(count == 0)
        }
    }

    @Test(arguments: Engine.required)
    func concurrentIncrementsAreAllCounted(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            try await database.change("INSERT INTO items VALUES (1, 'a', 0)")
            try await concurrently(200) { _ in
                try await database.change("UPDATE items SET count = count + 1 WHERE id = $1", [.int(1)])
            }
            let count = try await database.read { try $0.first("SELECT count FROM items")?.int("count") }
            #expect(count == 200)
        }
    }

    @Test(arguments: Engine.required)
    func readThenWriteUnderLockIsNotLost(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            try await database.change("INSERT INTO items VALUES (1, 'a', 0)")
            try await concurrently(50) { _ in
                try await database.write { sql in
                    let count = try sql.first("SELECT count FROM items WHERE id = 1" + sql.dialect.forUpdate)?.int("count") ?? 0
                    try sql.execute("UPDATE items SET count = $1 WHERE id = 1", [.int(count + 1)])
                }
            }
            let count = try await database.read { try $0.first("SELECT count FROM items")?.int("count") }
            #expect(count == 50)
        }
    }

    /// In SQLite these share one group and one COMMIT.
    @Test(arguments: Engine.required)
    func aFailingWriteLeavesItsNeighbours(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let refused = Counter()
            try await concurrently(64) { number in
                do {
                    try await database.write { sql in
                        try sql.execute("INSERT INTO items VALUES ($1, $2, 0)", [.int(number), .text("item \(number)")])
                        if number == 13 { throw Refusal() }
                    }
                } catch is Refusal {
                    refused.raise()
                }
            }
            let ids = try await database.read { try $0.query("SELECT id FROM items ORDER BY id").map { try $0.int("id") } }
            #expect(ids == (0..<64).filter { $0 != 13 })
            #expect(refused.count == 1)
        }
    }

    @Test(arguments: Engine.required)
    func aUniqueViolationLeavesItsNeighbours(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let violations = Counter()
            try await concurrently(64) { number in
                do {
                    // The numbers 40 to 43 claim one name.
                    let name = (40..<44).contains(number) ? "shared" : "item \(number)"
                    try await database.change("INSERT INTO items VALUES ($1, $2, 0)", [.int(number), .text(name)])
                } catch let error as DatabaseError {
                    guard case .uniqueViolation = error.kind else { throw error }
                    violations.raise()
                }
            }
            let names = try await database.read { try $0.query("SELECT name FROM items").map { try $0.text("name") } }
            #expect(names.count == 61)
            #expect(names.filter { $0 == "shared" }.count == 1)
            #expect(violations.count == 3)
        }
    }

    @Test(arguments: Engine.required)
    func aReadSeesOneMoment(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            try await database.change("INSERT INTO items VALUES (1, 'a', 100), (2, 'b', 0)")
            let (looked, announce) = AsyncStream<Void>.makeStream()
            let written = Signal()
            async let seen = database.read { sql in
                let before = try sql.query("SELECT count FROM items ORDER BY id").map { try $0.int("count") }
                announce.finish()
                let isWritten = written.wait()
                return (before, try sql.query("SELECT count FROM items ORDER BY id").map { try $0.int("count") }, isWritten)
            }
            for await _ in looked {}
            try await database.write { sql in
                try sql.execute("UPDATE items SET count = count - 60 WHERE id = 1")
                try sql.execute("UPDATE items SET count = count + 60 WHERE id = 2")
            }
            written.send()
            let (before, after, isWritten) = try await seen
            #expect(isWritten)
            #expect(before == [100, 0])
            #expect(after == before)
            let now = try await database.read { try $0.query("SELECT count FROM items ORDER BY id").map { try $0.int("count") } }
            #expect(now == [40, 60])
        }
    }

    @Test(arguments: Engine.required)
    func aConditionalUpdateNeverExceedsTheQuota(engine: Engine) async throws {
        let table = "CREATE TABLE quota (id {int} PRIMARY KEY, used {bigint} NOT NULL, allowed {bigint} NOT NULL)"
        try await engine.withDatabase([table]) { database in
            try await database.change("INSERT INTO quota VALUES (1, 0, 505)")
            let granted = Counter()
            try await concurrently(100) { _ in
                let changed = try await database.change(
                    "UPDATE quota SET used = used + $1 WHERE id = $2 AND used + $1 <= allowed", [.int(10), .int(1)])
                if changed == 1 { granted.raise() }
            }
            let used = try await database.read { try $0.first("SELECT used FROM quota")?.int("used") }
            #expect(granted.count == 50)
            #expect(used == 500)
        }
    }

    @Test(arguments: Engine.required)
    func aClosedDatabaseIsUnavailable(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            await database.close()
            let writing = await failure { try await database.change("INSERT INTO items VALUES (1, 'a', 0)") }
            #expect(writing == .unavailable)
            let reading = await failure { try await database.read { try $0.query("SELECT id FROM items").count } }
            #expect(reading == .unavailable)
        }
    }

    @Test(arguments: Engine.required)
    func closingFinishesWhatWasAccepted(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let gate = Signal()
            let (began, announce) = AsyncStream<Void>.makeStream()
            async let written = database.write { sql in
                announce.finish()
                let isOpen = gate.wait()
                try sql.execute("INSERT INTO items VALUES (1, 'a', 0)")
                return isOpen
            }
            for await _ in began {}
            async let closed: Void = database.close()
            gate.send()
            let isOpen = try await written
            #expect(isOpen)
            await closed
        }
    }

    @Test(arguments: Engine.required)
    func migratingTwiceIsHarmless(engine: Engine) async throws {
        try await engine.withDatabase { database in
            try await Schema.migrate(database)
            let first = try await version(database)
            try await concurrently(4) { _ in try await Schema.migrate(database) }
            let second = try await version(database)
            #expect(first == Schema.currentVersion)
            #expect(second == first)
            let applied = try await database.read { try $0.query("SELECT version FROM schema_migrations").count }
            #expect(applied == Schema.migrations.count)
            let findings = try await database.checkIntegrity()
            #expect(findings == [])
        }
    }

    private func version(_ database: any Database) async throws -> Int? {
        try await database.read { try $0.first("SELECT MAX(version) AS version FROM schema_migrations")?.int("version") }
    }

    /// Runs `body` for 0..<count at once and throws the first error.
    func concurrently(_ count: Int, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count { group.addTask { try await body(number) } }
            try await group.waitForAll()
        }
    }
}
