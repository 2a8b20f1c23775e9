import DriveModel

/// One of the five fields of a cron expression: the set of values that match.
struct CronField: Hashable, Sendable {
    /// Which of the five it is.
    enum Kind: CaseIterable {
        case minute, hour, dayOfMonth, month, dayOfWeek
    }

    /// Bit n stands for the value n.
    private var bits: UInt64 = 0
    /// Whether it begins with anything but `*`: Vixie cron's test of a restricted day field, so `*/2` is none.
    let isRestricted: Bool

    func contains(_ value: Int64) -> Bool {
        bits & (1 << UInt64(value)) != 0
    }

    /// The least value of the set that is not below `value` (0...63).
    func first(notBelow value: Int64) -> Int64? {
        let rest = bits & (UInt64.max << UInt64(value))
        return rest == 0 ? nil : Int64(rest.trailingZeroBitCount)
    }

    /// Reads a list of elements; each is `*`, a value or a range, the first and the last with a step if wanted.
    init(_ text: Substring, _ kind: Kind) throws(DriveError) {
        isRestricted = text.first != "*"
        for element in text.split(separator: ",", omittingEmptySubsequences: false) {
            let (range, step) = try Self.element(element, kind)
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) {
                bits |= 1 << UInt64(kind == .dayOfWeek ? value % 7 : value)
            }
        }
    }

    private static func element(_ text: Substring, _ kind: Kind) throws(DriveError) -> (ClosedRange<Int>, step: Int) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let base = parts.first, parts.count <= 2 else { throw kind.wrong("\"\(text)\" has more than one step") }
        let ends = base.split(separator: "-", omittingEmptySubsequences: false)
        let range: ClosedRange<Int>
        if base == "*" {
            range = kind.all
        } else if ends.count == 2 {
            let low = try kind.value(ends[0])
            var high = try kind.value(ends[1])
            // Sunday ends a week as well as it begins one: `fri-sun`.
            if kind == .dayOfWeek, high == 0, low > 0 { high = 7 }
            guard low <= high else { throw kind.wrong("the range \"\(base)\" runs backwards") }
            range = low...high
        } else if ends.count == 1 {
            let value = try kind.value(base)
            range = value...value
        } else {
            throw kind.wrong("\"\(base)\" is no range")
        }
        guard parts.count == 2 else { return (range, 1) }
        guard base == "*" || ends.count == 2 else { throw kind.wrong("the step in \"\(text)\" needs * or a range before it") }
        guard let step = CronExpression.number(parts[1]), (1...kind.all.count).contains(step) else {
            throw kind.wrong("the step in \"\(text)\" is not a number from 1 to \(kind.all.count)")
        }
        return (range, step)
    }
}

extension CronField.Kind {
    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    /// As messages name it.
    var label: String {
        switch self {
        case .minute: "minute"
        case .hour: "hour"
        case .dayOfMonth: "day-of-month"
        case .month: "month"
        case .dayOfWeek: "day-of-week"
        }
    }

    /// What `*` stands for.
    var all: ClosedRange<Int> {
        switch self {
        case .minute: 0...59
        case .hour: 0...23
        case .dayOfMonth: 1...31
        case .month: 1...12
        case .dayOfWeek: 0...6
        }
    }

    /// The number or the name; of the days of the week, 0 and 7 are Sunday.
    func value(_ text: Substring) throws(DriveError) -> Int {
        let allowed = self == .dayOfWeek ? 0...7 : all
        if let number = CronExpression.number(text), allowed.contains(number) { return number }
        let names = self == .month ? Self.months : self == .dayOfWeek ? Self.weekdays : []
        guard let place = names.firstIndex(of: text.lowercased()) else {
            let orName = names.isEmpty ? "" : " or a name such as \(names[1])"
            throw wrong("\"\(text)\" is not a number from \(allowed.lowerBound) to \(allowed.upperBound)\(orName)")
        }
        return place + all.lowerBound
    }

    func wrong(_ reason: String) -> DriveError {
        CronExpression.wrong("its \(label) field is wrong: \(reason)", field: label)
    }
}
