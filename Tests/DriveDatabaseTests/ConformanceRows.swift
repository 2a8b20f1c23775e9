import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveDatabase

/// Many rows, or many identifiers, in one parameter.
extension DatabaseConformance {
    private static let awkward = [
        "", " ", "a'b\"c\\d", "\\", "\"", "\\u0041", "$1 ?", "{a,b}", "[1,2]", "null", "true", "1", "1e3", "\u{1}\t\r\n\u{1F}", "\u{7F}",
        "naïve", "nai\u{308}ve", "👩‍👩‍👧 𝔘", "\u{202E}rtl", "\u{2028}\u{2029}", "\u{FFFF}", String(repeating: "ж\"", count: 50_000),
    ]

    @Test(arguments: Engine.required)
    func textsInRowsRoundTrip(engine: Engine) async throws {
        try await engine.withDatabase { database in
            var rows = SQLRows()
            for (index, text) in Self.awkward.enumerated() {
                rows.append { row in
                    row.add("name", text)
                    row.add("position", Int64(index))
                }
            }
            #expect(rows.count == Self.awkward.count && !rows.isEmpty)
            let value = rows.value
            let back = try await database.read { sql in
                let table = sql.dialect.rows("$1", ["position": .bigint, "name": .text])
                return try sql.query("SELECT x.name FROM \(table) ORDER BY x.position", [value]).map { try $0.text("name") }
            }
            #expect(back.map { Array($0.utf8) } == Self.awkward.map { Array($0.utf8) })
        }
    }

    /// Every type of column, in the order of the names and not of the members; what a row lacks is NULL.
    @Test(arguments: Engine.required)
    func rowsKeepTheirTypes(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let id = UUID()
            let numbers: [Int64] = [.min, -1, 0, 1 << 53 + 1, .max]
            let fractions: [Double] = [0, -0.5, 0.1, 1 / 3, 1e300, .leastNonzeroMagnitude, 100, -.greatestFiniteMagnitude]
            let document: [String: JSONValue] = ["a": [1, "x\"\\\n", .null], "ü": ["deep": .double(0.25)]]
            let json = try DriveJSON.text(document)
            var rows = SQLRows()
            rows.append { _ in }
            for (index, number) in numbers.enumerated() {
                rows.append { row in
                    row.add("number", number)
                    row.add("id", Int64(index + 1))
                }
            }
            for (index, fraction) in fractions.enumerated() {
                rows.append { row in
                    row.add("id", Int64(index + 100))
                    row.add("fraction", .double(fraction))
                    row.add("key", id.uuidString.lowercased())
                    row.add("document", json: json)
                }
            }
            let value = rows.value
            try await database.write { sql in
                let table = sql.dialect.rows(
                    "$1", ["id": .bigint, "number": .bigint, "fraction": .double, "key": .uuid, "document": .json])
                try sql.execute(
                    """
                    INSERT INTO kinds (id, number, fraction, key, document)
                    SELECT COALESCE(x.id, -1), x.number, x.fraction, x.key, x.document FROM \(table)
                    """, [value])
            }
            let found = try await database.read { sql in
                let all = try sql.query("SELECT * FROM kinds ORDER BY id")
                return (
                    empty: try ["number", "fraction", "key", "document"].map { try all.first?.value($0) },
                    numbers: try all.dropFirst().prefix(numbers.count).map { try $0.int64("number") },
                    fractions: try all.suffix(fractions.count).map { try $0.double("fraction") },
                    keys: Set(try all.suffix(fractions.count).map { try $0.uuid("key") }),
                    documents: Set(try all.suffix(fractions.count).map { try $0.decoded("document") as JSONValue })
                )
            }
            #expect(found.empty == [.null, .null, .null, .null])
            #expect(found.numbers == numbers)
            #expect(found.fractions == fractions)
            #expect(found.keys == [id])
            #expect(found.documents == [.object(document)])
        }
    }

    @Test(arguments: Engine.required)
    func noRowsAreNone(engine: Engine) async throws {
        try await engine.withDatabase { database in
            let rows = SQLRows()
            #expect(rows.isEmpty)
            let value = rows.value
            let count = try await database.read { sql in
                try sql.query("SELECT x.name FROM \(sql.dialect.rows("$1", ["name": .text]))", [value]).count
            }
            #expect(count == 0)
        }
    }

    /// One statement changes many rows, each in its own way, and says which.
    @Test(arguments: Engine.required)
    func rowsUpdateTheirLikes(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            for id in 1...4 { try await database.change("INSERT INTO kinds (id, number) VALUES ($1, 0)", [.int(id)]) }
            var rows = SQLRows()
            for id: Int64 in [4, 2, 9] {
                rows.append { row in
                    row.add("id", id)
                    row.add("change", id * 10)
                }
            }
            let value = rows.value
            let changed = try await database.write { sql in
                let table = sql.dialect.rows("$1", ["id": .bigint, "change": .bigint])
                return try sql.query(
                    "UPDATE kinds SET number = number + x.change FROM \(table) WHERE kinds.id = x.id AND number = $2 RETURNING kinds.id",
                    [value, .int(0)]
                ).map { try $0.int("id") }
            }
            #expect(Set(changed) == [2, 4])
            let numbers = try await database.read { try $0.query("SELECT number FROM kinds ORDER BY id").map { try $0.int("number") } }
            #expect(numbers == [0, 20, 0, 40])
        }
    }

    @Test(arguments: Engine.required)
    func aListFindsItsTexts(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let identifiers = ["a", "b-1", "0", "0VbcL4eIAsga6ONdYLl2chgdI4Kn", "A", "null"]
            for (id, name) in identifiers.enumerated() {
                try await database.change("INSERT INTO kinds (id, name) VALUES ($1, $2)", [.int(id), .text(name)])
            }
            for wanted in [["a"], ["A", "0"], identifiers, ["absent"], ["absent", "b-1"], ["b", "1"], []] {
                let found = try await database.read { sql in
                    try sql.query("SELECT name FROM kinds WHERE name \(sql.dialect.isAny("$1"))", [sql.dialect.list(wanted)])
                        .map { try $0.text("name") }
                }
                #expect(Set(found) == Set(wanted).intersection(identifiers), "\(wanted)")
                #expect(found.count == Set(found).count)
            }
        }
    }

    @Test(arguments: Engine.required)
    func aListFindsItsUUIDs(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let keys = (0..<300).map { _ in UUID() }
            for (id, key) in keys.enumerated() {
                try await database.change("INSERT INTO kinds (id, key) VALUES ($1, $2)", [.int(id), .uuid(key)])
            }
            for wanted in [[], [UUID()], [keys[7]], keys.suffix(200) + [UUID()]] {
                let found = try await database.read { sql in
                    let list = sql.dialect.list(wanted.map { $0.uuidString.lowercased() })
                    return try sql.query("SELECT key FROM kinds WHERE key \(sql.dialect.isAnyUUID("$1"))", [list])
                        .map { try $0.uuid("key") }
                }
                #expect(Set(found) == Set(wanted).intersection(keys))
            }
        }
    }
}
