import DriveModel
import DriveTasks
import TestSupport
import Testing

/// Seeded expressions beside a minute-by-minute search over a calendar that ticks like a clock.
@Suite struct CronExpressionWalk {
    /// A field as text, and the values it stands for, made together.
    private struct Field {
        var text: String
        var values: [Bool]
        var isRestricted: Bool

        init(_ range: ClosedRange<Int>, names: [String] = [], using generator: inout SeededGenerator) {
            values = Array(repeating: false, count: 60)
            isRestricted = true
            var elements: [String] = []
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let low = Int.random(in: range, using: &generator)
                let high = Int.random(in: low...range.upperBound, using: &generator)
                let step = Int.random(in: 1...min(range.count, 9), using: &generator)
                func name(_ value: Int) -> String {
                    names.isEmpty || Bool.random(using: &generator) ? String(value) : names[value - range.lowerBound]
                }
                switch Int.random(in: 0..<8, using: &generator) {
                case 0..<3:
                    elements.append(name(low))
                    values[low] = true
                case 3, 4:
                    elements.append("\(name(low))-\(name(high))")
                    for value in low...high { values[value] = true }
                case 5:
                    elements.append("\(name(low))-\(name(high))/\(step)")
                    for value in low...high where (value - low) % step == 0 { values[value] = true }
                case 6:
                    elements.append("*/\(step)")
                    for value in range where (value - range.lowerBound) % step == 0 { values[value] = true }
                default:
                    elements.append("*")
                    for value in range { values[value] = true }
                }
            }
            text = elements.joined(separator: ",")
            isRestricted = !text.hasPrefix("*")
        }
    }

    /// A date that is only ever counted on, from Sunday 2023-01-01T00:00Z.
    private struct Walk {
        var year = 2023, month = 1, day = 1, weekday = 0, minute = 0
        var time = Timestamp(seconds: 1_672_531_200)

        mutating func tick() {
            time = time + .seconds(60)
            minute += 1
            if minute == 1440 {
                minute = 0
                nextDay()
            }
        }

        mutating func skipDay() {
            time = time + .seconds(86_400)
            nextDay()
        }

        private mutating func nextDay() {
            let february = year % 4 == 0 ? 29 : 28
            weekday = (weekday + 1) % 7
            day += 1
            guard day > [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] else { return }
            day = 1
            month = month % 12 + 1
            if month == 1 { year += 1 }
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func findsWhatCountingFinds(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var found = 0
        for _ in 0..<25 {
            let minute = Field(0...59, using: &generator)
            let hour = Field(0...23, using: &generator)
            let day = Field(1...31, using: &generator)
            let month = Field(1...12, names: Self.months, using: &generator)
            let weekday = Field(0...6, names: Self.weekdays, using: &generator)
            let text = [minute, hour, day, month, weekday].map(\.text).joined(separator: " ")
            let cron = try CronExpression(text)
            for _ in 0..<4 {
                var walk = Walk()
                for _ in 0..<Int.random(in: 0..<800, using: &generator) { walk.skipDay() }
                for _ in 0..<Int.random(in: 0..<1440, using: &generator) { walk.tick() }
                let after = walk.time + .microseconds(Int64.random(in: 0..<60_000_000, using: &generator))
                var expected: Timestamp?
                for _ in 0..<35 * 1440 where expected == nil {
                    walk.tick()
                    guard minute.values[walk.minute % 60], hour.values[walk.minute / 60], month.values[walk.month] else { continue }
                    let days = (day.values[walk.day], weekday.values[walk.weekday])
                    let either = day.isRestricted && weekday.isRestricted
                    if either ? days.0 || days.1 : days.0 && days.1 { expected = walk.time }
                }
                let next = cron.next(after: after)
                if let expected {
                    found += 1
                    #expect(next == expected, "seed \(seed): \(text) after \(after)")
                } else {
                    #expect(next.map { $0 > walk.time } ?? true, "seed \(seed): \(text) after \(after)")
                }
            }
        }
        // Of 100 searches; otherwise this test would compare little.
        #expect(found > 40)
    }

    private static let months = ["jan", "Feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let weekdays = ["SUN", "mon", "Tue", "wed", "thu", "fri", "sat"]
}
