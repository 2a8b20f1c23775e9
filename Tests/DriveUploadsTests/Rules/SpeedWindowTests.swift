import DriveUploads
import Testing

@Suite struct SpeedWindowTests {
    private let start = ContinuousClock.now

    @Test func nothingIsNoSpeed() {
        #expect(SpeedWindow().bytesPerSecond(at: start) == 0)
    }

    @Test func dividesByTheTimeSinceTheFirstByteOfTheWindow() {
        var window = SpeedWindow()
        for second in 0..<5 { window.add(1000, at: start + .seconds(second)) }
        #expect(window.bytesPerSecond(at: start + .seconds(5)) == 1000)
        #expect(window.bytesPerSecond(at: start + .seconds(10)) == 500)
    }

    @Test func oneBurstIsNotInfinitelyFast() {
        var window = SpeedWindow()
        window.add(1000, at: start)
        window.add(1000, at: start)
        #expect(window.bytesPerSecond(at: start) == 2000)
    }

    @Test func forgetsAfterTenSeconds() {
        var window = SpeedWindow()
        window.add(1_000_000, at: start)
        window.add(10, at: start + .seconds(11))
        #expect(window.bytesPerSecond(at: start + .seconds(12)) == 10)
        #expect(window.bytesPerSecond(at: start + .seconds(22)) == 0)
    }

    /// Many small chunks: the window keeps what it needs, and no more.
    @Test func staysRightOverManySamples() {
        var window = SpeedWindow()
        for step in 0..<20_000 { window.add(100, at: start + .milliseconds(step * 10)) }
        let speed = window.bytesPerSecond(at: start + .seconds(200))
        #expect(abs(speed - 10_000) < 200)
    }
}
