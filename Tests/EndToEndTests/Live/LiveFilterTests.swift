import DriveModel
import Foundation
import Testing

/// Everybody gets the events of his own account, and of those the ones he asked for (scenario 41: the streams' share; the handshake's is
/// in `LiveSignInTests`, the routes' in `AccessMatrixTests`).
@Suite(.timeLimit(.minutes(1))) struct LiveFilterTests {
    @Test func anotherAccountsEventsStayHidden() async throws {
        let owner = try await SharedServer.client("live-owner")
        let stranger = try await SharedServer.client("live-stranger")
        let admin = try await SharedServer.client("live-admin", admin: true)
        let own = try await LiveSocket.signedIn(owner)
        let other = try await LiveSocket.signedIn(stranger)
        let administrators = try await LiveSocket.signedIn(admin)
        let kind = uniqueKind("live-own")
        let first = try await owner.makeCustom(kind)

        // An id that is known does not help, and is told like one that nobody has: by its name alone.
        let mine = try await stranger.makeCustom(uniqueKind("live-stranger"))
        try await other.packet("task.created")
        func details(_ id: String) -> JSONValue { ["rule": "taskId", "taskId": .string(id)] }
        let unknown = [first.taskId, "no-such-task"]
        let both = try #require(unknown.min())
        for (ids, named) in [([first.taskId], first.taskId), ([unknown[1]], unknown[1]), (unknown, both), ([mine.taskId] + unknown, both)] {
            try await other.send(["type": "subscribe", "data": ["taskIds": .array(ids.map { .string($0) })]])
            let error = try await other.packet("error")
            #expect(error.data["code"] == "TASK_NOT_FOUND" && error.data["status"] == 404, "\(error)")
            #expect(error.data["message"]?.string == "There is no task with the id \(named).", "\(error)")
            #expect(error.data["details"] == details(named), "\(error)")
        }
        let refused = try await LiveSocket.open(
            stranger.port, "/ws?task=\(mine.taskId)&task=\(first.taskId)", token: stranger.token)
        let (close, packets) = try await refused.closed()
        #expect(close.code == 1008 && packets.map { $0.data["code"]?.string } == ["TASK_NOT_FOUND"], "\(close) \(packets)")
        #expect(packets.first?.data["details"] == details(first.taskId) && close.reason.contains(first.taskId), "\(close) \(packets)")
        do {
            _ = try await LiveStream.open(stranger.port, "/api/events?task=\(first.taskId)", token: stranger.token)
            Issue.record("a stream of another account's task")
        } catch let error as LiveSocket.Refused {
            expectRefusal(error.reply, 404, "TASK_NOT_FOUND")
            #expect(error.reply.error?.details["taskId"]?.string == first.taskId, "\(error)")
        }

        try await owner.changed(first.taskId, "cancel")
        #expect(try await own.packets(through: "task.cancelled", of: first.taskId).count == 2)
        // Each stream's next event is its own account's.
        for (client, live) in [(stranger, other), (admin, administrators)] {
            let marker = try await client.makeCustom(uniqueKind("live-marker"))
            #expect(try await live.packet("task.created").taskId == marker.taskId)
        }
    }

    @Test func filtersByTypeAndTask() async throws {
        let client = try await SharedServer.client("live-filter")
        let token = try #require(client.token)
        let kind = uniqueKind("live-filter")
        let wanted = try await client.makeCustom(kind)
        let byType = try await LiveSocket.open(client.port, "/ws?token=\(token)&types=task.cancelled,file.*")
        let byTask = try await LiveSocket.open(client.port, "/api/ws?task=\(wanted.taskId)", token: token)
        let stream = try await LiveStream.open(client.port, "/drive/events?types=task.cancelled&task=\(wanted.taskId)&token=\(token)")
        let byMessage = try await LiveSocket.open(client.port)
        try await byMessage.send(["type": "auth", "token": .string(token), "types": ["task.paused"], "taskIds": [.string(wanted.taskId)]])
        let byPattern = try await LiveSocket.open(client.port, "/ws?types=upload.*", token: token)
        let sources: [any LiveSource] = [byType, byTask, stream, byMessage, byPattern]
        for source in sources { #expect(try await source.begin().tasks.map(\.taskId) == [wanted.taskId]) }

        let other = try await client.makeCustom(kind)
        try await client.changed(wanted.taskId, "pause")
        try await client.changed(other.taskId, "cancel")
        try await client.changed(wanted.taskId, "cancel")
        let last = try await client.makeCustom(kind)
        // Everything from here on, so that an end can be seen.
        for live in [byType, byTask, byMessage, byPattern] { try await live.send(["type": "subscribe", "data": [:]]) }
        #expect(try await types(byType) == ["task.cancelled", "task.cancelled", "subscribed"])
        #expect(try await types(byTask) == ["task.paused", "task.cancelled", "subscribed"])
        #expect(try await types(byMessage) == ["task.paused", "subscribed"])
        #expect(try await types(byPattern) == ["subscribed"])
        try await client.changed(last.taskId, "cancel")
        for live in [byType, byTask, byMessage, byPattern] {
            let event = try await live.packet("task.cancelled")
            #expect(event.taskId == last.taskId, "what the filter kept away does not come later: \(event)")
        }
        let event = try await stream.packet("task.cancelled")
        #expect(event.taskId == wanted.taskId, "the other task's is not wanted")
    }

    private func types(_ live: LiveSocket) async throws -> [String] { try await live.packets { $0.type == "subscribed" }.map(\.type) }

    @Test func aSubscriptionIsAnsweredAndReplaced() async throws {
        let client = try await SharedServer.client("live-subscribe")
        let live = try await LiveSocket.signedIn(client)
        let task = try await client.makeCustom(uniqueKind("live-subscribe"))
        try await live.packet("task.created")
        try await live.send([
            "type": "subscribe", "data": ["types": ["task.progress", "task.cancelled"], "taskIds": [.string(task.taskId)]],
        ])
        let answer = try await live.packet("subscribed")
        #expect(answer.data == ["types": ["task.cancelled", "task.progress"], "taskIds": [.string(task.taskId)]], "\(answer)")
        // One that is refused changes nothing.
        try await live.send(["type": "subscribe", "data": ["taskIds": ["nonsense"]]])
        #expect(try await live.packet("error").data["code"] == "TASK_NOT_FOUND")
        try await live.send(["type": "subscribe", "data": ["types": ["not a type"]]])
        #expect(try await live.packet("error").data["code"] == "INVALID_REQUEST")
        try await live.send(["type": "subscribe", "data": ["taskIds": .array((0...100).map { .string("\($0)") })]])
        #expect(try await live.packet("error").data["code"] == "INVALID_REQUEST")
        let other = try await client.makeCustom(uniqueKind("live-subscribe"))
        try await client.changed(other.taskId, "cancel")
        try await client.changed(task.taskId, "pause")
        try await client.changed(task.taskId, "cancel")
        #expect(try await live.packet("task.cancelled").taskId == task.taskId)
    }
}
