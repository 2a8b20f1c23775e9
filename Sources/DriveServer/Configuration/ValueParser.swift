/// Reads one kind of value, and says what it allows.
package struct ValueParser<Value: Sendable>: Sendable {
    /// What may be given, as a phrase: `a whole number from 1 to 10`.
    var allowed: String
    /// Whether an empty text is a value.
    var acceptsEmpty = false
    let parse: @Sendable (ConfigurationNode) throws(ValueRejection) -> Value
    /// The value as it would be written.
    let format: @Sendable (Value) -> String
}

/// Why a value was refused; a list may be refused for several reasons.
package struct ValueRejection: Error, Equatable {
    var details: [Detail]

    /// One reason.
    struct Detail: Equatable {
        /// What to put after the setting's key: `[1].audience`.
        var suffix = ""
        /// The part at fault; nil: the whole value.
        var value: String?
        /// To be read after the value: `is not a whole number`.
        var reason: String
        var line: Int?
        /// What is allowed for the part; nil: what the setting says.
        var allowed: String?
    }

    init(_ reason: String, value: String? = nil, line: Int? = nil) {
        details = [Detail(value: value, reason: reason, line: line)]
    }

    init(details: [Detail]) {
        self.details = details
    }
}

extension ValueParser {
    /// A parser of one text, without the blanks around it; lists and mappings are refused.
    static func scalar(
        allowed: String, _ read: @escaping @Sendable (String) throws(ValueRejection) -> Value,
        format: @escaping @Sendable (Value) -> String
    ) -> ValueParser {
        ValueParser(
            allowed: allowed,
            parse: { (node) throws(ValueRejection) -> Value in
                guard case .text(let text, _) = node else { throw ValueRejection("is not a single value") }
                return try read(text.trimmingBlanks())
            },
            format: format)
    }

    /// The parser with an optional result: `word` (if any) and the empty text give nil; `shown` is what the documentation calls nil.
    static func optional<Wrapped>(_ base: ValueParser<Wrapped>, word: String? = nil, shown: String = "") -> ValueParser
    where Value == Wrapped? {
        ValueParser(
            allowed: word.map { "\(base.allowed), or `\($0)`" } ?? base.allowed,
            acceptsEmpty: true,
            parse: { (node) throws(ValueRejection) -> Value in
                if case .text(let text, _) = node {
                    let trimmed = text.trimmingBlanks()
                    if trimmed.isEmpty || (word != nil && trimmed.lowercased() == word) { return nil }
                }
                return try base.parse(node)
            },
            format: { value in value.map(base.format) ?? (word ?? shown) })
    }
}

extension ValueParser {
    /// A list, written as a YAML list or as one text with commas; empty is the empty list.
    static func list<Element>(of element: ValueParser<Element>, plural: String) -> ValueParser where Value == [Element] {
        ValueParser(
            allowed: "a list of \(plural)",
            acceptsEmpty: true,
            parse: { (node) throws(ValueRejection) -> Value in
                var elements: [Element] = []
                var refused: [ValueRejection.Detail] = []
                for item in try items(of: node) {
                    do throws(ValueRejection) {
                        elements.append(try element.parse(item))
                    } catch {
                        refused += error.details.map { detail in
                            var detail = detail
                            detail.value = detail.value ?? item.shown
                            detail.line = detail.line ?? item.line
                            return detail
                        }
                    }
                }
                guard refused.isEmpty else { throw ValueRejection(details: refused) }
                return elements
            },
            format: { values in values.map(element.format).joined(separator: ", ") })
    }

    private static func items(of node: ConfigurationNode) throws(ValueRejection) -> [ConfigurationNode] {
        switch node {
        case .list(let items, _):
            return items
        case .text(let text, let line):
            guard !text.trimmingBlanks().isEmpty else { return [] }
            return text.split(separator: ",", omittingEmptySubsequences: false).map { .text(String($0), line: line) }
        case .null, .mapping:
            throw ValueRejection("is not a list")
        }
    }
}

extension StringProtocol {
    /// The text without the blanks and line ends around it.
    func trimmingBlanks() -> String {
        guard let start = firstIndex(where: { !$0.isWhitespace }), let end = lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(self[start...end])
    }
}
