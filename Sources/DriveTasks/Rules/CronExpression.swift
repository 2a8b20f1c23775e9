import DriveModel

/// When a recurring task runs: a cron expression, read in UTC.
///
/// Five fields separated by spaces: minute (0–59), hour (0–23), day of month (1–31), month (1–12 or `jan`–`dec`) and day of
/// week (0–7 or `sun`–`sat`; 0 and 7 are Sunday). A field is a list, separated by commas, of `*`, values and ranges; `*` and
/// ranges take a step: `*/15`, `1-30/5`. As in Vixie cron, a day matches where both day fields do; but where both are
/// restricted, that is neither begins with `*`, it is enough that one does.
///
/// Or a word: `@hourly`, `@daily`, `@midnight`, `@weekly` (Sunday), `@monthly`, `@yearly`, `@annually`; or `@every 15m`, an
/// interval in seconds (`s`), minutes (`m`) or hours (`h`) that counts from the time handed in.
public struct CronExpression: Hashable, Sendable, CustomStringConvertible {
    private enum Schedule: Hashable, Sendable {
        case interval(Duration)
        case calendar(CronCalendar)
    }

    /// The text it was read from.
    public let description: String
    private let schedule: Schedule

    /// Longer than any expression needs that lists every minute.
    private static let longestText = 500
    /// A hundred years, so that no interval comes near the end of time.
    private static let longestInterval = 100 * 366 * 86_400
    private static let words = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// Reads an expression. Throws `INVALID_REQUEST` with the detail `rule: "cron"`; the message, and where there is one the
    /// detail `field`, name the field that is wrong.
    public init(_ text: String) throws(DriveError) {
        guard text.utf8.count <= Self.longestText else { throw Self.wrong("it is longer than \(Self.longestText) bytes") }
        let parts = text.split { $0 == " " || $0 == "\t" }
        description = text
        if let word = parts.first?.lowercased(), word.hasPrefix("@") {
            if word == "@every" {
                schedule = .interval(try Self.interval(parts.dropFirst()))
            } else if parts.count == 1, let fields = Self.words[word] {
                schedule = .calendar(try CronCalendar(fields.split(separator: " ")))
            } else {
                throw Self.wrong("\"\(text)\" is none of the words that stand for one")
            }
        } else {
            schedule = .calendar(try CronCalendar(parts))
        }
    }

    /// The first time it matches that is later than `time`: a whole minute, or for `@every` that time and the interval.
    /// Nil where it never matches again before the end of the year 9999, as for 30 February.
    public func next(after time: Timestamp) -> Timestamp? {
        switch schedule {
        case .calendar(let calendar):
            return calendar.next(after: time)
        case .interval(let interval):
            let next = time + interval
            return next <= CronCalendar.latest ? next : nil
        }
    }

    private static func interval(_ parts: ArraySlice<Substring>) throws(DriveError) -> Duration {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600]
        guard parts.count == 1, let text = parts.first, let letter = text.last, let unit = units[letter],
            let number = number(text.dropLast()), (1...longestInterval / unit).contains(number)
        else {
            throw wrong(
                "the interval after @every is not a whole number of s, m or h, from 1s to \(longestInterval / 3600)h", field: "@every")
        }
        return .seconds(number * unit)
    }

    /// Digits alone; `Int` would take a sign as well.
    static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (48...57).contains($0) } ? Int(text) : nil
    }

    static func wrong(_ reason: String, field: String? = nil) -> DriveError {
        var details: [String: JSONValue] = ["rule": "cron"]
        if let field { details["field"] = .string(field) }
        return DriveError(.invalidRequest, "The cron expression is refused: \(reason).", details: details)
    }
}
