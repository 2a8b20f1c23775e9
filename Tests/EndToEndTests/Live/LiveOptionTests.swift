import DriveModel
import Foundation
import Testing

/// What a client gets that asks for something there is not: no stream that waits in silence.
@Suite(.timeLimit(.minutes(1))) struct LiveOptionTests {
    @Test(arguments: ["taskIds=x", "type=task.*", "types=task.*&Since=3", "=5", "last_event_id=4"])
    func aQueryWithAnUnknownOptionIsRefused(query: String) async throws {
        let client = try await SharedServer.client("live-option")
        for path in ["/api/events", "/drive/events"] {
            do {
                _ = try await LiveStream.open(client.port, "\(path)?\(query)", token: client.token)
                Issue.record("a stream for \(query)")
            } catch let error as LiveSocket.Refused {
                expectRefusal(error.reply, 400, "INVALID_REQUEST", comment: query)
                let text = String(decoding: error.reply.body, as: UTF8.self)
                #expect(text.contains("there are: ") && text.contains("lastEventId, since, task, token, types."), "\(text)")
            }
        }
    }

    /// A client that cannot set the field `Last-Event-ID` says it in the query, beside the `since` it began with.
    @Test func theLastEventIdMayStandInTheQuery() async throws {
        let client = try await SharedServer.client("live-option-last")
        for _ in 0..<3 { try await client.makeCustom(uniqueKind("live-option")) }
        for (query, fields, first) in [
            ("since=0&lastEventId=2", [], 3), ("since=1&lastEventId=", [], 2), ("lastEventId=2", ["Last-Event-ID: 1"], 2),
            ("since=1", ["Last-Event-ID:"], 2),
        ] as [(String, [String], Int64)] {
            let stream = try await LiveStream.open(client.port, "/api/events?\(query)", token: client.token, fields: fields)
            try await stream.begin(as: "resumed")
            #expect(try await stream.packet().sequence == first, "\(query)")
        }
    }

    /// Who misspells a filter while signing in would get everything, and who says it rightly then is signed in all the same.
    @Test func aSignInWithAnUnknownOptionIsRefusedAndTheConnectionStays() async throws {
        let client = try await SharedServer.client("live-option-auth")
        let token = JSONValue.string(try #require(client.token))
        let task = try await client.makeCustom(uniqueKind("live-option"))
        let id = JSONValue.string(task.taskId)
        let live = try await LiveSocket.open(client.port)
        let messages: [JSONValue] = [
            ["type": "auth", "token": token, "task": id], ["type": "auth", "token": token, "filter": ["types": ["task.*"]]],
            ["type": "auth", "data": ["token": token, "task": id]], ["type": "auth", "token": token, "data": ["task": id]],
            ["type": "auth", "data": ["token": token], "task": id],
        ]
        for message in messages {
            try await live.send(message)
            let error = try await live.packet("error")
            #expect(error.data["code"] == "INVALID_REQUEST" && error.data["details"]?["rule"] == "option", "\(message): \(error)")
            let option = message["filter"] == nil ? "task" : "filter"
            let text = "There is no option \"\(option)\"; there are: deviceId, since, taskIds, token, types."
            #expect(error.data["message"]?.string == text, "\(message): \(error)")
        }
        // Nobody is signed in by that.
        try await live.send(["type": "subscribe", "data": [:]])
        #expect(try await live.packet("error").data["code"] == "UNAUTHENTICATED")
        try await live.send(["type": "auth", "token": token, "data": ["task_ids": [id]], "endpoint": "drive", "error_message": .null])
        #expect(try await live.begin().tasks.map(\.taskId) == [task.taskId])
        // Nor is a newer token taken so; the stream stays.
        try await live.send(["type": "auth", "token": token, "task": id])
        #expect(try await live.packet("error").data["details"]?["option"] == "task")
        try await client.changed(task.taskId, "cancel")
        #expect(try await live.packet("task.cancelled").taskId == task.taskId)
    }

    @Test func aSubscriptionWithAnUnknownOptionIsRefusedAndTheConnectionStays() async throws {
        let client = try await SharedServer.client("live-option-subscribe")
        let live = try await LiveSocket.signedIn(client)
        try await live.send(["type": "subscribe", "data": ["types": ["task.cancelled"]]])
        #expect(try await live.packet("subscribed").data == ["types": ["task.cancelled"]])
        let messages: [JSONValue] = [
            ["type": "subscribe", "data": ["task": ["x"]]], ["type": "subscribe", "data": ["taskIds": [], "task": "x"]],
            ["type": "subscribe", "task": ["x"]], ["type": "subscribe", "data": .null, "task": ["x"]],
            ["type": "subscribe", "data": ["task_types": ["x"], "types": .null]],
            ["type": "subscribe", "data": ["types": ["task.*"]], "task": ["x"]],
        ]
        for message in messages {
            try await live.send(message)
            let error = try await live.packet("error")
            #expect(error.data["code"] == "INVALID_REQUEST" && error.data["details"]?["rule"] == "option", "\(message): \(error)")
            #expect(error.data["message"]?.string?.hasSuffix("there are: taskIds, types.") == true, "\(error)")
        }
        for list in ["types", "taskIds"] {
            try await live.send(["type": "subscribe", "data": [list: []]])
            #expect(try await live.packet("error").data["details"]?["rule"]?.string == list, "it would select nothing")
        }
        // The filter is the old one.
        let task = try await client.makeCustom(uniqueKind("live-option"))
        try await client.changed(task.taskId, "cancel")
        try await live.packet("task.cancelled")
        // What a gateway frames a message with is no option, nor does an option have one spelling alone.
        try await live.send(["type": "subscribe", "data": ["task_ids": [.string(task.taskId)]], "endpoint": "drive"])
        #expect(try await live.packet("subscribed").data == ["taskIds": [.string(task.taskId)]])
        try await live.send(["type": "subscribe", "types": ["task.*"], "endpoint": "drive", "error_message": .null])
        #expect(try await live.packet("subscribed").data == ["types": ["task.*"]])
    }

    // MARK: Types

    private static let known = [
        "batch.completed", "bundle.created", "bundle.deleted", "bundle.updated", "file.created", "file.deleted", "file.moved",
        "file.updated", "quota.warning", "task.cancelled", "task.completed", "task.created", "task.expired", "task.failed", "task.paused",
        "task.progress", "task.resumed", "task.retrying", "task.stalled", "upload.completed", "upload.failed", "upload.progress",
        "task.*", "batch.*", "upload.*", "file.*", "bundle.*", "quota.*",
    ]

    struct Wish: Sendable {
        var types: [String]
        /// What the warning has; nil where there is none.
        var says: [String]?
    }

    static let wishes = [
        Wish(types: known, says: nil), Wish(types: ["task.complete"], says: ["task.complete; did you mean task.completed?"]),
        Wish(types: ["Task.Completed", "task.*"], says: ["did you mean task.completed?"]),
        Wish(types: ["upload.done"], says: ["there are: upload.completed, "]),
        Wish(types: ["file.a", "file.b", "file.c", "file.d", "file.e"], says: ["file.a;", "file.b;", "file.c;", "So it is with 2 more."]),
        // Another program's.
        Wish(types: ["chat", "call_started", "message.new.v2", "message.new.*", "moon.full"], says: nil),
    ]

    @Test(arguments: wishes) func anUnknownTypeIsAWarning(_ wish: Wish) async throws {
        let client = try await SharedServer.client("live-types")
        let live = try await LiveSocket.signedIn(client)
        try await live.send(["type": "subscribe", "data": ["types": .array(wish.types.map { .string($0) })]])
        let answer = try await live.packet("subscribed")
        #expect(answer.data["types"] == .array(wish.types.sorted().map { .string($0) }), "it holds all the same: \(answer)")
        let stream = try await LiveStream.open(
            client.port, "/api/events?types=\(wish.types.joined(separator: ","))", token: client.token)
        for packet in [answer, try await stream.packet("ready")] {
            let warning = packet.data["warning"]?.string
            #expect((warning == nil) == (wish.says == nil), "\(packet)")
            for text in wish.says ?? [] { #expect(warning?.contains(text) == true, "\(packet)") }
        }
    }

    /// What is for that device alone will not come: somebody removed it, or it is another account's.
    @Test func aDeviceThatIsNotTheAccountsIsAWarning() async throws {
        let client = try await SharedServer.client("live-device")
        let id = UUID().uuidString.lowercased()
        let socket = try await LiveSocket.open(client.port, "/ws?deviceId=\(id)", token: client.token)
        let stream = try await LiveStream.open(client.port, "/api/events?deviceId=\(id)", token: client.token)
        for ready in [try await socket.packet("ready"), try await stream.packet("ready")] {
            #expect(ready.data["warning"]?.string?.contains(id) == true, "\(ready)")
        }
        let none = try await LiveSocket.open(client.port, "/ws", token: client.token)
        #expect(try await none.packet("ready").data["warning"] == nil)
    }

    /// As for the router.
    @Test func aSlashTooManyIsPassedOver() async throws {
        let client = try await SharedServer.client("live-slash")
        for path in ["/ws/", "/api/ws/", "/drive/ws/"] {
            let socket = try await LiveSocket.open(client.port, path, token: client.token)
            _ = try await socket.packet("ready")
            do {
                _ = try await LiveSocket.open(client.port, path, token: client.token, fields: [])
                Issue.record("a WebSocket at \(path) without a handshake")
            } catch let error as LiveSocket.Refused {
                expectRefusal(error.reply, 426, "UPGRADE_REQUIRED", comment: path)
            }
        }
    }
}
