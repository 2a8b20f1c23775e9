/// What one `Range` header asks for (RFC 9110 §14.1.2). Values that do not fit 63 bits are taken as the largest that does.
enum ByteRange: Hashable, Sendable {
    /// `bytes=5-9`; both ends are included.
    case closed(first: Int64, last: Int64)
    /// `bytes=5-`
    case from(Int64)
    /// `bytes=-5`: the last five bytes.
    case suffix(Int64)

    /// What a range means for a representation of a given size.
    enum Resolution: Hashable, Sendable {
        /// These bytes, never empty.
        case partial(Range<Int64>)
        /// No such bytes: answer 416.
        case unsatisfiable
        /// All of it is asked for, and there is nothing: an empty part cannot be expressed in `Content-Range`.
        case full
    }

    /// Parses a `Range` value that has exactly one range.
    /// - Returns: nil for another unit, several ranges or bad syntax; the header is then to be ignored (RFC 9110 §14.2).
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")),
            HTTPSyntax.trim(bytes[..<equals]).map(HTTPSyntax.lowercased) == Array("bytes".utf8)
        else { return nil }
        let ranges = bytes[(equals + 1)...].split(separator: UInt8(ascii: ",")).map(HTTPSyntax.trim).filter { !$0.isEmpty }
        guard ranges.count == 1, let range = ranges.first, let hyphen = range.firstIndex(of: UInt8(ascii: "-")) else { return nil }
        let (before, after) = (range[..<hyphen], range[(hyphen + 1)...])
        guard before.allSatisfy(HTTPSyntax.isDigit), after.allSatisfy(HTTPSyntax.isDigit) else { return nil }
        switch (before.isEmpty, after.isEmpty) {
        case (true, true): return nil
        case (true, false): self = .suffix(Self.number(after))
        case (false, true): self = .from(Self.number(before))
        case (false, false):
            let (first, last) = (Self.number(before), Self.number(after))
            guard first <= last else { return nil }
            self = .closed(first: first, last: last)
        }
    }

    /// The bytes of a representation of `size` bytes that are meant.
    func resolve(size: Int64) -> Resolution {
        switch self {
        case .closed(let first, let last): first < size ? .partial(first..<(min(last, size - 1) + 1)) : .unsatisfiable
        case .from(let first): first < size ? .partial(first..<size) : .unsatisfiable
        case .suffix(0): .unsatisfiable
        case .suffix(let length): size > 0 ? .partial(max(0, size - length)..<size) : .full
        }
    }

    /// The `Content-Range` of a 206 (RFC 9110 §14.4).
    static func contentRange(_ range: Range<Int64>, size: Int64) -> String {
        "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
    }

    /// The `Content-Range` of a 416.
    static func unsatisfiedContentRange(size: Int64) -> String { "bytes */\(size)" }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64 {
        var value: Int64 = 0
        for digit in digits {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflows) = product.addingReportingOverflow(Int64(digit - 0x30))
            if overflow || overflows { return .max }
            value = sum
        }
        return value
    }
}
