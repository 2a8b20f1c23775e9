import Foundation

/// Reads JSON (RFC 8259) whose nesting is bounded (section 9 allows that): each level takes a piece of the stack, and a thread has
/// only so much of it. A text that is nested deeper would end the process.
public struct BoundedJSONDecoder: Sendable {
    /// Lists and objects within each other at most.
    public let maximumDepth: Int
    let keys: Keys

    enum Keys: Sendable {
        case asTheyStand
        /// camelCase, or snake_case.
        case converted
    }

    /// - Throws: `DecodingError`, with `JSONTooDeep` as its cause where it is nested deeper.
    public func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
        try check(data)
        let decoder = JSONDecoder()
        if keys == .converted { decoder.keyDecodingStrategy = .convertFromSnakeCase }
        return try decoder.decode(type, from: data)
    }

    private func check(_ data: Data) throws {
        guard let fault = data.withUnsafeBytes({ Self.fault(in: $0, maximumDepth) }) else { return }
        throw DecodingError.dataCorrupted(
            DecodingError.Context(codingPath: [], debugDescription: "\(fault)", underlyingError: fault))
    }

    /// Looks at brackets outside of texts alone: whether it is JSON at all, the decoder says.
    private static func fault(in bytes: UnsafeRawBufferPointer, _ maximumDepth: Int) -> (any Error)? {
        var (depth, isText, isEscaped) = (0, false, false)
        for byte in bytes {
            // Neither is in JSON as UTF-8; in UTF-16, which Foundation reads too, brackets could not be told by their bytes.
            if byte == 0 { return JSONNotUTF8() }
            if isText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else {
                    isText = byte != UInt8(ascii: "\"")
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                if depth > maximumDepth { return JSONTooDeep(maximum: maximumDepth) }
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
        return nil
    }
}

/// A text is nested deeper than is read.
public struct JSONTooDeep: Error, Hashable, Sendable, CustomStringConvertible {
    public let maximum: Int
    public var description: String { "nested deeper than \(maximum) levels" }

    /// Nil for another error.
    public init?(_ error: any Error) {
        guard case DecodingError.dataCorrupted(let context) = error, let found = context.underlyingError as? JSONTooDeep else { return nil }
        self = found
    }

    init(maximum: Int) {
        self.maximum = maximum
    }
}

private struct JSONNotUTF8: Error, CustomStringConvertible {
    var description: String { "not JSON in UTF-8" }
}
