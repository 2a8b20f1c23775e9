import DriveModel

/// The five fields of a cron expression together, and the search for the next minute they match.
struct CronCalendar: Hashable, Sendable {
    private let minute, hour, dayOfMonth, month, dayOfWeek: CronField

    /// The ends of the years 1 to 9999, which is what can be kept and written.
    static let earliest = Timestamp(seconds: -62_135_596_800)
    static let latest = Timestamp(microseconds: 253_402_300_800_000_000 - 1)

    init(_ fields: [Substring]) throws(DriveError) {
        guard fields.count == 5 else {
            throw CronExpression.wrong(
                "it has \(fields.count) fields instead of five (minute, hour, day-of-month, month, day-of-week) or one of the words"
                    + " @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, @every")
        }
        minute = try CronField(fields[0], .minute)
        hour = try CronField(fields[1], .hour)
        dayOfMonth = try CronField(fields[2], .dayOfMonth)
        month = try CronField(fields[3], .month)
        dayOfWeek = try CronField(fields[4], .dayOfWeek)
    }

    /// The first minute that matches and is later than `time`, if there is one.
    func next(after time: Timestamp) -> Timestamp? {
        // Counted from the year 1, so that nothing is negative.
        let first = (max(time, Self.earliest).seconds - Self.earliest.seconds) / 60 + 1
        var minuteOfDay = first % 1440
        var date = CivilDate.fromDays(first / 1440 + Self.earliest.seconds / 86_400)
        // The calendar repeats after 400 years, a whole number of weeks: what did not come until then never comes.
        for _ in 0...400 * 12 where date.year <= 9999 {
            let following: (year: Int64, month: Int64) = date.month < 12 ? (date.year, date.month + 1) : (date.year + 1, 1)
            if month.contains(date.month) {
                let start = CivilDate.days(year: date.year, month: date.month, day: 1)
                let count = CivilDate.days(year: following.year, month: following.month, day: 1) - start
                while date.day <= count {
                    let days = start + date.day - 1
                    if matches(dayOfMonth: date.day, days: days), let found = firstMinute(notBefore: minuteOfDay) {
                        return Timestamp(seconds: days * 86_400 + found * 60)
                    }
                    date.day += 1
                    minuteOfDay = 0
                }
            }
            date = (following.year, following.month, 1)
            minuteOfDay = 0
        }
        return nil
    }

    private func matches(dayOfMonth day: Int64, days: Int64) -> Bool {
        // Day 0, 1970-01-01, was a Thursday.
        let weekday = ((days + 4) % 7 + 7) % 7
        let byMonth = dayOfMonth.contains(day)
        let byWeek = dayOfWeek.contains(weekday)
        return dayOfMonth.isRestricted && dayOfWeek.isRestricted ? byMonth || byWeek : byMonth && byWeek
    }

    /// The first minute of the day, counted from midnight, that matches and is not before the one given.
    private func firstMinute(notBefore start: Int64) -> Int64? {
        if hour.contains(start / 60), let found = minute.first(notBelow: start % 60) { return start / 60 * 60 + found }
        guard let nextHour = hour.first(notBelow: start / 60 + 1), let found = minute.first(notBelow: 0) else { return nil }
        return nextHour * 60 + found
    }
}
