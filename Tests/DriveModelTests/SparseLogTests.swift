import DriveModel
import Testing

@Suite struct SparseLogTests {
    @Test func aFailureThatLastsIsALineNowAndThen() {
        let start = ContinuousClock.now
        var log = SparseLog(interval: .seconds(60))
        #expect(log.say(at: start) == 0)
        #expect(log.say(at: start + .seconds(1)) == nil)
        #expect(log.say(at: start + .seconds(59)) == nil)
        #expect(log.say(at: start + .seconds(60)) == 2)
        #expect(log.say(at: start + .seconds(121)) == 0)
        #expect(log.say(at: start + .seconds(180)) == nil)
    }
}
