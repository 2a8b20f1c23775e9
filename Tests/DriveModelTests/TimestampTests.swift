import Foundation
import TestSupport
import Testing

@testable import DriveModel

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("2025-11-09T02:00:00Z", 1_762_653_600_000_000),
        ("2025-11-09T02:00:00.5Z", 1_762_653_600_500_000),
        ("2025-11-09T02:00:00.123456Z", 1_762_653_600_123_456),
        ("2025-11-09T02:00:00.1234569Z", 1_762_653_600_123_456),
        ("2025-11-09T10:00:00+08:00", 1_762_653_600_000_000),
        ("2025-11-08T18:30:00-07:30", 1_762_653_600_000_000),
        ("2025-11-09T10:00:00+0800", 1_762_653_600_000_000),
        // PostgreSQL's own forms.
        ("2025-11-09 02:00:00+00", 1_762_653_600_000_000),
        ("2025-11-09 02:00:00.123+00", 1_762_653_600_123_000),
        ("2025-11-09 07:30:00.000001+05:30", 1_762_653_600_000_001),
        ("2025-11-09", 1_762_646_400_000_000),
        // Leap days, and a leap second as RFC 3339 admits it.
        ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ])
    func reads(text: String, microseconds: Int64) throws {
        #expect(try #require(Timestamp(text)).microseconds == microseconds)
    }

    @Test(arguments: [
        "", " ", "now", "infinity", "2025", "2025-11", "2025-11-9", "2025-13-01", "2025-00-01", "2025-01-00", "2025-04-31",
        "2025-02-29", "1900-02-29", "2100-02-29", "2025-11-09T", "2025-11-09T02", "2025-11-09T02:00:00.", "2025-11-09T02:00:00.Z",
        "2025-11-09T24:00:00Z", "2025-11-09T02:60:00Z", "2025-11-09T02:00:61Z", "2025-11-09T02:00:00+24:00",
        "2025-11-09T02:00:00+05:60", "2025-11-09T02:00:00+5", "2025-11-09T02:00:00+05:", "2025-11-09T02:00:00ZZ",
        "2025-11-09T02:00:00Z ", " 2025-11-09T02:00:00Z", "2025-11-09X02:00:00Z", "-2025-11-09T02:00:00Z", "12025-11-09T02:00:00Z",
        "2025-11-09 02:00:00+00 BC", "２025-11-09T02:00:00Z", "2025-11-09T02:00:00\u{0}",
    ])
    func rejects(text: String) {
        #expect(Timestamp(text) == nil)
    }

    /// An offset must not lead out of the years that four digits can write: such a time would be stored and never read again.
    @Test(arguments: ["9999-12-31T23:59:59-00:01", "9999-12-31T00:01:00-23:59", "0000-01-01T00:00:00+00:01", "0000-06-01"])
    func rejectsTimesOutsideFourDigitYears(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"), (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        (1_709_164_800_000_000, "2024-02-29T00:00:00Z"),
    ])
    func writes(microseconds: Int64, text: String) {
        #expect("\(Timestamp(microseconds: microseconds))" == text)
    }

    @Test func roundTripsRandomTimes() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            let time = Timestamp(microseconds: .random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &generator))
            #expect(Timestamp("\(time)") == time)
        }
    }

    /// Every day of 400 years, the calendar's whole cycle, against Foundation's calendar.
    @Test func countsDaysAsTheGregorianCalendarDoes() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
        for days in stride(from: Int64(0), to: 146_097, by: 1) {
            let (year, month, day) = CivilDate.fromDays(days)
            #expect(CivilDate.days(year: year, month: month, day: day) == days)
            if days.isMultiple(of: 13) {
                let parts = calendar.dateComponents([.year, .month, .day], from: Date(timeIntervalSince1970: Double(days) * 86_400))
                #expect((parts.year, parts.month, parts.day) == (Int(year), Int(month), Int(day)))
            }
        }
    }

    @Test(arguments: [(0, 0), (1, 0), (999_999, 0), (1_000_000, 1), (-1, -1), (-1_000_000, -1), (-1_000_001, -2)])
    func roundsSecondsDown(microseconds: Int64, seconds: Int64) {
        #expect(Timestamp(microseconds: microseconds).seconds == seconds)
    }

    @Test func addsAndSubtractsDurations() {
        let time = Timestamp(seconds: 100)
        #expect(time + .milliseconds(1500) == Timestamp(microseconds: 101_500_000))
        #expect(time - .seconds(101) == Timestamp(seconds: -1))
        #expect(Timestamp(seconds: 3) - Timestamp(seconds: 5) == .seconds(-2))
        #expect(Duration.nanoseconds(1999).wholeMicroseconds == 1)
        #expect(Duration.milliseconds(250).inSeconds == 0.25)
    }

    @Test func isATextInJSON() throws {
        let text = try DriveJSON.text([Timestamp(seconds: 0)])
        #expect(text == #"["1970-01-01T00:00:00Z"]"#)
        #expect(try DriveJSON.value([Timestamp].self, from: text) == [Timestamp(seconds: 0)])
        #expect(throws: DecodingError.self) { try DriveJSON.value([Timestamp].self, from: #"["yesterday"]"#) }
        #expect(throws: DecodingError.self) { try DriveJSON.value([Timestamp].self, from: "[0]") }
    }
}
