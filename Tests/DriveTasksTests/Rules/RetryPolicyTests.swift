import DriveTasks
import TestSupport
import Testing

@Suite struct RetryPolicyTests {
    @Test(
        arguments: [
            // Without jitter's part: 2 s doubled, at most an hour.
            (1, 0.5, .seconds(2)), (2, 0.5, .seconds(4)), (3, 0.5, .seconds(8)), (11, 0.5, .seconds(2048)), (12, 0.5, .seconds(3600)),
            (13, 0.5, .seconds(3600)), (1000, 0.5, .seconds(3600)), (Int.max, 0.5, .seconds(3600)),
            // A fifth less, a tenth more.
            (1, 0, .milliseconds(1600)), (1, 0.75, .milliseconds(2200)), (Int.max, 0, .seconds(2880)),
            // Attempts that do not exist count as the first.
            (0, 0.5, .seconds(2)), (-7, 0.5, .seconds(2)), (Int.min, 0.5, .seconds(2)),
        ] as [(Int, Double, Duration)])
    func standardDelays(attempt: Int, random: Double, expected: Duration) {
        let delay = RetryPolicy().delay(afterAttempt: attempt, random: random)
        #expect(delay > expected - .microseconds(1) && delay < expected + .microseconds(1), "\(delay)")
    }

    @Test func standardAttempts() {
        #expect(RetryPolicy().maximumAttempts == 5)
    }

    @Test(
        arguments: [
            RetryPolicy(baseDelay: .zero), RetryPolicy(baseDelay: .seconds(-5)), RetryPolicy(maximumDelay: .zero),
            RetryPolicy(maximumDelay: .seconds(-1)),
        ])
    func nothingIsNoWait(policy: RetryPolicy) {
        for attempt in [1, 2, 70, Int.max] { #expect(policy.delay(afterAttempt: attempt, random: 0.9) == .zero) }
    }

    /// Numbers that make no sense neither crash nor make a negative wait.
    @Test(arguments: [-1, 0, 0.2, 1, 7, .nan, .infinity, -.infinity] as [Double])
    func nonsenseIsBounded(number: Double) {
        let longest = Duration.seconds(Int64.max)
        for policy in [RetryPolicy(jitter: number), RetryPolicy(baseDelay: longest, maximumDelay: longest + longest, jitter: number)] {
            for random in [0, 0.5, 0.999, number] {
                let delay = policy.delay(afterAttempt: 9, random: random)
                #expect(delay >= .zero && delay <= longest * 2.0)
            }
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func boundsHoldForAnyPolicy(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let policy = RetryPolicy(
                baseDelay: .microseconds(Int64.random(in: 0...10_000_000, using: &generator)),
                maximumDelay: .microseconds(Int64.random(in: 0...100_000_000_000, using: &generator)),
                jitter: Double.random(in: 0...1, using: &generator))
            let random = Double.random(in: 0..<1, using: &generator)
            var last = Duration.zero
            for attempt in 1...45 {
                let delay = policy.delay(afterAttempt: attempt, random: random)
                #expect(delay >= last, "seed \(seed), attempt \(attempt), \(policy)")
                #expect(delay <= policy.maximumDelay * (1 + policy.jitter), "seed \(seed), attempt \(attempt), \(policy)")
                last = delay
            }
            if policy.baseDelay > .zero {
                #expect(last >= policy.maximumDelay * (1 - policy.jitter), "the limit is reached")
            }
        }
    }
}
