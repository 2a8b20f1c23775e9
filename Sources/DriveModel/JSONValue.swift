import Foundation

/// Any JSON value, for the fields whose shape belongs to somebody else: parameters, results, user metadata, details.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A whole number beyond `Int64`; a smaller one is an `integer`.
    case unsigned(UInt64)
    /// Any other number, to the precision of a double.
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The text where it is one.
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    /// The whole number where it is one.
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    /// The members where it is an object.
    public var object: [String: JSONValue]? { if case .object(let value) = self { value } else { nil } }

    public subscript(key: String) -> JSONValue? { object?[key] }

    /// Whether a text in it, or a member's name, has the character U+0000, which PostgreSQL stores nowhere.
    public var holdsNUL: Bool {
        switch self {
        case .null, .bool, .integer, .unsigned, .double: false
        case .string(let text): text.utf8.contains(0)
        case .array(let values): values.contains(where: \.holdsNUL)
        case .object(let members): members.holdsNUL
        }
    }
}

extension [String: JSONValue] {
    /// As `JSONValue.holdsNUL`.
    public var holdsNUL: Bool { contains { $0.key.utf8.contains(0) || $0.value.holdsNUL } }
}

extension JSONValue: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .unsigned(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }
}

/// The one way Drive writes and reads JSON: camelCase keys, RFC 3339 times; requests may use snake_case too.
public enum DriveJSON {
    /// A new encoder: keys sorted, so that equal values give equal bytes; slashes as they are.
    public static func encoder() -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }

    /// Lists and objects within each other that others may send.
    public static let maximumDepth = 64
    /// What is stored or answered has what others sent within its own.
    private static let storedDepth = maximumDepth + 16

    /// For what Drive wrote, with keys in camelCase or snake_case.
    public static func decoder() -> BoundedJSONDecoder { BoundedJSONDecoder(maximumDepth: storedDepth, keys: .converted) }

    /// For what others send, with keys in camelCase or snake_case.
    public static func requestDecoder() -> BoundedJSONDecoder { BoundedJSONDecoder(maximumDepth: maximumDepth, keys: .converted) }

    /// For either, with keys as they stand.
    public static func plainDecoder() -> BoundedJSONDecoder { BoundedJSONDecoder(maximumDepth: storedDepth, keys: .asTheyStand) }

    /// The value as UTF-8 text.
    public static func text(_ value: some Encodable) throws -> String {
        String(decoding: try encoder().encode(value), as: UTF8.self)
    }

    /// A value from stored text, whose keys are read as they stand.
    public static func value<Value: Decodable>(_ type: Value.Type = Value.self, from text: String) throws -> Value {
        try plainDecoder().decode(type, from: Data(text.utf8))
    }
}
