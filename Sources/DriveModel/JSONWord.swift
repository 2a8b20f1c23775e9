/// What an enumeration's decoder says of a word that is none of its own: those that are.
public struct UnknownWord: Error, Hashable, Sendable {
    public var given: String
    public var known: [String]
}

extension RawRepresentable<String> where Self: CaseIterable {
    /// Reads one of the words.
    /// - Throws: `DecodingError.dataCorrupted` over an `UnknownWord`.
    fileprivate static func word(from decoder: any Decoder) throws -> Self {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        if let value = Self(rawValue: text) { return value }
        let words = allCases.map(\.rawValue)
        throw DecodingError.dataCorrupted(
            DecodingError.Context(
                codingPath: decoder.codingPath, debugDescription: "must be one of \(words.joined(separator: ", "))",
                underlyingError: UnknownWord(given: text, known: words)))
    }
}

// The enumerations that requests bring.
extension TaskType {
    public init(from decoder: any Decoder) throws { self = try Self.word(from: decoder) }
}

extension AccountRole {
    public init(from decoder: any Decoder) throws { self = try Self.word(from: decoder) }
}
