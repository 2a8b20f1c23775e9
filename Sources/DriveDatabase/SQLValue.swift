import DriveModel
import Foundation

/// A value bound to a `$n` parameter. Each engine stores it in its own column type.
public enum SQLValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    case text(String)
    case blob([UInt8])
    case bool(Bool)
    /// `TIMESTAMPTZ` in PostgreSQL, whole microseconds in SQLite.
    case timestamp(Timestamp)
    /// `UUID` in PostgreSQL, lower-case text in SQLite.
    case uuid(UUID)
    /// JSON text: `JSONB` in PostgreSQL, text in SQLite.
    case json(String)

    public static func int(_ value: Int) -> SQLValue { .integer(Int64(value)) }
    public static func text(_ value: String?) -> SQLValue { value.map { .text($0) } ?? .null }
    public static func integer(_ value: Int64?) -> SQLValue { value.map { .integer($0) } ?? .null }
    public static func timestamp(_ value: Timestamp?) -> SQLValue { value.map { .timestamp($0) } ?? .null }
    public static func uuid(_ value: UUID?) -> SQLValue { value.map { .uuid($0) } ?? .null }
    public static func blob(_ value: [UInt8]?) -> SQLValue { value.map { .blob($0) } ?? .null }
    /// The value as JSON text; throws what the encoder throws.
    public static func encoded(_ value: some Encodable) throws -> SQLValue { .json(try DriveJSON.text(value)) }
}

/// One row of a result, read by column name. A missing column or a value of another type throws
/// `DatabaseError.unexpectedResult`, never traps.
public struct SQLRow: Sendable {
    /// Shared by all rows of a result.
    public final class Columns: Sendable {
        let indexes: [String: Int]
        public init(_ names: [String]) {
            indexes = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    let columns: Columns
    let values: [SQLValue]

    /// Values come as the engine has them: integer, double, text, blob or null.
    public init(columns: Columns, values: [SQLValue]) {
        self.columns = columns
        self.values = values
    }

    /// The raw value of a column.
    public func value(_ column: String) throws(DatabaseError) -> SQLValue {
        guard let index = columns.indexes[column], index < values.count else {
            throw DatabaseError(.unexpectedResult, "the result has no column \(column)")
        }
        return values[index]
    }

    public func text(_ column: String) throws(DatabaseError) -> String { try required(column, optionalText) }
    public func int64(_ column: String) throws(DatabaseError) -> Int64 { try required(column, optionalInt64) }
    public func int(_ column: String) throws(DatabaseError) -> Int { Int(try int64(column)) }
    public func double(_ column: String) throws(DatabaseError) -> Double { try required(column, optionalDouble) }
    public func bool(_ column: String) throws(DatabaseError) -> Bool { try int64(column) != 0 }
    public func blob(_ column: String) throws(DatabaseError) -> [UInt8] { try required(column, optionalBlob) }
    public func uuid(_ column: String) throws(DatabaseError) -> UUID { try required(column, optionalUUID) }
    public func timestamp(_ column: String) throws(DatabaseError) -> Timestamp { try required(column, optionalTimestamp) }

    public func optionalText(_ column: String) throws(DatabaseError) -> String? {
        switch try value(column) {
        case .null: nil
        case .text(let value): value
        case let other: throw mismatch(column, "text", other)
        }
    }

    public func optionalInt64(_ column: String) throws(DatabaseError) -> Int64? {
        switch try value(column) {
        case .null: return nil
        case .integer(let value): return value
        case .bool(let value): return value ? 1 : 0
        case .text(let text):
            // PostgreSQL's SUM of BIGINT is NUMERIC, which comes as text.
            guard let value = Int64(text) else { throw mismatch(column, "integer", .text(text)) }
            return value
        case let other: throw mismatch(column, "integer", other)
        }
    }

    public func optionalDouble(_ column: String) throws(DatabaseError) -> Double? {
        switch try value(column) {
        case .null: return nil
        case .double(let value): return value
        case .integer(let value): return Double(value)
        case .text(let text):
            guard let value = Double(text) else { throw mismatch(column, "number", .text(text)) }
            return value
        case let other: throw mismatch(column, "number", other)
        }
    }

    public func optionalBlob(_ column: String) throws(DatabaseError) -> [UInt8]? {
        switch try value(column) {
        case .null: nil
        case .blob(let value): value
        case let other: throw mismatch(column, "bytes", other)
        }
    }

    public func optionalUUID(_ column: String) throws(DatabaseError) -> UUID? {
        guard let text = try optionalText(column) else { return nil }
        guard let value = UUID(uuidString: text) else { throw mismatch(column, "uuid", .text(text)) }
        return value
    }

    public func optionalTimestamp(_ column: String) throws(DatabaseError) -> Timestamp? {
        switch try value(column) {
        case .null: return nil
        case .integer(let value): return Timestamp(microseconds: value)
        case .text(let text):
            guard let value = Timestamp(text) else { throw mismatch(column, "timestamp", .text(text)) }
            return value
        case let other: throw mismatch(column, "timestamp", other)
        }
    }

    /// A value stored as JSON text.
    public func decoded<Value: Decodable>(_ column: String, as type: Value.Type = Value.self) throws -> Value {
        try DriveJSON.value(type, from: try text(column))
    }

    /// The same where there may be none.
    public func optionalDecoded<Value: Decodable>(_ column: String, as type: Value.Type = Value.self) throws -> Value? {
        try optionalText(column).map { try DriveJSON.value(type, from: $0) }
    }

    private func required<Value>(
        _ column: String, _ read: (String) throws(DatabaseError) -> Value?
    ) throws(DatabaseError) -> Value {
        guard let value = try read(column) else { throw DatabaseError(.unexpectedResult, "column \(column) is null") }
        return value
    }

    private func mismatch(_ column: String, _ expected: String, _ value: SQLValue) -> DatabaseError {
        DatabaseError(.unexpectedResult, "column \(column) is no \(expected)")
    }
}
