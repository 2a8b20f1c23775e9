import DriveTasks
import Foundation
import TestSupport
import Testing

@Suite struct DurationEstimateTests {
    private static func learned(_ observations: [Double]) -> DurationEstimate {
        var estimate = DurationEstimate()
        for seconds in observations { estimate.add(seconds: seconds) }
        return estimate
    }

    @Test(
        arguments: [
            (nil, 0), (0, 0), (-1, 0), (.min, 0), (1, 1), (3, 1), (4, 2), (15, 2), (16, 3), (1023, 5), (1024, 6), (1 << 20, 11),
            ((1 << 62) - 1, 31), (1 << 62, 32), (.max, 32),
        ] as [(Int64?, Int)])
    func sizeClasses(size: Int64?, expected: Int) {
        #expect(DurationEstimate.sizeClass(size) == expected)
    }

    /// Every class begins at a power of four.
    @Test func sizeClassesGrowFourfold() {
        for power in 0...30 as ClosedRange<Int64> {
            let first: Int64 = 1 << (2 * power)
            #expect(DurationEstimate.sizeClass(first) == Int(power) + 1)
            #expect(DurationEstimate.sizeClass(first - 1) == Int(power))
        }
    }

    @Test(
        arguments: [
            ([], nil), ([5, 5], nil), ([5, 5, 5], 5), ([1, 2, 3], 2), ([1, 2, 4], 3), ([0, 0, 0], 1), ([0.001, 0.2, 0.1], 1),
            // A mean that comes out as 7.000000000000001 is 7.
            ([6.9, 7.2, 6.9], 7), ([1e300, 1e300, 1e300], .max),
            // What is no duration is no observation.
            ([.nan, .infinity, -1, 5, 5], nil), ([.nan, 5, .infinity, 5, -3, 5], 5),
        ] as [([Double], Int64?)])
    func estimates(observations: [Double], expected: Int64?) {
        #expect(Self.learned(observations).estimatedSeconds == expected)
    }

    /// The plain mean up to fifty; then a new one weighs a fiftieth, so that a change is followed within some hundred.
    @Test func followsChanges() {
        var estimate = Self.learned(Array(repeating: 10, count: 25) + Array(repeating: 20, count: 25))
        #expect(estimate.count == 50)
        #expect(abs(estimate.meanSeconds - 15) < 1e-9)
        estimate.add(seconds: 65)
        #expect(abs(estimate.meanSeconds - (15 + 50.0 / 51)) < 1e-9)
        estimate = Self.learned(Array(repeating: 10, count: 100_000))
        estimate.add(seconds: 61)
        #expect(abs(estimate.meanSeconds - 11) < 1e-6)
        for _ in 0..<250 { estimate.add(seconds: 100) }
        #expect(estimate.meanSeconds > 98 && estimate.meanSeconds < 100)
        #expect(estimate.count == 100_251)
    }

    /// Below the memory, learning in two places and merging is learning in one.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func mergingIsLearningTogether(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let all = (0..<50).map { _ in Double.random(in: 0...1000, using: &generator) }
        let cut = Int.random(in: 0...50, using: &generator)
        var merged = Self.learned(Array(all.prefix(cut)))
        merged.merge(Self.learned(Array(all.suffix(50 - cut))))
        #expect(merged.count == 50)
        #expect(abs(merged.meanSeconds - all.reduce(0, +) / 50) < 1e-9)
    }

    @Test(
        arguments: [
            // Nothing changes nothing, and nothing takes all.
            ((0, 0), (0, 0), (0, 0)), ((9, 3), (0, 77), (9, 3)), ((0, 0), (9, 3), (9, 3)),
            // A long past weighs no more than the memory.
            ((1_000_000, 10), (50, 20), (1_000_050, 15)), ((1_000_000, 10), (1_000_000, 20), (2_000_000, 15)),
            ((25, 10), (1000, 40), (1025, 30)),
            // Counts that make no sense.
            ((-5, 10), (4, 20), (4, 20)), ((4, 20), (-5, 10), (4, 20)), ((.max, 10), (.max, 20), (.max, 15)),
        ] as [((Int64, Double), (Int64, Double), (Int64, Double))])
    func merges(left: (Int64, Double), right: (Int64, Double), expected: (Int64, Double)) {
        var estimate = DurationEstimate(count: left.0, meanSeconds: left.1)
        estimate.merge(DurationEstimate(count: right.0, meanSeconds: right.1))
        #expect(estimate.count == expected.0)
        #expect(abs(estimate.meanSeconds - expected.1) < 1e-9)
    }

    @Test func isKept() throws {
        let estimate = Self.learned([1, 2, 4.5])
        let text = try JSONEncoder().encode(estimate)
        #expect(try JSONDecoder().decode(DurationEstimate.self, from: text) == estimate)
        #expect(try JSONDecoder().decode([String: Double].self, from: text) == ["count": 3, "meanSeconds": 2.5])
    }
}
