import DriveModel
import Foundation
import Testing

/// Server-Sent Events: the same stream for clients without a WebSocket.
@Suite(.timeLimit(.minutes(1))) struct LiveStreamTests {
    @Test(arguments: ["/api/events", "/drive/events"]) func looksLikeServerSentEvents(path: String) async throws {
        let client = try await SharedServer.client("live-sse\(path.replacing("/", with: "-"))")
        let token = try #require(client.token)
        let stream = try await LiveStream.open(client.port, "\(path)?token=\(token)")
        #expect(stream.fields.header("Content-Type")?.hasPrefix("text/event-stream") == true)
        #expect(stream.fields.header("Cache-Control") == "no-store")
        let account = try #require(HandSignedToken(token)?.account)
        let ready = try #require(await stream.block())
        #expect(ready.hasPrefix("event: ready\ndata: {") && ready.contains(account) && !ready.contains("id:"), "\(ready)")
        let snapshot = try #require(await stream.block())
        #expect(snapshot == #"event: snapshot"# + "\n" + #"data: {"isComplete":true,"sequence":0,"tasks":[]}"#)
        let kind = uniqueKind("live-sse")
        let task = try await client.makeCustom(kind)
        let event = try #require(await stream.block())
        #expect(event.hasPrefix("id: 1\nevent: task.created\ndata: {") && event.contains(task.taskId), "\(event)")
        // A line end within a text is escaped, and ends no line of the stream.
        let lease = try await client.leased(kind)
        #expect(try await client.work("complete", lease.leaseId, ["results": ["text": "two\r\nlines\n\n"]]).status == 200)
        let completed = try #require(await stream.block())
        #expect(completed.hasPrefix("id: 2\nevent: task.completed\ndata: {") && completed.contains(#""two\r\nlines\n\n""#), "\(completed)")
        #expect(completed.split(separator: "\n").count == 3, "\(completed)")
    }

    @Test func saysThatItLives() async throws {
        let client = try await SharedServer.client("live-sse-quiet")
        let stream = try await LiveStream.open(client.port, token: client.token)
        try await stream.begin()
        let start = ContinuousClock.now
        #expect(try await stream.block(within: .seconds(20)) == ": keep-alive")
        #expect((.seconds(14)...(.seconds(18))).contains(ContinuousClock.now - start))
    }

    @Test func bothKindsOfStreamsAreTheSame() async throws {
        let client = try await SharedServer.client("live-sse-same")
        let live = try await LiveSocket.signedIn(client)
        let stream = try await LiveStream.open(client.port, token: client.token)
        try await stream.begin()
        for _ in 0..<10 {
            let task = try await client.makeCustom(uniqueKind("live-sse-same"))
            try await client.changed(task.taskId, "cancel")
        }
        let first = try await live.packets { $0.sequence == 20 }
        let second = try await stream.packets { $0.sequence == 20 }
        #expect(first.map(\.description) == second.map(\.description))
        expectGapless(second, after: 0)
    }

    @Test func goesOnAfterTheLastEventId() async throws {
        let client = try await SharedServer.client("live-sse-last")
        for _ in 0..<5 { try await client.makeCustom(uniqueKind("live-sse-last")) }
        func sequences(_ target: String, _ fields: String...) async throws -> [Int64?] {
            let stream = try await LiveStream.open(client.port, target, token: client.token, fields: fields)
            try await stream.begin(as: "resumed")
            return try await stream.packets { $0.sequence == 5 }.map(\.sequence)
        }
        #expect(try await sequences("/api/events?since=2") == [3, 4, 5])
        #expect(try await sequences("/api/events", "Last-Event-ID: 3") == [4, 5])
        #expect(try await sequences("/api/events?since=0", "Last-Event-ID: 4") == [5], "the field outweighs the query")
        let gap = try await LiveStream.open(client.port, token: client.token, fields: ["Last-Event-ID: 6"])
        #expect(try await gap.begin(as: "gap").tasks.count == 5)
    }

    @Test func aWrongQueryIsRefused() async throws {
        let client = try await SharedServer.client("live-sse-wrong")
        for query in [
            "since=x", "since=-1", "since=", "since=1&since=2", "types=not%20a%20type", "types=task.created,%C3%BC", "types=", "types=,",
            "types=task.*&types=file.*", "task=", "deviceId=", "lastEventId=abc",
        ] {
            for target in ["/api/events", "/ws"] {
                let target = "\(target)?\(query)"
                do {
                    if target.hasPrefix("/ws") {
                        _ = try await LiveSocket.open(client.port, target, token: client.token)
                    } else {
                        _ = try await LiveStream.open(client.port, target, token: client.token)
                    }
                    Issue.record("a stream for \(target)")
                } catch let error as LiveSocket.Refused {
                    expectRefusal(error.reply, 400, "INVALID_REQUEST", comment: target)
                    let rule = String(query.prefix { $0 != "=" })
                    #expect(error.reply.error?.details["rule"]?.string == rule, "\(target): \(error)")
                }
            }
        }
        do {
            _ = try await LiveStream.open(client.port, "/api/events?since=1", token: client.token, fields: ["Last-Event-ID: abc"])
            Issue.record("a stream after abc")
        } catch let error as LiveSocket.Refused {
            expectRefusal(error.reply, 400, "INVALID_REQUEST")
            #expect(error.reply.error?.message == "Last-Event-ID is the number of an event, from 0.", "\(error)")
        }
        for (target, status) in [("/api/events", 401), ("/api/events?token=x", 401)] {
            do {
                _ = try await LiveStream.open(client.port, target)
                Issue.record("a stream for \(target)")
            } catch let error as LiveSocket.Refused {
                expectRefusal(error.reply, status)
            }
        }
    }
}
