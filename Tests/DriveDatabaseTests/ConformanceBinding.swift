import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveDatabase

/// What travels between our values and a prepared statement, and what a statement keeps from one use to the next.
extension DatabaseConformance {
    @Test(arguments: Engine.required)
    func emptyIsNotNull(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            try await database.change("INSERT INTO kinds (id, name, bytes) VALUES ($1, $2, $3)", [.int(1), .text(""), .blob([])])
            try await database.change("INSERT INTO kinds (id, name, bytes) VALUES ($1, $2, $3)", [.int(2), .null, .null])
            let rows = try await database.read { sql in
                try sql.query(
                    """
                    SELECT id, name, bytes, name IS NULL AND bytes IS NULL AS missing, COALESCE(LENGTH(name), -1) AS characters,
                        COALESCE(LENGTH(bytes), -1) AS octets FROM kinds ORDER BY id
                    """
                ).map {
                    (
                        try $0.optionalText("name"), try $0.optionalBlob("bytes"), try $0.bool("missing"), try $0.int("characters"),
                        try $0.int("octets")
                    )
                }
            }
            try #require(rows.count == 2)
            #expect(rows[0] == ("", [], false, 0, 0))
            #expect(rows[1].0 == nil && rows[1].1 == nil)
            #expect((rows[1].2, rows[1].3, rows[1].4) == (true, -1, -1))
            let found = try await database.read { sql in
                try sql.query("SELECT id FROM kinds WHERE name = $1 OR bytes = $2", [.text(""), .blob([])]).map { try $0.int("id") }
            }
            #expect(found == [1])
        }
    }

    /// A NUL is a character to SQLite. PostgreSQL has none in a text and refuses it; neither cuts the text there.
    @Test(arguments: Engine.required, ["\0", "a\0b", "\0\0x", "ж\0", "x\0"])
    func aTextIsNotCutAtANUL(engine: Engine, text: String) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let insert = "INSERT INTO kinds (id, name) VALUES ($1, $2)"
            let cut = String(text.prefix { $0 != "\0" })
            try await database.change(insert, [.int(1), .text(cut)])
            switch engine {
            case .sqlite:
                try await database.change(insert, [.int(2), .text(text)])
                let rows = try await database.read { try $0.query("SELECT id, name FROM kinds WHERE name = $1", [.text(text)]) }
                #expect(try rows.map { try $0.int("id") } == [2])
                #expect(try rows.first?.text("name").utf8.elementsEqual(text.utf8) == true)
            case .postgresql:
                let kind = await failure { try await database.change(insert, [.int(2), .text(text)]) }
                #expect(kind == .statement)
            }
            let kept = try await database.read { try $0.first("SELECT name FROM kinds WHERE id = $1", [.int(1)])?.text("name") }
            #expect(kept == cut)
        }
    }

    /// Bytes stay bytes, also those that look like a text, and ones with a NUL.
    @Test(arguments: Engine.required)
    func bytesAreNoText(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let values: [[UInt8]] = [[0x41], [0x41, 0, 0x42], [0], [0xFF, 0xFE, 0x80], Array("äé".utf8)]
            for (id, bytes) in values.enumerated() {
                try await database.change("INSERT INTO kinds (id, bytes) VALUES ($1, $2)", [.int(id), .blob(bytes)])
            }
            let stored = try await database.read { sql in
                try sql.query("SELECT bytes FROM kinds ORDER BY id").map { try $0.value("bytes") }
            }
            #expect(stored == values.map { .blob($0) })
        }
    }

    @Test(arguments: Engine.required)
    func bigValuesRoundTrip(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let text = String(repeating: "Ünïcödé 👩‍👩‍👧 ", count: 100_000)
            let bytes = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 ^ ($0 >> 8)) }
            for round in 1...3 {
                try await database.change(
                    "INSERT INTO kinds (id, name, bytes) VALUES ($1, $2, $3)", [.int(round), .text(text), .blob(bytes)])
            }
            let same = try await database.read { sql in
                try sql.query("SELECT name, bytes FROM kinds WHERE name = $1 AND bytes = $2", [.text(text), .blob(bytes)]).map {
                    try $0.text("name") == text && $0.blob("bytes") == bytes
                }
            }
            #expect(same == [true, true, true])
        }
    }

    /// `$n` is the n-th argument, whatever stands before it in the statement.
    @Test(arguments: Engine.required)
    func argumentsGoByTheirNumber(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let arguments = (1...12).map { SQLValue.text("v\($0)") }
            let backwards = (1...12).reversed().map { "CAST($\($0) AS VARCHAR) AS c\($0)" }.joined(separator: ", ")
            let row = try await database.read { try $0.first("SELECT \(backwards)", arguments) }
            for number in 1...12 { #expect(try row?.text("c\(number)") == "v\(number)") }

            try await database.change("INSERT INTO kinds (number, name, id) VALUES ($3, $2, $1)", [.int(1), .text("a"), .integer(10)])
            let changed = try await database.change(
                "UPDATE kinds SET number = number + $2, small = $2 WHERE id = $1 AND number > $2 AND name <> '$2' AND id <= $1",
                [.int(1), .int(4)])
            #expect(changed == 1)
            let found = try await database.read {
                try $0.first("SELECT number, small, '$1 ''$2''' AS literal FROM kinds WHERE name = $1 /* $7 */ -- $8", [.text("a")])
            }
            #expect(try found?.int("number") == 14)
            #expect(try found?.int("small") == 4)
            #expect(try found?.text("literal") == "$1 '$2'")
        }
    }

    /// A defect of ours, which no repetition mends.
    @Test(arguments: Engine.required, [0, 1])
    func aMissingArgumentIsAnError(engine: Engine, count: Int) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let insert = "INSERT INTO kinds (id, number) VALUES ($1, $2)"
            let runs = Counter()
            let wrong = await failure {
                try await database.write { sql in
                    runs.raise()
                    return try sql.execute(insert, (0..<count).map { .int($0) })
                }
            }
            #expect(wrong == .statement)
            #expect(runs.count == 1)
            try await database.change(insert, [.int(1), .int(2)])
            let rows = try await database.read { try $0.query("SELECT id FROM kinds").count }
            #expect(rows == 1)
        }
    }

    /// A second statement behind a semicolon is refused, not left out.
    @Test(arguments: Engine.required)
    func aTextIsOneStatement(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let two = "INSERT INTO items VALUES ($1, 'a', 0); INSERT INTO items VALUES (2, 'b', 0)"
            let kind = await failure { try await database.change(two, [.int(1)]) }
            #expect(kind == .statement)
            let rows = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(rows == 0)
            try await database.change("INSERT INTO items VALUES (1, 'a;b', 0);")
        }
    }

    /// After an error the same statement runs again, with nothing left of what was bound.
    @Test(arguments: Engine.required)
    func anErrorLeavesTheStatementUsable(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let insert = "INSERT INTO items (id, name, count) VALUES ($1, $2, $3)"
            for round in 0..<20 {
                let id = round * 10
                try await database.change(insert, [.int(id), .text("item \(round)"), .int(round)])
                let unique = await failure { try await database.change(insert, [.int(id), .text("other"), .int(0)]) }
                guard case .uniqueViolation? = unique else {
                    Issue.record("expected a unique violation, found \(String(describing: unique))")
                    return
                }
                let check = await failure { try await database.change(insert, [.int(id + 1), .text("low \(round)"), .int(-1)]) }
                #expect(check == .constraintViolation)
                let null = await failure { try await database.change(insert, [.int(id + 2), .null, .int(1)]) }
                #expect(null == .constraintViolation)
                // A query that fails at a later row.
                let division = await failure {
                    try await database.read { try $0.query("SELECT \(Self.failing($0.dialect)) AS value FROM items ORDER BY id").count }
                }
                #expect(division == .statement)
            }
            let names = try await database.read { try $0.query("SELECT name FROM items ORDER BY id").map { try $0.text("name") } }
            #expect(names == (0..<20).map { "item \($0)" })
            #expect(try await database.checkIntegrity() == [])
        }
    }

    private static func failing(_ dialect: SQLDialect) -> String {
        // SQLite divides by zero without a word; its ABS does not take the least integer.
        dialect == .sqlite ? "ABS(-9223372036854775807 - 1 + count - count)" : "1 / (count - count)"
    }

    /// More than any cache of statements keeps, and then the first ones again.
    @Test(arguments: Engine.required)
    func thousandsOfStatementsAreFine(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let sums = try await database.read { sql in
                try (Array(0..<2000) + Array(0..<50)).map {
                    try sql.first("SELECT CAST($1 AS BIGINT) + \($0) AS sum", [.int(1_000_000)])?.int("sum") ?? -1
                }
            }
            #expect(sums == (Array(0..<2000) + Array(0..<50)).map { $0 + 1_000_000 })
            try await database.write { sql in
                for id in 0..<2000 {
                    try sql.execute("INSERT INTO items (id, name, count) VALUES (\(id), $1, $2)", [.text("item \(id)"), .int(id)])
                }
            }
            let total = try await database.read { try $0.first("SELECT COUNT(*) AS count, SUM(count) AS sum FROM items") }
            #expect(try total?.int("count") == 2000)
            #expect(try total?.int("sum") == 1999 * 1000)
        }
    }

    /// A table changes under statements that are prepared.
    @Test(arguments: Engine.required)
    func aStatementFollowsItsTable(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            let all = "SELECT * FROM items ORDER BY id"
            try await database.change("INSERT INTO items VALUES (1, 'a', 5)")
            for _ in 0..<3 {
                let counts = try await database.write { try $0.query(all).map { try $0.int("count") } }
                #expect(counts == [5])
            }
            try await database.change("ALTER TABLE items ADD COLUMN note VARCHAR DEFAULT 'new'")
            let added = try await database.write { try $0.query(all).map { (try $0.int("count"), try $0.text("note")) } }
            #expect(added.count == 1 && added[0] == (5, "new"))
            // As many columns as before, under other names.
            try await database.change("ALTER TABLE items DROP COLUMN count")
            try await database.change("ALTER TABLE items ADD COLUMN last VARCHAR DEFAULT 'z'")
            let changed = try await database.write { try $0.query(all).map { (try $0.text("note"), try $0.text("last")) } }
            #expect(changed.count == 1 && changed[0] == ("new", "z"))
            let gone = await failure { try await database.write { try $0.query(all).map { try $0.int("count") } } }
            #expect(gone == .unexpectedResult)
        }
    }

    /// Prepared statements on every connection do not keep the database open.
    @Test(arguments: Engine.required)
    func aUsedDatabaseCloses(engine: Engine) async throws {
        try await engine.withDatabase([Self.items]) { database in
            try await concurrently(40) { number in
                try await database.change("INSERT INTO items VALUES ($1, $2, 0)", [.int(number), .text("item \(number)")])
                _ = try await database.read { try $0.query("SELECT id FROM items WHERE count = $1", [.int(0)]).count }
            }
            await database.close()
            let writing = await failure { try await database.change("INSERT INTO items VALUES ($1, $2, 0)", [.int(99), .text("late")]) }
            #expect(writing == .unavailable)
            let reading = await failure {
                try await database.read { try $0.query("SELECT id FROM items WHERE count = $1", [.int(0)]).count }
            }
            #expect(reading == .unavailable)
        }
    }

    /// No connection is left open, whatever it had prepared.
    @Test func closingLeavesNoDescriptor() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "drive-db-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let database = try SQLiteDatabase(path: folder.appending(path: "test.sqlite").path(), logger: Engine.logger)
        try await database.change("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        try await concurrently(20) { number in
            try await database.change("INSERT INTO items VALUES ($1, $2)", [.int(number), .text("a")])
            _ = try await database.read { try $0.query("SELECT name FROM items WHERE id = $1", [.int(number)]).count }
        }
        guard FileManager.default.fileExists(atPath: "/proc/self/fd") else { return }
        #expect(Self.openFiles(in: folder.lastPathComponent) > 0)
        await database.close()
        #expect(Self.openFiles(in: folder.lastPathComponent) == 0)
    }

    /// Descriptors of this process for files of a folder.
    private static func openFiles(in folder: String) -> Int {
        let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return descriptors.filter {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0))?.contains(folder) == true
        }.count
    }
}
