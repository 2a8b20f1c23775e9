import Testing

@testable import DriveServer

/// Until when a stream lives.
@Suite struct LiveSessionsTests {
    /// A stream ends within a second of its right: the pause between two looks leaves more than half of that for the query.
    @Test func thePauseBetweenLooksKeepsTheSecond() {
        #expect(LiveSessions.interval * 2 < .seconds(1))
    }
}
