import Testing

@testable import DriveServer

/// Time as the test sets it.
struct TestInstant: InstantProtocol {
    var offset: Duration
    func advanced(by duration: Duration) -> TestInstant { TestInstant(offset: offset + duration) }
    func duration(to other: TestInstant) -> Duration { other.offset - offset }
    static func < (left: TestInstant, right: TestInstant) -> Bool { left.offset < right.offset }
}

/// What happens at which second, and what the guard must answer.
struct GuardScenario: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        case at(Double, ConnectionGuard<TestInstant>.Event, ConnectionGuard<TestInstant>.Action = .none)
        case bytes(Int)
        /// The next wake-up, in seconds.
        case wakes(at: Double, after: Double)
    }

    let name: String
    let steps: [Step]
    var testDescription: String { name }

    init(_ name: String, _ steps: Step...) {
        self.name = name
        self.steps = steps
    }
}

private let timer = ConnectionGuard<TestInstant>.Event.timer(written: 0, buffered: 0)
private let body = ConnectionGuard<TestInstant>.Event.requestStarted(hasBody: true, awaitsContinue: false)
private let noBody = ConnectionGuard<TestInstant>.Event.requestStarted(hasBody: false, awaitsContinue: false)

private let scenarios: [GuardScenario] = [
    .init("silent connection", .wakes(at: 15, after: 0), .at(14.9, timer), .at(15, timer, .close(.headTimeout)), .at(16, timer)),
    .init("slow head counts from accept", .at(10, .firstByte), .at(14, timer), .at(15, timer, .refuse(.headTimeout))),
    .init(
        "later head counts from its first byte", .at(1, noBody), .at(2, .responseComplete(.keepAlive)), .at(50, .firstByte),
        .at(62, timer), .at(65, timer, .refuse(.headTimeout))),
    .init(
        "idle between requests", .at(1, noBody), .at(2, .responseComplete(.keepAlive)), .wakes(at: 17, after: 2), .at(61, timer),
        .at(62, timer, .close(.idleTimeout))),
    .init("a handler may think for long", .at(1, noBody), .at(3_000, timer)),
    .init(
        "body stalls", .at(0, body), .at(0, .readsDemanded), .bytes(1_000_000), .at(10, .readsSatisfied), .at(10, .readsDemanded),
        .at(39, timer), .at(40, timer, .abortBody(.bodyStalled)), .wakes(at: 42, after: 40), .at(42, timer, .close(.bodyStalled))),
    .init(
        "our back-pressure is not the client's stall", .at(0, body), .at(0, .readsDemanded), .bytes(1), .at(1, .readsSatisfied),
        .at(500, timer), .at(500, .readsDemanded), .at(528, timer), .at(530, timer, .abortBody(.bodyStalled))),
    .init(
        "a body asked for late", .at(0, .requestStarted(hasBody: true, awaitsContinue: true)), .at(0, .readsDemanded), .at(100, timer),
        .at(100, .continueSent), .at(129, timer), .at(130, timer, .abortBody(.bodyStalled))),
    .init(
        "drip feed", .at(0, body), .at(0, .readsDemanded), .bytes(100), .at(10, .readsSatisfied), .at(10, .readsDemanded), .at(15, timer),
        .bytes(100), .at(20, .readsSatisfied), .at(20, .readsDemanded), .bytes(100), .at(29, .readsSatisfied), .at(29, .readsDemanded),
        .at(30, timer, .abortBody(.bodyTooSlow))),
    .init(
        "slow but steady", .at(0, body), .at(0, .readsDemanded), .bytes(20_000), .at(14, .readsSatisfied), .at(14, .readsDemanded),
        .at(15, timer), .bytes(20_000), .at(29, .readsSatisfied), .at(29, .readsDemanded), .at(30, timer), .bytes(20_000),
        .at(44, .readsSatisfied), .at(44, .readsDemanded), .at(45, timer)),
    .init(
        "a quick start does not pay for a drip", .at(0, body), .at(0, .readsDemanded), .bytes(10_000_000), .at(1, .readsSatisfied),
        .at(1, .readsDemanded), .at(15, timer), .bytes(1), .at(16, .readsSatisfied), .at(16, .readsDemanded), .at(30, timer), .bytes(1),
        .at(31, .readsSatisfied), .at(31, .readsDemanded), .at(45, timer, .abortBody(.bodyTooSlow))),
    .init("a whole body is not measured", .at(0, body), .at(0, .readsDemanded), .bytes(1), .at(1, .bodyComplete), .at(900, timer)),
    .init(
        "client reads nothing", .at(0, noBody), .at(1, .timer(written: 100, buffered: 50)), .at(60, .timer(written: 100, buffered: 50)),
        .at(61, .timer(written: 100, buffered: 50), .close(.writeStalled))),
    .init(
        "client reads a little", .at(0, noBody), .at(1, .timer(written: 100, buffered: 50)), .at(60, .timer(written: 100, buffered: 49)),
        .at(119, .timer(written: 100, buffered: 49)), .at(120, .timer(written: 100, buffered: 49), .close(.writeStalled))),
    .init(
        "drain is short", .at(0, body), .at(1, .responseComplete(.drain), .rearm), .wakes(at: 3, after: 1),
        .at(3, timer, .close(.drainTimeout))),
    .init(
        "linger ends by time", .at(0, body), .at(1, .responseComplete(.close)), .at(2, .outputClosed, .rearm), .wakes(at: 4, after: 2),
        .at(4, timer, .close(.lingerTimeout))),
    .init(
        "linger ends by size", .at(0, body), .at(1, .responseComplete(.close)), .at(1, .outputClosed, .rearm), .at(1, .discarded(1 << 20)),
        .at(1, .discarded(1), .close(.lingerLimit))),
    .init("stop closes an idle connection", .at(1, .quiesce, .close(.stopping))),
    .init(
        "stop waits for a busy connection", .at(0, noBody), .at(1, .quiesce, .rearm), .at(5, timer),
        .at(6, .responseComplete(.keepAlive), .close(.stopping))),
    .init(
        "stop waits no longer than its deadline", .at(0, noBody), .at(1, .quiesce, .rearm), .at(25, timer),
        .at(26, timer, .close(.stopDeadline))),
    .init("stop lets a head arrive", .at(1, .firstByte), .at(2, .quiesce, .rearm), .at(15, timer, .refuse(.headTimeout))),
    .init(
        "a WebSocket may be silent, but not outlive a stop", .at(0, noBody), .at(0, .upgraded), .at(9_000, timer),
        .at(9_001, .quiesce, .rearm),
        .at(9_026, timer, .close(.stopDeadline))),
    .init("nothing after the close", .at(0, .closed), .at(99, timer), .at(99, .quiesce), .at(100, .firstByte)),
]

@Suite struct ConnectionGuardTests {
    @Test(arguments: scenarios)
    func decides(_ scenario: GuardScenario) {
        var rules = ConnectionGuard<TestInstant>(policy: ConnectionPolicy(), acceptedAt: TestInstant(offset: .zero))
        for (index, step) in scenario.steps.enumerated() {
            switch step {
            case .at(let second, let event, let expected):
                #expect(rules.handle(event, at: TestInstant(offset: .seconds(second))) == expected, "step \(index)")
            case .bytes(let count):
                rules.received(bodyBytes: count)
            case .wakes(let wake, let now):
                #expect(rules.wakeUp(after: TestInstant(offset: .seconds(now)))?.offset == .seconds(wake), "step \(index)")
            }
        }
    }

    /// The promise that lets a connection live with one timer: a deadline set later is never nearer than the armed one.
    @Test func theTimerNeverComesLate() {
        let policy = ConnectionPolicy()
        let start = TestInstant(offset: .zero)
        var rules = ConnectionGuard<TestInstant>(policy: policy, acceptedAt: start)
        _ = rules.handle(noBody, at: start)
        _ = rules.handle(.responseComplete(.keepAlive), at: start)
        let armed = rules.wakeUp(after: start)
        let later = start.advanced(by: .milliseconds(1))
        #expect(rules.handle(.firstByte, at: later) == .none)
        let needed = rules.wakeUp(after: later)
        #expect(armed != nil && needed != nil)
        if let armed, let needed { #expect(armed <= needed) }
    }

    @Test func noRateLimitWhereTurnedOff() {
        var policy = ConnectionPolicy()
        policy.minimumBodyRate = 0
        var rules = ConnectionGuard<TestInstant>(policy: policy, acceptedAt: TestInstant(offset: .zero))
        _ = rules.handle(body, at: TestInstant(offset: .zero))
        _ = rules.handle(.readsDemanded, at: TestInstant(offset: .zero))
        for second in stride(from: 10.0, to: 300, by: 10) {
            rules.received(bodyBytes: 1)
            #expect(rules.handle(timer, at: TestInstant(offset: .seconds(second))) == .none)
        }
    }
}
