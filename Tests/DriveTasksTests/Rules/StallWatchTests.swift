import DriveTasks
import Testing

@Suite struct StallWatchTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test func nothingIsWatchedAtFirst() {
        var watch = StallWatch()
        watch.sign(of: "a", now: start)
        watch.end("a")
        watch.startAnew(now: start)
        #expect(watch.stalled(now: at(1_000_000)) == [])
        #expect(watch.nextDeadline == nil)
    }

    @Test func eachHasALimitOfItsOwn() {
        var watch = StallWatch()
        watch.begin("b", limit: .seconds(10), now: at(0))
        watch.begin("a", limit: .seconds(30), now: at(5))
        #expect(watch.nextDeadline == at(10))
        #expect(watch.stalled(now: at(9)) == [])
        #expect(watch.stalled(now: at(10)) == ["b"])
        #expect(watch.stalled(now: at(34)) == ["b"])
        #expect(watch.stalled(now: at(35)) == ["a", "b"])
    }

    @Test func aSignPutsItOff() {
        var watch = StallWatch()
        watch.begin("a", limit: .seconds(10), now: at(0))
        watch.sign(of: "a", now: at(9))
        #expect(watch.nextDeadline == at(19))
        #expect(watch.stalled(now: at(18)) == [])
        #expect(watch.stalled(now: at(19)) == ["a"])
        // Also of one that was found already.
        watch.sign(of: "a", now: at(20))
        #expect(watch.stalled(now: at(29)) == [])
        #expect(watch.stalled(now: at(30)) == ["a"])
    }

    @Test func aLateSignDoesNotUndoALaterOne() {
        var watch = StallWatch()
        watch.begin("a", limit: .seconds(10), now: at(0))
        watch.sign(of: "a", now: at(9))
        watch.sign(of: "a", now: at(3))
        #expect(watch.nextDeadline == at(19))
    }

    @Test func theEndForgets() {
        var watch = StallWatch()
        watch.begin("a", limit: .seconds(10), now: at(0))
        watch.begin("b", limit: .seconds(20), now: at(0))
        watch.end("a")
        watch.sign(of: "a", now: at(15))
        #expect(watch.nextDeadline == at(20))
        #expect(watch.stalled(now: at(100)) == ["b"])
    }

    @Test func aSecondBeginningStartsAnew() {
        var watch = StallWatch()
        watch.begin("a", limit: .seconds(10), now: at(50))
        watch.begin("a", limit: .seconds(2), now: at(20))
        #expect(watch.nextDeadline == at(22))
    }

    /// After the process itself was stopped, nobody is stalled before its own limit.
    @Test func startsAnewAfterAGap() {
        var watch = StallWatch()
        watch.begin("a", limit: .seconds(10), now: at(0))
        watch.begin("b", limit: .seconds(20), now: at(0))
        #expect(watch.stalled(now: at(3600)) == ["a", "b"])
        watch.startAnew(now: at(3600))
        #expect(watch.stalled(now: at(3609)) == [])
        #expect(watch.stalled(now: at(3610)) == ["a"])
        #expect(watch.stalled(now: at(3620)) == ["a", "b"])
    }
}
