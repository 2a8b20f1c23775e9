/// Writes a JSON object member by member, without the encoder's cost: for what is written for every task and event.
public struct JSONObjectWriter: Sendable {
    private var body = ""

    public init() {}

    /// The object.
    public var text: String { "{" + body + "}" }

    public mutating func add(_ name: String, _ value: String) {
        begin(name)
        JSONText.quote(value, into: &body)
    }

    public mutating func add(_ name: String, _ value: Int64) {
        begin(name)
        body += String(value)
    }

    public mutating func add(_ name: String, _ value: JSONValue) {
        begin(name)
        JSONText.write(value, into: &body)
    }

    /// - Parameter json: JSON text, taken as it stands.
    public mutating func add(_ name: String, json: String) {
        begin(name)
        body += json
    }

    private mutating func begin(_ name: String) {
        if !body.isEmpty { body += "," }
        JSONText.quote(name, into: &body)
        body += ":"
    }
}

/// JSON's grammar (RFC 8259), as far as we write it ourselves.
enum JSONText {
    /// A string (section 7).
    static func quote(_ value: String, into text: inout String) {
        text += "\""
        if value.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            text += value
        } else {
            for scalar in value.unicodeScalars {
                switch scalar {
                case "\"": text += "\\\""
                case "\\": text += "\\\\"
                case _ where scalar.value < 0x20:
                    let digits = String(scalar.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                default: text.unicodeScalars.append(scalar)
                }
            }
        }
        text += "\""
    }

    /// A value. What JSON has no number for becomes null.
    static func write(_ value: JSONValue, into text: inout String) {
        switch value {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .unsigned(let value): text += String(value)
        case .double(let value):
            if let whole = Int64(exactly: value) { text += String(whole) } else { text += value.isFinite ? String(value) : "null" }
        case .string(let value): quote(value, into: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                write(value, into: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, name) in members.keys.sorted().enumerated() {
                if index > 0 { text += "," }
                quote(name, into: &text)
                text += ":"
                write(members[name] ?? .null, into: &text)
            }
            text += "}"
        }
    }
}
