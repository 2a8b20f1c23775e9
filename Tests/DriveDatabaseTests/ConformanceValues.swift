import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveDatabase

/// What `Database` promises, over every engine. The other files of this name extend it.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct DatabaseConformance {
    static let values = """
        CREATE TABLE kinds (id {int} PRIMARY KEY, number {bigint}, small {int}, fraction {double}, name {text}, bytes {bytes},
            flag {bool}, at {timestamp}, key {uuid}, document {json})
        """

    @Test(arguments: Engine.required)
    func integersRoundTrip(engine: Engine) async throws {
        try await roundTrip(engine, "number", [0, 1, -1, .max, .min, 1 << 31, -(1 << 31) - 1], { .integer($0) }) {
            try $0.int64("number")
        }
        try await roundTrip(engine, "small", [0, 2_147_483_647, -2_147_483_648], { .integer($0) }) { try $0.int64("small") }
    }

    @Test(arguments: Engine.required)
    func doublesRoundTrip(engine: Engine) async throws {
        let numbers = [0, -0.5, 0.1, 1 / 3, .greatestFiniteMagnitude, .leastNormalMagnitude, 1e300, 100, .infinity]
        try await roundTrip(engine, "fraction", numbers, { .double($0) }) { try $0.double("fraction") }
    }

    @Test(arguments: Engine.required)
    func textsRoundTrip(engine: Engine) async throws {
        let texts = [
            "", " ", "a'b\"c\\d", "$1 ?", "\u{1}\t\r\n", "naïve", "nai\u{308}ve", "👩‍👩‍👧 𝔘", "\u{202E}rtl", "\u{FFFF}",
            String(repeating: "ж", count: 100_000),
        ]
        try await roundTrip(engine, "name", texts.map { Array($0.utf8) }, { .text(String(decoding: $0, as: UTF8.self)) }) {
            Array(try $0.text("name").utf8)
        }
    }

    @Test(arguments: Engine.required)
    func bytesRoundTrip(engine: Engine) async throws {
        let blobs: [[UInt8]] = [[], [0], [0, 0, 255], Array(0...255), Array(repeating: 0x5C, count: 300_000)]
        try await roundTrip(engine, "bytes", blobs, { .blob($0) }) { try $0.blob("bytes") }
    }

    @Test(arguments: Engine.required)
    func flagsRoundTrip(engine: Engine) async throws {
        try await roundTrip(engine, "flag", [true, false], { .bool($0) }) { try $0.bool("flag") }
    }

    @Test(arguments: Engine.required)
    func timestampsRoundTrip(engine: Engine) async throws {
        let times = try [
            "1970-01-01T00:00:00Z", "2026-11-21T00:36:55.123456Z", "1969-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z", "2000-02-29T12:00:00.000001Z", "2026-11-21T00:36:55.1Z",
        ].map { try #require(Timestamp($0)) }
        try await roundTrip(engine, "at", times, { .timestamp($0) }) { try $0.timestamp("at") }
    }

    @Test(arguments: Engine.required)
    func identifiersRoundTrip(engine: Engine) async throws {
        let zero = try #require(UUID(uuidString: "00000000-0000-0000-0000-000000000000"))
        let identifiers = [UUID(), UUID(), zero]
        try await roundTrip(engine, "key", identifiers, { .uuid($0) }) { try $0.uuid("key") }
        // As text it is lower-case everywhere.
        try await roundTrip(engine, "key", identifiers.map { $0.uuidString.lowercased() }, { .text($0) }) { try $0.text("key") }
    }

    @Test(arguments: Engine.required)
    func documentsRoundTrip(engine: Engine) async throws {
        let documents: [JSONValue] = [
            [:], [], ["a": [1, 2, ["b": .null]], "ü": "👋\n\"", "big": .integer(.max)], .string("text"), .bool(true), .double(0.25),
        ]
        try await roundTrip(engine, "document", documents, { try .encoded($0) }) { try $0.decoded("document") }
    }

    @Test(arguments: Engine.required)
    func nullRoundTripsInEveryColumn(engine: Engine) async throws {
        let columns = ["number", "small", "fraction", "name", "bytes", "flag", "at", "key", "document"]
        try await engine.withDatabase([Self.values]) { database in
            for (id, column) in columns.enumerated() {
                try await database.change("INSERT INTO kinds (id, \(column)) VALUES ($1, $2)", [.int(id), .null])
            }
            let nulls = try await database.read { sql in
                try sql.query("SELECT * FROM kinds").flatMap { row in try columns.map { try row.value($0) } }
            }
            #expect(nulls == Array(repeating: .null, count: columns.count * columns.count))
        }
    }

    @Test(arguments: Engine.required)
    func parametersMayRepeatAndStandInAnyOrder(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            try await database.change("INSERT INTO kinds (name, id, number) VALUES ($2, $1, $1)", [.int(7), .text("seven")])
            let row = try await database.read {
                try $0.first(
                    "SELECT $3 AS third, $1 AS first, $2 AS second, $1 AS again FROM kinds WHERE name = $2 AND number = $1",
                    [.int(7), .text("seven"), .text("last")])
            }
            let found = try #require(row)
            #expect(try found.text("third") == "last")
            #expect(try found.int("first") == 7)
            #expect(try found.text("second") == "seven")
            #expect(try found.int("again") == 7)
        }
    }

    /// A parameter beside nothing but small numbers is still a whole 64-bit number.
    @Test(arguments: Engine.required)
    func integersKeepTheirWidthInExpressions(engine: Engine) async throws {
        try await engine.withDatabase { database in
            let big: Int64 = 5_000_000_000
            let sum = try await database.read {
                try $0.first("SELECT CASE WHEN $1 > 0 THEN COALESCE($1, 0) + 1 ELSE 0 END AS sum", [.integer(big)])?.int64("sum")
            }
            #expect(sum == big + 1)
        }
    }

    /// Stores each value and reads it back, by its id and by itself.
    private func roundTrip<Value: Equatable & Sendable>(
        _ engine: Engine, _ column: String, _ values: [Value], _ bind: @Sendable (Value) throws -> SQLValue,
        _ read: @escaping @Sendable (SQLRow) throws -> Value
    ) async throws {
        let bound = try values.map(bind)
        try await engine.withDatabase([Self.values]) { database in
            try await database.write { sql in
                for (id, value) in bound.enumerated() {
                    try sql.execute("INSERT INTO kinds (id, \(column)) VALUES ($1, $2)", [.int(id), value])
                }
            }
            let stored = try await database.read { try $0.query("SELECT \(column) FROM kinds ORDER BY id").map(read) }
            #expect(stored == values)
            for (id, value) in bound.enumerated() {
                let found = try await database.read {
                    try $0.first("SELECT id FROM kinds WHERE \(column) = $2 AND id = $1", [.int(id), value])?.int("id")
                }
                #expect(found == id, "\(values[id]) is not found by itself")
            }
        }
    }
}
