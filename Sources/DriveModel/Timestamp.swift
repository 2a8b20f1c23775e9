import FoundationEssentials

/// A point in time: whole microseconds since 1970-01-01T00:00:00Z, the resolution both databases keep.
///
/// On the wire it is an RFC 3339 text in UTC, `2025-11-09T02:00:00.123456Z`; any offset is read.
public struct Timestamp: Hashable, Comparable, Sendable {
    /// Microseconds since the Unix epoch.
    public var microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Whole seconds since the Unix epoch.
    public init(seconds: Int64) {
        self.microseconds = seconds * 1_000_000
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Seconds since the Unix epoch, rounded down.
    public var seconds: Int64 {
        microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000
    }

    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds.addingSaturating(duration.wholeMicroseconds))
    }

    public static func - (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds.addingSaturating(-duration.wholeMicroseconds))
    }

    /// The time from `right` to `left`; negative where `left` is the earlier one.
    public static func - (left: Timestamp, right: Timestamp) -> Duration {
        .microseconds(left.microseconds - right.microseconds)
    }
}

extension Duration {
    /// The duration in microseconds, rounded towards zero; a longer one than Int64 holds is the longest it holds.
    public var wholeMicroseconds: Int64 {
        let (microseconds, overflow) = components.seconds.multipliedReportingOverflow(by: 1_000_000)
        if overflow { return components.seconds < 0 ? -Int64.max : Int64.max }
        return microseconds.addingSaturating(components.attoseconds / 1_000_000_000_000)
    }

    /// The duration in seconds.
    public var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

extension Int64 {
    /// The sum, or the end of the range it would leave; never `Int64.min`, so that it can be negated.
    func addingSaturating(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        if overflow { return other < 0 ? -Int64.max : Int64.max }
        return Swift.max(sum, -Int64.max)
    }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC; the fraction is left out where it is zero, else it has six digits.
    public var description: String {
        let fraction = microseconds - seconds * 1_000_000
        let (year, month, day) = CivilDate.fromDays(CivilDate.floorDivide(seconds, 86_400))
        let clock = seconds - CivilDate.floorDivide(seconds, 86_400) * 86_400
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        var text = "\(CivilDate.padded(year, to: 4))-\(two(month))-\(two(day))T"
        text += "\(two(clock / 3600)):\(two(clock / 60 % 60)):\(two(clock % 60))"
        if fraction > 0 { text += ".\(CivilDate.padded(fraction, to: 6))" }
        return text + "Z"
    }

    /// Reads an RFC 3339 text, also with a space for `T`, an offset without minutes (`+00`) as PostgreSQL prints it,
    /// or a date alone (midnight UTC). Returns nil for anything else.
    public init?(_ text: some StringProtocol) {
        var reader = DigitReader(Array(text.utf8))
        guard let year = reader.digits(4), reader.take("-"), let month = reader.digits(2), reader.take("-"),
            let day = reader.digits(2), (1...12).contains(month), day >= 1, day <= CivilDate.daysIn(month: month, of: year)
        else { return nil }
        var total = CivilDate.days(year: year, month: month, day: day) * 86_400
        var fraction: Int64 = 0
        if !reader.atEnd {
            guard reader.take("T") || reader.take("t") || reader.take(" "), let hour = reader.digits(2), reader.take(":"),
                let minute = reader.digits(2), hour < 24, minute < 60
            else { return nil }
            var second: Int64 = 0
            if reader.take(":") {
                guard let value = reader.digits(2), value <= 60 else { return nil }
                second = value
            }
            if reader.take(".") {
                guard let value = reader.fraction(digits: 6) else { return nil }
                fraction = value
            }
            total += hour * 3600 + minute * 60 + second
            guard let offset = reader.offset(), reader.atEnd else { return nil }
            total -= offset
        }
        // The years 1 to 9999 UTC: what both databases keep and RFC 3339 can write.
        guard (-62_135_596_800..<253_402_300_800).contains(total) else { return nil }
        self.init(microseconds: total * 1_000_000 + fraction)
    }
}

extension Timestamp: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Timestamp(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 date and time")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Days and dates of the proleptic Gregorian calendar.
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
public enum CivilDate {
    /// Days from 1970-01-01 to a date.
    public static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = floorDivide(y, 400)
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The date that lies `days` after 1970-01-01.
    public static func fromDays(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = days + 719_468
        let era = floorDivide(z, 146_097)
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    static func daysIn(month: Int64, of year: Int64) -> Int64 {
        month == 12 ? 31 : days(year: year, month: month + 1, day: 1) - days(year: year, month: month, day: 1)
    }

    static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor)
    }

    static func padded(_ value: Int64, to width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// Reads the few elements of a date text from its bytes.
private struct DigitReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var atEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(truncatingIfNeeded: character.value) else { return false }
        position += 1
        return true
    }

    mutating func digits(_ count: Int) -> Int64? {
        guard position + count <= bytes.count else { return nil }
        var value: Int64 = 0
        for byte in bytes[position..<position + count] {
            guard (48...57).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 48)
        }
        position += count
        return value
    }

    /// Digits after the point, scaled to `digits` places; further ones are dropped.
    mutating func fraction(digits: Int) -> Int64? {
        var value: Int64 = 0
        var seen = 0
        while position < bytes.count, (48...57).contains(bytes[position]) {
            if seen < digits { value = value * 10 + Int64(bytes[position] - 48) }
            seen += 1
            position += 1
        }
        guard seen > 0 else { return nil }
        for _ in seen..<max(seen, digits) { value *= 10 }
        return value
    }

    /// `Z`, `+hh:mm`, `+hhmm`, `+hh` or nothing (UTC), in seconds.
    mutating func offset() -> Int64? {
        if atEnd || take("Z") || take("z") { return 0 }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = digits(2), hours < 24 else { return nil }
        var minutes: Int64 = 0
        if !atEnd {
            _ = take(":")
            guard let value = digits(2), value < 60 else { return nil }
            minutes = value
        }
        return sign * (hours * 3600 + minutes * 60)
    }
}
