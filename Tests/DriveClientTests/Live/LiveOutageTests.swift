import DriveModel
import Foundation
import Synchronization
import Testing

@testable import DriveClient

/// What is told of a connection that comes and goes, and what an event says of its time.
@Suite(.timeLimit(.minutes(1))) struct LiveOutageTests {
    private static let lost = LiveEventMessage.interrupted(.network("gone"), retryIn: .seconds(1))
    private static let stopped = LiveEventMessage.interrupted(error(503, "SHUTTING_DOWN"), retryIn: .seconds(1))
    private static let revoked = LiveEventMessage.interrupted(error(401, "TOKEN_REVOKED"), retryIn: .seconds(1))
    private static let disabled = LiveEventMessage.interrupted(error(403, "ACCOUNT_DISABLED"), retryIn: .seconds(1))
    private static let ready = LiveEventMessage.ready(.init(accountId: UUID(), sequence: 1, beginning: .resumed))
    private static let snapshot = LiveEventMessage.snapshot(.init(sequence: 1, tasks: [], isComplete: true))
    private static let event = LiveEventMessage.event(.init(type: "task.created", sequence: 2, data: [:]))

    private static func error(_ status: Int, _ code: String) -> DriveClientError {
        .server(ErrorReply(code: code, message: "m", status: status, details: [:], requestId: nil), retryAfter: nil)
    }

    private static func words(_ news: LiveOutage.News?) -> String {
        switch news {
        case .lost(let error): error.serverReply?.code ?? "lost"
        case .back: "back"
        case nil: "-"
        }
    }

    struct Course: Sendable {
        var messages: [LiveEventMessage]
        var told: [String]
    }

    @Test(arguments: [
        Course(messages: [ready, snapshot, event], told: ["-", "-", "-"]),
        // However many attempts it takes, and also before the first that succeeds.
        Course(messages: [lost, stopped, lost, ready, event, ready], told: ["lost", "-", "-", "back", "-", "-"]),
        Course(messages: [ready, stopped, ready, lost, ready], told: ["-", "SHUTTING_DOWN", "back", "lost", "back"]),
        // Nobody is promised that a refused token will do.
        Course(messages: [ready, revoked, ready, disabled, ready], told: ["-", "-", "-", "-", "-"]),
        Course(messages: [ready, revoked, lost, ready], told: ["-", "-", "lost", "back"]),
        Course(messages: [lost, revoked, ready], told: ["lost", "-", "back"]),
    ]) func eachOutageIsToldOnce(_ course: Course) {
        var outage = LiveOutage()
        #expect(course.messages.map { Self.words(outage.hear($0)) } == course.told)
    }

    @Test func theServersWordOfTheEndKeepsItsStatus() throws {
        for (member, status) in [(#","status":401"#, 401), ("", 503)] {
            var cursor = LiveCursor(since: nil)
            let data = #"{"code":"TOKEN_REVOKED","message":"m"\#(member)}"#
            let step = try cursor.step(ServerSentEvent(type: "closed", data: data, id: nil))
            #expect(step == .closed(ErrorReply(code: "TOKEN_REVOKED", message: "m", status: status, details: [:], requestId: nil)))
        }
    }

    @Test func whoFollowsTasksIsTold() async throws {
        let told = Mutex<[String]>([])
        let (open, done) = (TaskScene.task("t", .inProgress), TaskScene.task("t", .completed, at: 1))
        let script = EventScript([
            .drop, errorAnswer(503, "SHUTTING_DOWN"), LiveScene.stream(LiveScene.ready(1) + LiveScene.snapshot(1), end: .cut), .drop,
            LiveScene.stream(LiveScene.ready(1, .resumed)),
        ]) { _ in
            TaskScene.reply(told.withLock { $0.count } < 4 ? open : done)
        }
        try await LiveScene.with(script.answer) { client, _ in
            let tasks = client.followTasks(
                ["t"],
                onOutage: { news in
                    let count = told.withLock { told in
                        told.append(Self.words(news))
                        return told.count
                    }
                    if count == 2 { script.cut() }
                })
            var seen: [TaskStatus] = []
            for try await task in tasks { seen.append(task.status) }
            #expect(seen == [.inProgress, .completed])
        }
        #expect(told.withLock { $0 } == ["lost", "back", "lost", "back"])
        #expect(script.events.map { $0.query["task"] } == Array(repeating: "t", count: 5))
    }

    @Test func moreThanAHundredAreAskedForByNoName() async throws {
        let script = EventScript([LiveScene.stream(LiveScene.ready(1))]) { request in
            TaskScene.reply(TaskScene.task(String(request.path.split(separator: "/").last ?? ""), .completed))
        }
        try await LiveScene.with(script.answer) { client, _ in
            var seen = 0
            for try await _ in client.followTasks(Set((0..<101).map { "t\($0)" }), onOutage: { _ in }) { seen += 1 }
            #expect(seen == 101)
        }
        #expect(script.events.map { $0.query["task"] } == [nil])
    }

    @Test func aWarningOfTheServerIsHandedOn() throws {
        var cursor = LiveCursor(since: nil)
        let data = #"{"accountId":"\#(UUID())","beginning":"now","sequence":3,"warning":"no such type"}"#
        guard case .message(.ready(let ready)) = try cursor.step(ServerSentEvent(type: "ready", data: data, id: nil)) else {
            Issue.record("no ready")
            return
        }
        #expect(ready.warning == "no such type")
    }

    static let times: [([String: JSONValue], String?)] = [
        (["createdAt": "2026-01-01T00:00:00Z"], "2026-01-01T00:00:00Z"),
        (["completedAt": "2026-01-02T00:00:00Z", "createdAt": "2026-01-01T00:00:00Z"], "2026-01-02T00:00:00Z"),
        (["progress": 5, "lastActivity": "2026-01-03T00:00:00.5Z"], "2026-01-03T00:00:00.500000Z"),
        (["changedAt": "2026-01-04T00:00:00Z"], "2026-01-04T00:00:00Z"), (["stalledAt": "2026-01-05T00:00:00Z"], "2026-01-05T00:00:00Z"),
        // Of what comes, and what is no time.
        (["runAt": "2030-01-01T00:00:00Z", "expiredAt": "2030-01-01T00:00:00Z"], nil), (["createdAt": 5], nil),
        (["failedAt": "soon", "updatedAt": "2026-01-06T00:00:00Z"], "2026-01-06T00:00:00Z"), ([:], nil),
    ]

    @Test(arguments: times) func anEventSaysWhenItHappened(_ data: [String: JSONValue], _ time: String?) {
        #expect(LiveEventMessage.Event(type: "task.x", sequence: 1, data: data).time?.description == time)
    }
}
