import DriveTasks
import Testing

@Suite struct LeaseWatchTests {
    private static let start = ContinuousClock.now

    /// One observation: so many milliseconds after the start, these counters, these workers stood still.
    struct Step: Sendable {
        var at: Int
        var counters: [String: Int64]
        var still: [String] = []
        var gap: Duration?
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var steps: [Step]
    }

    @Test(
        arguments: [
            Case(testDescription: "nobody", steps: [Step(at: 0, counters: [:]), Step(at: 10_000, counters: [:])]),
            Case(
                testDescription: "a worker that stands still, until it moves",
                steps: [
                    Step(at: 0, counters: ["a": 5]), Step(at: 10_000, counters: ["a": 5]), Step(at: 20_000, counters: ["a": 5]),
                    Step(at: 29_999, counters: ["a": 5]), Step(at: 30_000, counters: ["a": 5], still: ["a"]),
                    Step(at: 31_000, counters: ["a": 5], still: ["a"]), Step(at: 40_000, counters: ["a": 6]),
                    Step(at: 55_000, counters: ["a": 6]), Step(at: 69_999, counters: ["a": 6]),
                    Step(at: 70_000, counters: ["a": 6], still: ["a"]),
                ]),
            Case(
                testDescription: "patience counts from when the value was first seen, per worker",
                steps: [
                    Step(at: 0, counters: ["a": 1, "b": 1]), Step(at: 10_000, counters: ["a": 1, "b": 2, "c": 9]),
                    Step(at: 20_000, counters: ["a": 1, "b": 2, "c": 9]),
                    Step(at: 30_000, counters: ["a": 1, "b": 2, "c": 9], still: ["a"]),
                    Step(at: 40_000, counters: ["c": 9, "b": 2, "a": 1], still: ["a", "b", "c"]),
                ]),
            Case(
                testDescription: "any change is a sign, also back or to a value seen before",
                steps: [
                    Step(at: 0, counters: ["a": 7]), Step(at: 15_000, counters: ["a": 3]), Step(at: 30_000, counters: ["a": 3]),
                    Step(at: 40_000, counters: ["a": 7]), Step(at: 55_000, counters: ["a": 7]), Step(at: 69_999, counters: ["a": 7]),
                    Step(at: 70_000, counters: ["a": 7], still: ["a"]),
                ]),
            Case(
                testDescription: "one that vanished is forgotten, and is new when it comes again",
                steps: [
                    Step(at: 0, counters: ["a": 1]), Step(at: 15_000, counters: ["a": 1]), Step(at: 25_000, counters: [:]),
                    Step(at: 30_000, counters: ["a": 1]), Step(at: 45_000, counters: ["a": 1]), Step(at: 59_999, counters: ["a": 1]),
                    Step(at: 60_000, counters: ["a": 1], still: ["a"]), Step(at: 61_000, counters: [:]),
                ]),
            Case(
                testDescription: "half the patience is no gap",
                steps: [
                    Step(at: 0, counters: ["a": 1]), Step(at: 15_000, counters: ["a": 1]),
                    Step(at: 30_000, counters: ["a": 1], still: ["a"]),
                ]),
            Case(
                testDescription: "after more than half, all patience starts anew, also of one that stood still already",
                steps: [
                    Step(at: 0, counters: ["a": 1, "b": 1]), Step(at: 15_000, counters: ["a": 1, "b": 1]),
                    Step(at: 30_000, counters: ["a": 1, "b": 2], still: ["a"]),
                    Step(at: 45_001, counters: ["a": 1, "b": 2], gap: .milliseconds(15_001)), Step(at: 60_000, counters: ["a": 1, "b": 2]),
                    Step(at: 75_000, counters: ["a": 1, "b": 2]), Step(at: 75_001, counters: ["a": 1, "b": 2], still: ["a", "b"]),
                ]),
            Case(
                testDescription: "a day's suspension takes nobody's lease",
                steps: [
                    Step(at: 0, counters: ["a": 1]), Step(at: 86_400_000, counters: ["a": 1], gap: .seconds(86_400)),
                    Step(at: 86_410_000, counters: ["a": 2]), Step(at: 86_425_000, counters: ["a": 2]),
                    Step(at: 86_440_000, counters: ["a": 2], still: ["a"]),
                ]),
        ])
    func findsWhoStoodStill(_ example: Case) {
        var watch = LeaseWatch()
        for (number, step) in example.steps.enumerated() {
            let still = watch.observe(step.counters, now: Self.start + .milliseconds(step.at))
            #expect(still == step.still, "step \(number)")
            #expect(watch.observedGap == step.gap, "step \(number)")
        }
    }

    @Test func patienceIsAChoice() {
        var watch = LeaseWatch(patience: .seconds(2))
        #expect(watch.observe(["a": 1], now: Self.start) == [])
        #expect(watch.observe(["a": 1], now: Self.start + .seconds(1)) == [])
        #expect(watch.observe(["a": 1], now: Self.start + .seconds(2)) == ["a"])
        #expect(watch.patience == .seconds(2))
    }
}
