/// A date of HTTP, to the second (RFC 9110 section 5.6.7). Parsing and formatting use no calendar library and no lock.
public struct HTTPDate: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Seconds since 1970-01-01T00:00:00Z.
    public let secondsSince1970: Int64

    public init(secondsSince1970: Int64) {
        self.secondsSince1970 = secondsSince1970
    }

    public static func < (left: HTTPDate, right: HTTPDate) -> Bool { left.secondsSince1970 < right.secondsSince1970 }

    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].map { Array($0.utf8) }
    private static let longDays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"].map { Array($0.utf8) }
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].map { Array($0.utf8) }
    private static let secondsPerDay: Int64 = 86_400

    /// Parses IMF-fixdate and the two obsolete forms. Two-digit years from 70 on belong to the twentieth century.
    /// The day of the week must be a name of one; whether it fits the date is not looked at.
    public init?(_ text: String) {
        let fields = text.utf8.split(separator: 0x20, omittingEmptySubsequences: true).map(Array.init)
        let date: (day: [UInt8], month: [UInt8], year: [UInt8], time: [UInt8])
        switch fields.count {
        case 6 where fields[0].last == 0x2C && Self.days.contains(Array(fields[0].dropLast())) && fields[5] == Array("GMT".utf8):
            guard fields[1].count == 2, fields[3].count == 4 else { return nil }
            date = (fields[1], fields[2], fields[3], fields[4])
        case 4 where fields[0].last == 0x2C && Self.longDays.contains(Array(fields[0].dropLast())) && fields[3] == Array("GMT".utf8):
            let parts = fields[1].split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false).map(Array.init)
            guard parts.count == 3, parts[0].count == 2, parts[2].count == 2, let year = Self.number(parts[2]) else { return nil }
            date = (parts[0], parts[1], Array(String(year + (year < 70 ? 2000 : 1900)).utf8), fields[2])
        case 5 where Self.days.contains(fields[0]):
            guard fields[4].count == 4, fields[2].count <= 2 else { return nil }
            date = (fields[2], fields[1], fields[4], fields[3])
        default: return nil
        }
        let clock = date.time.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard clock.count == 3, clock.allSatisfy({ $0.count == 2 }), let monthIndex = Self.months.firstIndex(of: date.month),
            let day = Self.number(date.day), let year = Self.number(date.year), let hour = Self.number(clock[0]),
            let minute = Self.number(clock[1]), let second = Self.number(clock[2]),
            hour < 24, minute < 60, second <= 60, day >= 1, day <= CivilDate.daysIn(month: Int64(monthIndex + 1), of: year)
        else { return nil }
        let midnight = CivilDate.days(year: year, month: Int64(monthIndex + 1), day: day) * Self.secondsPerDay
        secondsSince1970 = midnight + hour * 3600 + minute * 60 + second
    }

    /// IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`. Years outside 1–9999 are brought to the nearest that fits.
    public var description: String {
        let seconds = min(max(secondsSince1970, -62_135_596_800), 253_402_300_799)
        let dayNumber = CivilDate.floorDivide(seconds, Self.secondsPerDay)
        let time = Int(seconds - dayNumber * Self.secondsPerDay)
        let (year, month, day) = CivilDate.fromDays(dayNumber)
        // 1970-01-01 was a Thursday.
        let weekday = Int(((dayNumber + 4) % 7 + 7) % 7)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(29)
        func append(_ value: Int, digits: Int) {
            var divisor = digits == 4 ? 1000 : 10
            while divisor > 0 {
                bytes.append(UInt8(0x30 + value / divisor % 10))
                divisor /= 10
            }
        }
        bytes += Self.days[weekday]
        bytes += [0x2C, 0x20]
        append(Int(day), digits: 2)
        bytes.append(0x20)
        bytes += Self.months[Int(month) - 1]
        bytes.append(0x20)
        append(Int(year), digits: 4)
        for (index, value) in [time / 3600, time / 60 % 60, time % 60].enumerated() {
            bytes.append(index == 0 ? 0x20 : 0x3A)
            append(value, digits: 2)
        }
        bytes += [0x20, 0x47, 0x4D, 0x54]
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func number(_ digits: some Collection<UInt8>) -> Int64? {
        guard !digits.isEmpty, digits.count <= 4, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int64($1 - 48) }
    }
}
