import DriveModel
import Foundation
import NIOHTTP1
import Synchronization
import Testing

@testable import DriveClient

/// The stream of events over connections that break.
@Suite(.timeLimit(.minutes(1))) struct LiveEventsTests {
    /// What came, in words: `ready now 5`, `snapshot 5 (2)`, `#6 task.completed`, `interrupted`.
    private static func words(_ message: LiveEventMessage) -> String {
        switch message {
        case .ready(let ready): "ready \(ready.beginning.rawValue) \(ready.sequence)"
        case .snapshot(let snapshot): "snapshot \(snapshot.sequence) (\(snapshot.tasks.count))"
        case .event(let event): "#\(event.sequence) \(event.type)"
        case .interrupted: "interrupted"
        }
    }

    /// The first messages of a stream, which is cut after some of them.
    private static func first(
        _ count: Int, of events: LiveEvents, _ script: EventScript, cutAfter last: Set<String> = []
    ) async throws -> [String] {
        var seen: [String] = []
        for try await message in events {
            seen.append(words(message))
            if last.contains(words(message)) { script.cut() }
            if seen.count == count { break }
        }
        return seen
    }

    @Test func aCutInTheMiddleOfAnEventLosesAndRepeatsNothing() async throws {
        let half = LiveScene.event(7)
        let script = EventScript([
            LiveScene.stream(
                LiveScene.ready(5) + LiveScene.snapshot(5, [TaskScene.task("t")]),
                LiveScene.event(6, "task.created") + half.prefix(half.count - 5), end: .cut),
            LiveScene.stream(LiveScene.ready(6, .resumed), LiveScene.event(6, "task.created"), half, end: .end),
            LiveScene.stream(LiveScene.ready(7, .resumed), LiveScene.event(8, "task.failed")),
        ])
        try await LiveScene.with(script.answer) { client, clock in
            let events = client.events(types: ["task.*", "batch.completed"], taskIds: ["t", "ü&"])
            let seen = try await Self.first(9, of: events, script, cutAfter: ["#6 task.created"])
            #expect(
                seen == [
                    "ready now 5", "snapshot 5 (1)", "#6 task.created", "interrupted", "ready resumed 6", "#7 task.completed",
                    "interrupted", "ready resumed 7", "#8 task.failed",
                ])
            // Each broke as soon as it was made: the waits grow.
            #expect(clock.waits == [.milliseconds(250), .milliseconds(500)])
        }
        #expect(script.events.map { $0.query["since"] } == [nil, "6", "7"])
        for request in script.events {
            #expect(request.headers.first(name: "Authorization") == "Bearer account-token")
            #expect(request.headers.first(name: "Accept") == "text/event-stream")
            #expect(request.query["types"] == "task.%2A%2Cbatch.completed")
            #expect(request.query["task"] == "%C3%BC%26", "the second of the same name")
        }
    }

    @Test func aServerThatIsAwayIsWaitedFor() async throws {
        let script = EventScript([
            .drop, errorAnswer(503, "SHUTTING_DOWN", headers: [("Retry-After", "7")]), errorAnswer(429, "RATE_LIMITED"),
            LiveScene.stream("retry: 3000\n\n" + LiveScene.ready(9, .resumed), end: .cut), LiveScene.stream(LiveScene.ready(9, .resumed)),
        ])
        try await LiveScene.with(script.answer) { client, clock in
            let seen = try await Self.first(6, of: client.events(since: 9), script, cutAfter: ["ready resumed 9"])
            #expect(seen == ["interrupted", "interrupted", "interrupted", "ready resumed 9", "interrupted", "ready resumed 9"])
            // The second by the server's wish, and the last by the stream's.
            #expect(clock.waits == [.milliseconds(250), .milliseconds(7250), .seconds(1), .milliseconds(3250)])
        }
        #expect(script.events.map { $0.query["since"] } == Array(repeating: "9", count: 5))
    }

    @Test func aGapIsToldWithASnapshotAndTheNumbersGoOnFromThere() async throws {
        let script = EventScript([
            LiveScene.stream(LiveScene.ready(40, .gap), end: .cut),
            // Lost before the snapshot came: what is missing is still missing.
            LiveScene.stream(LiveScene.ready(41, .gap) + LiveScene.snapshot(41) + LiveScene.event(42), end: .cut),
            LiveScene.stream(LiveScene.ready(42, .resumed)),
        ])
        try await LiveScene.with(script.answer) { client, _ in
            let seen = try await Self.first(
                7, of: client.events(since: 1000), script, cutAfter: ["ready gap 40", "#42 task.completed"])
            #expect(
                seen == [
                    "ready gap 40", "interrupted", "ready gap 41", "snapshot 41 (0)", "#42 task.completed", "interrupted",
                    "ready resumed 42",
                ])
        }
        #expect(script.events.map { $0.query["since"] } == ["1000", "1000", "42"])
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        /// nil: an answer that is not understood.
        var status: Int?
        /// A stream is good for one request.
        var answer: @Sendable () -> ServerAnswer
        var testDescription: String { status.map { "\($0)" } ?? "not understood" }
    }

    static let refusals =
        [
            (401, "UNAUTHENTICATED"), (401, "TOKEN_REVOKED"), (403, "FORBIDDEN"), (404, "NOT_FOUND"), (405, "METHOD_NOT_ALLOWED"),
            (400, "INVALID_REQUEST"),
        ].map { status, code in Refusal(status: status) { errorAnswer(status, code) } }
        + [
            Refusal { .reply(200, [("Content-Type", "text/html")], "<p>Sign in to this hotel's network</p>") },
            Refusal { LiveScene.stream("event: ready\ndata: {\"sequence\":true}\n\n") },
            Refusal { LiveScene.stream(LiveScene.ready(1), "id: 2\nevent: task.failed\ndata: [}\n\n") },
        ]

    @Test(arguments: refusals) func whatDoesNotPassEndsIt(_ refusal: Refusal) async throws {
        // At once, and after an interruption.
        for answers in [[refusal.answer()], [LiveScene.stream(LiveScene.ready(1), end: .cut), refusal.answer()]] {
            let script = EventScript(answers)
            try await LiveScene.with(script.answer) { client, _ in
                var iterator = client.events().makeAsyncIterator()
                let error = await #expect(throws: DriveClientError.self) {
                    while let message = try await iterator.next() {
                        if case .ready = message { script.cut() }
                    }
                }
                #expect(error?.serverReply?.status == refusal.status)
                if refusal.status == nil {
                    guard case .invalidReply? = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                }
                let after = try await iterator.next()
                #expect(after == nil, "an end is an end")
            }
            #expect(script.events.count == answers.count)
        }
    }

    @Test func silenceIsADeadConnection() async throws {
        let script = EventScript([
            .drop, LiveScene.stream(": keep-alive\n\n" + LiveScene.ready(3) + LiveScene.snapshot(3)),
            LiveScene.stream(LiveScene.ready(3, .resumed), LiveScene.event(4)),
        ])
        try await LiveScene.with(script.answer) { client, clock in
            var seen: [String] = []
            for try await message in client.events() {
                seen.append(Self.words(message))
                if case .snapshot = message { clock.endSilence() }
                if case .interrupted(.network(let reason), _) = message, seen.count > 1 { #expect(reason.contains("45 s")) }
                if case .event = message { break }
            }
            #expect(seen == ["interrupted", "ready now 3", "snapshot 3 (0)", "interrupted", "ready resumed 3", "#4 task.completed"])
            // That one held: the next failure is a first one.
            #expect(clock.waits == [.milliseconds(250), .milliseconds(250)])
        }
        #expect(script.events.last?.query["since"] == "3")
    }

    @Test func aServerThatSaysNothingAtAllIsGivenUpToo() async throws {
        let script = EventScript([LiveScene.stream(), LiveScene.stream(LiveScene.ready(1))])
        let clocks = Mutex<SilenceClock?>(nil)
        let answer: @Sendable (ServerRequest) -> ServerAnswer = { request in
            // Not before the request is there: once.
            if let clock = clocks.withLock({ $0.take() }) { Task { await clock.endSilences() } }
            return script.answer(request)
        }
        try await LiveScene.with(answer) { client, clock in
            clocks.withLock { $0 = clock }
            let seen = try await Self.first(2, of: client.events(), script)
            #expect(seen == ["interrupted", "ready now 1"])
        }
    }

    @Test func theServersWordOfTheEndIsNoEndOfTheStream() async throws {
        let closed = "event: closed\ndata: {\"code\":\"TOKEN_REVOKED\",\"message\":\"The token was revoked.\"}\n\n"
        let script = EventScript([
            LiveScene.stream(LiveScene.ready(1) + LiveScene.snapshot(1), closed, end: .end), errorAnswer(401, "TOKEN_REVOKED"),
        ])
        try await LiveScene.with(script.answer) { client, _ in
            var reasons: [DriveClientError] = []
            let error = await #expect(throws: DriveClientError.self) {
                for try await message in client.events() {
                    if case .interrupted(let reason, _) = message { reasons.append(reason) }
                }
            }
            #expect(reasons.map(\.serverReply?.code) == ["TOKEN_REVOKED"], "another token may be good: it is tried")
            #expect(error?.serverReply?.status == 401)
        }
    }

    @Test func patienceEndsItWhereThereIsAny() async throws {
        let script = EventScript([.drop])
        try await LiveScene.with(script.answer) { client, _ in
            let error = await #expect(throws: DriveClientError.self) {
                for try await _ in client.events(retrying: RetryPolicy(patience: .seconds(60))) {}
            }
            guard case .gaveUp(seconds: 60, lastError: _)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
        #expect(script.events.count > 5)
    }

    @Test func cancellationEndsIt() async throws {
        let script = EventScript([LiveScene.stream(LiveScene.ready(1) + LiveScene.snapshot(1))])
        try await LiveScene.with(script.answer) { client, _ in
            let (snapshots, teller) = AsyncStream.makeStream(of: Void.self)
            let reader = Task {
                for try await message in client.events() {
                    if case .snapshot = message { teller.finish() }
                }
            }
            for await _ in snapshots {}
            reader.cancel()
            // Without an error, and although nothing comes.
            try await reader.value
        }
        #expect(script.events.count == 1)
    }

    @Test func aKindThatIsNotKnownIsToldOrPassedOver() async throws {
        let script = EventScript([
            LiveScene.stream(
                LiveScene.ready(1) + LiveScene.snapshot(1), "event: weather\ndata: fine\n\n",
                LiveScene.event(2, "moon.full", ["phase": .double(0.5)]))
        ])
        try await LiveScene.with(script.answer) { client, _ in
            var iterator = client.events().makeAsyncIterator()
            for _ in 0..<2 { _ = try await iterator.next() }
            let event = LiveEventMessage.Event(type: "moon.full", sequence: 2, data: ["phase": .double(0.5)])
            let told = try await iterator.next()
            #expect(told == .event(event) && event.taskId == nil)
        }
    }
}
