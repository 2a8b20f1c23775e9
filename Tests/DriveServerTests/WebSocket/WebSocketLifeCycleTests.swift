import TestSupport
import Testing

@testable import DriveServer

/// What happens at which second, and what the rule must answer.
struct LifeCycleScenario: Sendable, CustomTestStringConvertible {
    enum Event: Sendable {
        case frame, timer, signedIn, peerClosed(UInt16?), stop
    }

    struct Step: Sendable {
        let time: Double
        let event: Event
        let actions: [WebSocketLifeCycle.Action]
        /// Of the next timer; nil where it is not looked at.
        var wakes: Double?
    }

    let name: String
    let steps: [Step]
    var testDescription: String { name }

    init(_ name: String, _ steps: Step...) {
        self.name = name
        self.steps = steps
    }
}

private func at(
    _ time: Double, _ event: LifeCycleScenario.Event, _ actions: WebSocketLifeCycle.Action..., wakes: Double? = nil
) -> LifeCycleScenario.Step {
    LifeCycleScenario.Step(time: time, event: event, actions: actions, wakes: wakes)
}

private func sent(_ code: WebSocketCloseCode?, _ reason: String = "") -> WebSocketLifeCycle.Action { .sendClose(code, reason: reason) }

private let scenarios: [LifeCycleScenario] = [
    .init(
        "no sign-in", at(0, .timer, wakes: 10), at(9.9, .frame, wakes: 10), at(9.9, .timer),
        at(10, .timer, sent(.signInTimeout, "no sign-in"), wakes: 15),
        at(14, .timer), at(15, .timer, .drop), at(16, .timer)),
    .init(
        "silence is pinged, then dropped", at(1, .signedIn, wakes: 30), at(29.9, .timer), at(30, .timer, .sendPing, wakes: 60),
        at(59, .timer),
        at(60, .timer, .drop), at(61, .frame)),
    .init(
        "any frame is a sign of life", at(1, .signedIn), at(30, .timer, .sendPing), at(31, .frame, wakes: 61), at(60, .timer),
        at(61, .timer, .sendPing, wakes: 91), at(90, .frame, wakes: 120), at(119, .timer), at(120, .timer, .sendPing)),
    .init(
        "the peer closes", at(1, .signedIn), at(2, .peerClosed(1000), sent(.normal), .closeWhenWritten, wakes: 7), at(3, .frame),
        at(3, .stop),
        at(6, .timer), at(7, .timer, .drop)),
    .init("the peer closes without a code", at(2, .peerClosed(nil), sent(nil), .closeWhenWritten)),
    .init(
        "a stop", at(1, .signedIn), at(2, .stop, sent(.goingAway, "stop"), wakes: 7), at(3, .stop), at(3, .frame), at(3, .signedIn),
        at(3, .timer),
        at(4, .peerClosed(1001), .closeWhenWritten, wakes: 9), at(4, .peerClosed(1001)), at(9, .timer, .drop)),
    .init("a stop that the peer does not answer", at(2, .stop, sent(.goingAway, "stop")), at(6.9, .timer), at(7, .timer, .drop)),
    .init(
        "a flood", at(1, .signedIn), at(1, .frame), at(1, .frame), at(1, .frame),
        at(1, .frame, sent(.tooManyFrames, "too many frames"), wakes: 6),
        at(1, .frame)),
    .init("a steady rate", at(1, .frame), at(1, .frame), at(1, .frame), at(2, .frame), at(3, .frame), at(4, .frame), at(5, .frame)),
]

@Suite struct WebSocketLifeCycleTests {
    @Test(arguments: scenarios)
    func follows(scenario: LifeCycleScenario) {
        let start = ContinuousClock.now
        let instant = { (seconds: Double) in start + .seconds(seconds) }
        let policy = WebSocketLifeCycle.Policy(frames: RateLimit(perSecond: 1, burst: 3))
        var life = WebSocketLifeCycle(policy: policy, openedAt: start)
        for step in scenario.steps {
            let event: WebSocketLifeCycle.Event =
                switch step.event {
                case .frame: .frameArrived
                case .timer: .timePassed
                case .signedIn: .signedIn
                case .peerClosed(let code): .peerClosed(code.map(WebSocketCloseCode.init(rawValue:)))
                case .stop: .close(.goingAway, reason: "stop")
                }
            #expect(life.handle(event, now: instant(step.time)) == step.actions, "at \(step.time)")
            if let wakes = step.wakes { #expect(life.nextDeadline == instant(wakes), "at \(step.time)") }
        }
    }

    /// Whatever happens: one close frame at most, nothing after the drop, and who follows the deadlines comes to an end.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func alwaysEnds(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var now = ContinuousClock.now
        var life = WebSocketLifeCycle(openedAt: now)
        var actions: [WebSocketLifeCycle.Action] = []
        for _ in 0..<200 {
            now += .milliseconds(Int.random(in: 0...900, using: &random))
            let event: WebSocketLifeCycle.Event =
                switch Int.random(in: 0...60, using: &random) {
                case 0: .peerClosed(.normal)
                case 1: .close(.protocolError, reason: "")
                case 2...5: .signedIn
                case 6...30: .timePassed
                default: .frameArrived
                }
            actions += life.handle(event, now: now)
        }
        var timers = 0
        while let deadline = life.nextDeadline, timers < 10 {
            #expect(deadline > now || timers == 0)
            now = max(now, deadline)
            actions += life.handle(.timePassed, now: now)
            timers += 1
        }
        #expect(life.nextDeadline == nil && actions.last == .drop)
        let closes = actions.filter { if case .sendClose = $0 { true } else { false } }
        #expect(closes.count <= 1 && actions.filter { $0 == .drop }.count == 1)
        if let close = actions.firstIndex(where: { closes.contains($0) }) { #expect(!actions[close...].contains(.sendPing)) }
    }
}
