/// One bare item of a structured field (RFC 9651 §3.3), as far as a field of ours asks for its value.
enum StructuredFieldItem: Hashable, Sendable {
    /// -999999999999999 to 999999999999999.
    case integer(Int64)
    case boolean(Bool)
    case bytes([UInt8])
    /// A decimal, string, token, date or display string of correct form.
    case other
}

/// Fields that are one Item or a Dictionary of Integers. Parameters are allowed and dropped; a value of any other form, and a field
/// that came on several lines where one Item is due, is nil: the field is then to be ignored.
enum StructuredField {
    /// The largest Integer there is (RFC 9651 §3.3.1).
    static let maximumInteger: Int64 = 999_999_999_999_999

    /// An Item whose value is a Boolean.
    static func boolean(_ text: String) -> Bool? {
        if case .boolean(let value)? = item(text) { value } else { nil }
    }

    /// An Item whose value is an Integer that is not negative.
    static func nonNegativeInteger(_ text: String) -> Int64? {
        if case .integer(let value)? = item(text), value >= 0 { value } else { nil }
    }

    /// A Dictionary whose members are Integers; of a key given twice the last holds. An empty text is an empty dictionary.
    static func integers(_ text: String) -> [String: Int64]? {
        var scanner = StructuredFieldScanner(text)
        return scanner.scanIntegers()
    }

    /// The value of an Item.
    static func item(_ text: String) -> StructuredFieldItem? {
        var scanner = StructuredFieldScanner(text)
        return scanner.scanItem()
    }

    /// `?1` or `?0`.
    static func text(_ value: Bool) -> String { value ? "?1" : "?0" }
}

extension StructuredFieldScanner {
    /// An Item that is all of the text.
    mutating func scanItem() -> StructuredFieldItem? {
        skip { $0 == 0x20 }
        guard let item = scanBareItem(), skipParameters() else { return nil }
        skip { $0 == 0x20 }
        return current == nil ? item : nil
    }

    /// A Dictionary of Integers that is all of the text.
    mutating func scanIntegers() -> [String: Int64]? {
        var members: [String: Int64] = [:]
        skip { $0 == 0x20 }
        guard current != nil else { return members }
        while true {
            guard let key = scanKey(), take(UInt8(ascii: "=")), case .integer(let value)? = scanBareItem(), skipParameters() else {
                return nil
            }
            members[key] = value
            skip(where: HTTPSyntax.isWhitespace)
            if current == nil { return members }
            guard take(UInt8(ascii: ",")) else { return nil }
            skip(where: HTTPSyntax.isWhitespace)
            if current == nil { return nil }
        }
    }

    /// Any bare item (RFC 9651 §4.2.3.1).
    mutating func scanBareItem() -> StructuredFieldItem? {
        switch current {
        case UInt8(ascii: "?"):
            skipOne()
            if take(UInt8(ascii: "1")) { return .boolean(true) }
            return take(UInt8(ascii: "0")) ? .boolean(false) : nil
        case UInt8(ascii: ":"): return scanByteSequence().map(StructuredFieldItem.bytes)
        case HTTPSyntax.quote: return skipString(escape: HTTPSyntax.backslash) ? .other : nil
        case UInt8(ascii: "%"):
            skipOne()
            return current == HTTPSyntax.quote && skipString(escape: UInt8(ascii: "%")) ? .other : nil
        case UInt8(ascii: "@"):
            skipOne()
            // A date is an integer; a decimal is none (§4.2.9).
            guard case .integer? = scanNumber() else { return nil }
            return .other
        case .some(let byte) where byte == UInt8(ascii: "-") || HTTPSyntax.isDigit(byte): return scanNumber()
        case .some(let byte) where byte == UInt8(ascii: "*") || HTTPSyntax.isLetter(byte):
            skip { HTTPSyntax.isTokenByte($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "/") }
            return .other
        default: return nil
        }
    }

    /// An integer of at most 15 digits, or a decimal of at most 12 and 3 (RFC 9651 §4.2.4).
    private mutating func scanNumber() -> StructuredFieldItem? {
        let isNegative = take(UInt8(ascii: "-"))
        guard let whole = scanDigits(), whole.count <= 15 else { return nil }
        guard take(UInt8(ascii: ".")) else { return .integer(isNegative ? -whole.value : whole.value) }
        guard whole.count <= 12, let fraction = scanDigits(), fraction.count <= 3 else { return nil }
        return .other
    }

    private mutating func scanDigits() -> (value: Int64, count: Int)? {
        var (value, count): (Int64, Int) = (0, 0)
        while let byte = current, HTTPSyntax.isDigit(byte) {
            skipOne()
            count += 1
            // A longer number is refused by its length; it must only not trap here.
            if count <= 15 { value = value * 10 + Int64(byte - 0x30) }
        }
        return count > 0 ? (value, count) : nil
    }

    /// A string, where a backslash escapes `"` and `\`, or the quoted part of a display string, where `%` stands before two
    /// lower-case hex digits (RFC 9651 §4.2.5, §4.2.10).
    private mutating func skipString(escape: UInt8) -> Bool {
        skipOne()
        while let byte = current {
            skipOne()
            if byte == HTTPSyntax.quote { return true }
            guard byte >= 0x20, byte <= 0x7E else { return false }
            guard byte == escape else { continue }
            if escape == HTTPSyntax.backslash {
                guard take(HTTPSyntax.quote) || take(HTTPSyntax.backslash) else { return false }
            } else {
                for _ in 0..<2 {
                    guard let digit = current, HTTPSyntax.isDigit(digit) || (0x61...0x66).contains(digit) else { return false }
                    skipOne()
                }
            }
        }
        return false
    }

    private mutating func skipOne() {
        if let byte = current { _ = take(byte) }
    }
}
