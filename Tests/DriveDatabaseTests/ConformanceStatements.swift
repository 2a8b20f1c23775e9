import DriveModel
import EngineTestSupport
import Testing

@testable import DriveDatabase

extension DatabaseConformance {
    static let items = "CREATE TABLE items (id {int} PRIMARY KEY, name {text} NOT NULL UNIQUE, count {bigint} NOT NULL CHECK (count >= 0))"

    @Test(arguments: Engine.required)
    func changedRowsAreCounted(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let counts = try await database.write { sql in
                [
                    try sql.execute("INSERT INTO items VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 5)"),
                    try sql.execute("UPDATE items SET count = count + $1 WHERE count = $2", [.int(1), .int(0)]),
                    try sql.execute("UPDATE items SET count = 9 WHERE id = $1", [.int(99)]),
                    try sql.execute("INSERT INTO items VALUES (1, 'a', 0) ON CONFLICT DO NOTHING"),
                    try sql.execute("DELETE FROM items WHERE id > $1", [.int(1)]),
                ]
            }
            #expect(counts == [3, 2, 0, 0, 2])
        }
    }

    @Test(arguments: Engine.required)
    func changesReturnRows(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let names = try await database.write { sql in
                try sql.query("INSERT INTO items VALUES ($1, $2, 3) RETURNING name, count", [.int(1), .text("a")])
                    .map { try $0.text("name") }
            }
            #expect(names == ["a"])
            let count = try await database.write {
                try $0.first("UPDATE items SET count = count * 2 WHERE id = $1 RETURNING count", [.int(1)])?.int("count")
            }
            #expect(count == 6)
            let missing = try await database.write { sql in
                try sql.query("DELETE FROM items WHERE id = $1 RETURNING id", [.int(2)]).count
            }
            #expect(missing == 0)
        }
    }

    @Test(arguments: Engine.required)
    func conflictsUpdate(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            for _ in 0..<3 {
                try await database.change(
                    """
                    INSERT INTO items (id, name, count) VALUES ($1, $2, $3)
                    ON CONFLICT (id) DO UPDATE SET count = items.count + excluded.count
                    """, [.int(1), .text("a"), .int(5)])
            }
            let count = try await database.read { try $0.first("SELECT count FROM items")?.int("count") }
            #expect(count == 15)
        }
    }

    @Test(arguments: Engine.required)
    func sumsAndMissingColumnsAreReadByKind(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            try await database.change("INSERT INTO items VALUES (1, 'a', 4), (2, 'b', 5)")
            let sum = try await database.read { try $0.first("SELECT SUM(count) AS total FROM items")?.int64("total") }
            #expect(sum == 9)
            let kind = await failure { try await database.read { try $0.first("SELECT id FROM items")?.int("other") } }
            #expect(kind == .unexpectedResult)
        }
    }

    @Test(arguments: Engine.required)
    func refusalsHaveTheirKind(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            try await database.change("INSERT INTO items VALUES (1, 'a', 0)")
            let unique = await failure { try await database.change("INSERT INTO items VALUES (2, 'a', 0)") }
            guard case .uniqueViolation(let name) = unique else {
                Issue.record("expected a unique violation, found \(String(describing: unique))")
                return
            }
            #expect(name.contains("name"), "the constraint's or the column's name")
            let primary = await failure { try await database.change("INSERT INTO items VALUES (1, 'b', 0)") }
            guard case .uniqueViolation = primary else {
                Issue.record("expected a unique violation, found \(String(describing: primary))")
                return
            }
            let check = await failure { try await database.change("UPDATE items SET count = -1") }
            #expect(check == .constraintViolation)
            let null = await failure { try await database.change("INSERT INTO items VALUES (3, NULL, 0)") }
            #expect(null == .constraintViolation)
            let wrong = await failure { try await database.read { try $0.query("SELECT nothing FROM nowhere").count } }
            #expect(wrong == .statement)
            let reading = await failure { try await database.read { try $0.execute("DELETE FROM items") } }
            #expect(reading == .statement, "a read must not change anything")
            let left = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(left == 1)
        }
    }

    /// The kind of the `DatabaseError` that `body` throws; nil where it throws none.
    func failure<Result>(of body: () async throws -> Result) async -> DatabaseError.Kind? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? DatabaseError)?.kind
        }
    }
}
