/// The units of durations, with the suffixes they are written by.
enum DurationUnit: String, CaseIterable {
    case milliseconds = "ms"
    case seconds = "s"
    case minutes = "m"
    case hours = "h"
    case days = "d"

    var inMilliseconds: Int64 {
        switch self {
        case .milliseconds: 1
        case .seconds: 1000
        case .minutes: 60_000
        case .hours: 3_600_000
        case .days: 86_400_000
        }
    }

    var name: String {
        self == .milliseconds ? "milliseconds" : "\(self)"
    }
}

extension ValueParser where Value == Duration {
    /// A duration such as `30s`. A bare number counts in `bare`; without it only 0 may be bare.
    static func duration(_ limits: ClosedRange<Duration>, bare: DurationUnit? = nil) -> ValueParser {
        let range = "from \(Quantity.text(limits.lowerBound)) to \(Quantity.text(limits.upperBound))"
        return .scalar(
            allowed: "a duration \(range), such as `500ms`, `30s`, `15m`, `24h`, `30d`"
                + (bare.map { "; a bare number is in \($0.name)" } ?? ""),
            { (text) throws(ValueRejection) -> Duration in
                let value = try Quantity.duration(text, bare: bare)
                guard limits.contains(value) else { throw ValueRejection("is out of range") }
                return value
            },
            format: Quantity.text)
    }
}

extension ValueParser where Value: FixedWidthInteger {
    /// A whole number.
    static func integer(_ limits: ClosedRange<Value>, unit: String? = nil, zero: String? = nil) -> ValueParser {
        .scalar(
            allowed: "a whole number from \(limits.lowerBound) to \(limits.upperBound)" + (unit.map { " (\($0))" } ?? "")
                + (zero.map { "; 0: \($0)" } ?? ""),
            { (text) throws(ValueRejection) -> Value in
                guard Quantity.isDigits(text.hasPrefix("-") ? text.dropFirst() : text[...]) else {
                    throw ValueRejection("is not a whole number")
                }
                guard let value = Value(text), limits.contains(value) else { throw ValueRejection("is out of range") }
                return value
            },
            format: { "\($0)" })
    }

    /// A size in bytes, bare or with a binary suffix.
    static func size(_ limits: ClosedRange<Value>, multipleOf step: Value = 1, zero: String? = nil) -> ValueParser {
        let range = "from \(Quantity.text(bytes: Int64(limits.lowerBound))) to \(Quantity.text(bytes: Int64(limits.upperBound)))"
        return .scalar(
            allowed: "a size \(range)" + (step > 1 ? ", a multiple of \(Quantity.text(bytes: Int64(step)))" : "")
                + ", in bytes or with KiB, MiB, GiB, TiB, PiB" + (zero.map { "; 0: \($0)" } ?? ""),
            { (text) throws(ValueRejection) -> Value in
                guard let value = Value(exactly: try Quantity.bytes(text)), limits.contains(value) else {
                    throw ValueRejection("is out of range")
                }
                guard value.isMultiple(of: step) else {
                    throw ValueRejection("is not a multiple of \(Quantity.text(bytes: Int64(step)))")
                }
                return value
            },
            format: { Quantity.text(bytes: Int64($0)) })
    }
}

/// Reading and writing of numbers with units.
enum Quantity {
    /// The milliseconds or longer units of a text.
    static func duration(_ text: String, bare: DurationUnit?) throws(ValueRejection) -> Duration {
        let (digits, suffix) = split(text)
        guard isDigits(digits) else { throw ValueRejection("is not a duration") }
        guard let number = Int64(digits) else { throw ValueRejection("is out of range") }
        guard let unit = suffix.isEmpty ? bare ?? (number == 0 ? .seconds : nil) : DurationUnit(rawValue: suffix) else {
            throw ValueRejection(suffix.isEmpty ? "has no unit" : "has an unknown unit")
        }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: unit.inMilliseconds)
        guard !overflow else { throw ValueRejection("is out of range") }
        return .milliseconds(milliseconds)
    }

    /// The bytes of a text.
    static func bytes(_ text: String) throws(ValueRejection) -> Int64 {
        let (digits, suffix) = split(text)
        guard isDigits(digits) else { throw ValueRejection("is not a size") }
        guard let number = Int64(digits) else { throw ValueRejection("is out of range") }
        let shifts = ["": 0, "b": 0, "kib": 10, "mib": 20, "gib": 30, "tib": 40, "pib": 50]
        guard let shift = shifts[suffix] else { throw ValueRejection("has an unknown unit") }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow else { throw ValueRejection("is out of range") }
        return bytes
    }

    /// A duration in the largest unit that gives a whole number above 1 (24h, not 1d).
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        for unit in DurationUnit.allCases.reversed() {
            let count = milliseconds / unit.inMilliseconds
            if milliseconds.isMultiple(of: unit.inMilliseconds), count > 1 || (count == 1 && unit != .days) {
                return "\(count)\(unit.rawValue)"
            }
        }
        return "0s"
    }

    /// A size in the largest unit that gives a whole number.
    static func text(bytes: Int64) -> String {
        let units = [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
        for (shift, name) in units where bytes >= 1 << shift && bytes.isMultiple(of: 1 << shift) {
            return "\(bytes >> shift)\(name)"
        }
        return "\(bytes)"
    }

    static func isDigits(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private static func split(_ text: String) -> (digits: Substring, suffix: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        return (digits, text.dropFirst(digits.count).trimmingBlanks().lowercased())
    }
}
