import DriveTasks
import TestSupport
import Testing

@Suite struct MonotoneProgressTests {
    @Test(
        arguments: [
            (0, 0, false, 0), (0, 0.1, true, 0.1), (50, 50, false, 50), (50, 49.9, false, 50), (50, 50.1, true, 50.1), (50, 100, true, 100),
            (50, 250, true, 100), (100, 101, false, 100), (0, -5, false, 0), (0, 1e-300, true, 1e-300), (50, .nan, false, 50),
            (50, .infinity, false, 50), (50, -.infinity, false, 50), (50, .greatestFiniteMagnitude, true, 100),
        ] as [(Double, Double, Bool, Double)])
    func advances(from: Double, to: Double, isAdvance: Bool, value: Double) {
        var progress = MonotoneProgress(from)
        #expect(progress.advance(to: to) == isAdvance)
        #expect(progress.value == value)
    }

    @Test(arguments: [(-1, 0), (0, 0), (12.5, 12.5), (100, 100), (101, 100), (.nan, 0), (.infinity, 0)] as [(Double, Double)])
    func startsWithinItsBounds(initial: Double, value: Double) {
        #expect(MonotoneProgress(initial).value == value)
        #expect(MonotoneProgress().value == 0)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func neverGoesBack(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var progress = MonotoneProgress()
        for step in 0..<1000 {
            let last = progress.value
            let advanced = progress.advance(to: Double.random(in: -20...Double(step) / 8, using: &generator))
            #expect(advanced ? progress.value > last : progress.value == last)
            #expect((0...100).contains(progress.value))
        }
        #expect(progress.value == 100)
    }
}
