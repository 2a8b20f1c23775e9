import DriveModel
import DriveTasks
import Testing

@Suite struct CronExpressionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var after: String
        /// The next times, each counted from the one before.
        var next: [String]

        var testDescription: String { "\(text) after \(after)" }
    }

    @Test(
        arguments: [
            Case(text: "* * * * *", after: "2026-01-01T00:00:00Z", next: ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]),
            // Later, not "not earlier"; and whole minutes, whatever the seconds.
            Case(text: "30 2 * * *", after: "2026-01-01T02:29:59.999999Z", next: ["2026-01-01T02:30:00Z", "2026-01-02T02:30:00Z"]),
            Case(text: "30 2 * * *", after: "2026-01-01T02:30:00.000001Z", next: ["2026-01-02T02:30:00Z"]),
            Case(text: "*/15 * * * *", after: "2026-01-01T00:50:00Z", next: ["2026-01-01T01:00:00Z", "2026-01-01T01:15:00Z"]),
            Case(text: "1-30/5 4 * * *", after: "2026-01-01T04:22:00Z", next: ["2026-01-01T04:26:00Z", "2026-01-02T04:01:00Z"]),
            Case(text: "5,50-52 9,17 * * *", after: "2026-01-01T09:51:00Z", next: ["2026-01-01T09:52:00Z", "2026-01-01T17:05:00Z"]),
            Case(text: "59 23 31 12 *", after: "2026-12-31T23:59:00Z", next: ["2027-12-31T23:59:00Z"]),
            Case(text: "\t0   0 1 JAN,jul *  ", after: "2026-03-04T00:00:00Z", next: ["2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"]),
            Case(text: "0 0 1 feb-apr *", after: "2026-03-04T00:00:00Z", next: ["2026-04-01T00:00:00Z", "2027-02-01T00:00:00Z"]),
            // 2026-03-01 is a Sunday: 0, 7, its name, and the end of a week.
            Case(text: "0 0 * * 7", after: "2026-02-28T00:00:00Z", next: ["2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"]),
            Case(text: "0 0 * * 0", after: "2026-02-28T00:00:00Z", next: ["2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"]),
            Case(text: "0 0 * * Sat-Sun", after: "2026-02-27T00:00:00Z", next: ["2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"]),
            Case(text: "0 0 * * 6-7", after: "2026-02-28T00:00:00Z", next: ["2026-03-01T00:00:00Z", "2026-03-07T00:00:00Z"]),
            Case(text: "0 8 * * mon-fri", after: "2026-02-27T08:00:00Z", next: ["2026-03-02T08:00:00Z"]),
            // Both days restricted: either. One of them a star, also with a step: both.
            Case(text: "0 0 13 * fri", after: "2026-03-01T00:00:00Z", next: ["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"]),
            Case(text: "0 0 13 * mon", after: "2026-03-09T00:00:00Z", next: ["2026-03-13T00:00:00Z", "2026-03-16T00:00:00Z"]),
            Case(text: "0 0 */2 * mon", after: "2026-03-02T00:00:00Z", next: ["2026-03-09T00:00:00Z", "2026-03-23T00:00:00Z"]),
            // The ends of months and centuries.
            Case(text: "0 0 31 * *", after: "2026-01-31T00:00:00Z", next: ["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
            Case(text: "0 0 29 2 *", after: "2026-01-01T00:00:00Z", next: ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            Case(text: "0 0 29 2 *", after: "2096-02-29T00:00:00Z", next: ["2104-02-29T00:00:00Z"]),
            Case(text: "0 0 29 2 *", after: "1996-02-29T00:00:00Z", next: ["2000-02-29T00:00:00Z"]),
            // The longest wait there is: leap days on a Sunday across a century without one.
            Case(text: "0 0 29 2 */7", after: "2060-03-01T00:00:00Z", next: ["2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z"]),
            Case(text: "0 12 * * *", after: "1969-12-30T12:00:00Z", next: ["1969-12-31T12:00:00Z", "1970-01-01T12:00:00Z"]),
            Case(text: "59 23 31 12 *", after: "9998-12-31T23:59:00Z", next: ["9999-12-31T23:59:00Z"]),
            // Words.
            Case(text: "@hourly", after: "2026-01-01T23:00:00Z", next: ["2026-01-02T00:00:00Z"]),
            Case(text: "@daily", after: "2026-01-01T00:00:00Z", next: ["2026-01-02T00:00:00Z"]),
            Case(text: "@Midnight", after: "2026-01-01T00:00:00Z", next: ["2026-01-02T00:00:00Z"]),
            Case(text: "@weekly", after: "2026-01-01T00:00:00Z", next: ["2026-01-04T00:00:00Z"]),
            Case(text: "@monthly", after: "2026-01-01T00:00:00Z", next: ["2026-02-01T00:00:00Z"]),
            Case(text: "@yearly", after: "2026-01-01T00:00:00Z", next: ["2027-01-01T00:00:00Z"]),
            Case(text: "@annually", after: "2026-01-01T00:00:00Z", next: ["2027-01-01T00:00:00Z"]),
            Case(text: "@every 1s", after: "2026-01-01T00:00:00.25Z", next: ["2026-01-01T00:00:01.250000Z"]),
            Case(text: "@every 90m", after: "2026-01-01T23:00:01Z", next: ["2026-01-02T00:30:01Z", "2026-01-02T02:00:01Z"]),
            Case(text: "@every 48h", after: "2026-02-27T00:00:00Z", next: ["2026-03-01T00:00:00Z"]),
        ])
    func comesNext(_ example: Case) throws {
        let cron = try CronExpression(example.text)
        #expect(cron.description == example.text)
        var time = try #require(Timestamp(example.after))
        for expected in example.next {
            time = try #require(cron.next(after: time))
            #expect(time.description == expected)
        }
    }

    @Test(
        arguments: [
            ("0 0 30 2 *", "2026-01-01T00:00:00Z"), ("0 0 31 2,4,6,9,11 *", "2026-01-01T00:00:00Z"),
            ("0 0 30 2 */7", "2026-01-01T00:00:00Z"), ("* * * * *", "9999-12-31T23:59:00Z"), ("@yearly", "9999-01-01T00:00:00Z"),
            ("@every 1h", "9999-12-31T23:00:00Z"),
        ])
    func neverComes(text: String, after: String) throws {
        #expect(try CronExpression(text).next(after: try #require(Timestamp(after))) == nil)
    }

    /// No time crashes the search, and what it finds can be written.
    @Test func theEndsOfTime() throws {
        let cron = try CronExpression("*/7 * 29 2 *")
        let interval = try CronExpression("@every 1s")
        for microseconds in [Int64.max, Int64.max - 1, 253_402_300_800_000_000] {
            #expect(cron.next(after: Timestamp(microseconds: microseconds)) == nil)
            #expect(interval.next(after: Timestamp(microseconds: microseconds)) == nil)
        }
        for microseconds in [Int64.min, -Int64.max, -62_135_596_800_000_001] {
            #expect(cron.next(after: Timestamp(microseconds: microseconds))?.description == "0004-02-29T00:00:00Z")
        }
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var text: String
        /// The field the error names; nil where the whole is wrong.
        var field: String?
        /// A part of the message.
        var says: String

        var testDescription: String { text }
    }

    @Test(
        arguments: [
            Wrong(text: "60 * * * *", field: "minute", says: "\"60\" is not a number from 0 to 59"),
            Wrong(text: "* 24 * * *", field: "hour", says: "\"24\" is not a number from 0 to 23"),
            Wrong(text: "* * 0 * *", field: "day-of-month", says: "\"0\" is not a number from 1 to 31"),
            Wrong(text: "* * 32 * *", field: "day-of-month", says: "\"32\""),
            Wrong(text: "* * * 13 *", field: "month", says: "\"13\" is not a number from 1 to 12 or a name such as feb"),
            Wrong(text: "* * * mon *", field: "month", says: "\"mon\""),
            Wrong(text: "* * * * 8", field: "day-of-week", says: "\"8\" is not a number from 0 to 7 or a name such as mon"),
            Wrong(text: "* * * * monday", field: "day-of-week", says: "\"monday\""),
            Wrong(text: "* jan * * *", field: "hour", says: "\"jan\""),
            Wrong(text: "-5 * * * *", field: "minute", says: "\"\""),
            Wrong(text: "+5 * * * *", field: "minute", says: "\"+5\""),
            Wrong(text: "٣ * * * *", field: "minute", says: "\"٣\""),
            Wrong(text: "99999999999999999999 * * * *", field: "minute", says: "is not a number"),
            Wrong(text: "1,,2 * * * *", field: "minute", says: "\"\""),
            Wrong(text: ", * * * *", field: "minute", says: "\"\""),
            Wrong(text: "*5 * * * *", field: "minute", says: "\"*5\""),
            Wrong(text: "* 5-1 * * *", field: "hour", says: "\"5-1\" runs backwards"),
            Wrong(text: "* * * * fri-mon", field: "day-of-week", says: "\"fri-mon\" runs backwards"),
            Wrong(text: "1-2-3 * * * *", field: "minute", says: "\"1-2-3\" is no range"),
            Wrong(text: "5/15 * * * *", field: "minute", says: "needs * or a range"),
            Wrong(text: "*/0 * * * *", field: "minute", says: "a number from 1 to 60"),
            Wrong(text: "*/61 * * * *", field: "minute", says: "a number from 1 to 60"),
            Wrong(text: "*/ * * * *", field: "minute", says: "a number from 1 to 60"),
            Wrong(text: "* * * * */8", field: "day-of-week", says: "a number from 1 to 7"),
            Wrong(text: "*/2/3 * * * *", field: "minute", says: "more than one step"),
            Wrong(text: "", field: nil, says: "0 fields instead of five"),
            Wrong(text: "* * * *", field: nil, says: "4 fields"),
            Wrong(text: "0 * * * * *", field: nil, says: "6 fields"),
            Wrong(text: "@reboot", field: nil, says: "@reboot"),
            Wrong(text: "@daily 5", field: nil, says: "@daily 5"),
            Wrong(text: "@every", field: "@every", says: "from 1s"),
            Wrong(text: "@every 0s", field: "@every", says: "from 1s"),
            Wrong(text: "@every 15", field: "@every", says: "from 1s"),
            Wrong(text: "@every m", field: "@every", says: "from 1s"),
            Wrong(text: "@every 1.5h", field: "@every", says: "from 1s"),
            Wrong(text: "@every -1h", field: "@every", says: "from 1s"),
            Wrong(text: "@every 2d", field: "@every", says: "from 1s"),
            Wrong(text: "@every 1h 5m", field: "@every", says: "from 1s"),
            Wrong(text: "@every 9223372036854775807h", field: "@every", says: "from 1s"),
            Wrong(text: String(repeating: "1,", count: 300) + "1 * * * *", field: nil, says: "longer than 500 bytes"),
        ])
    func isRefused(_ wrong: Wrong) throws {
        let error = #expect(throws: DriveError.self) { try CronExpression(wrong.text) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.details["rule"] == "cron")
        #expect(error?.details["field"]?.string == wrong.field)
        let message = try #require(error?.message)
        #expect(message.contains(wrong.says))
        if let field = wrong.field { #expect(message.contains(field)) }
    }

    /// The longest sensible field still fits.
    @Test func everyMinuteByName() throws {
        let minutes = (0..<60).map { String($0) }.joined(separator: ",")
        let cron = try CronExpression("\(minutes) * * * *")
        #expect(cron.next(after: Timestamp(seconds: 0)) == Timestamp(seconds: 60))
    }
}
