import DriveModel
import Foundation
import Testing

/// `drive watch` and `drive tasks watch`: what they say, and when.
@Suite(.timeLimit(.minutes(1))) struct LiveWatchTests {
    private static func start(_ arguments: [String], _ client: TestClient, port: Int? = nil) throws -> WorkerProcess {
        let server = port.map { "http://127.0.0.1:\($0)" } ?? client.base
        return try WorkerProcess(
            [DriveCommand.executable] + arguments,
            environment: ["DRIVE_SERVER": server, "DRIVE_TOKEN": client.token ?? "", "TZ": "EST5"])
    }

    private static func said(
        _ text: String, by command: WorkerProcess, times: Int = 1, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await eventually(within: .seconds(20), "\(times) × \(text)") {
            command.log.components(separatedBy: text).count > times
        }
    }

    /// A microsecond time of the wire as the command prints it, five hours west of Greenwich.
    private static func clock(_ text: String?) -> String? {
        text.flatMap { Timestamp($0) }.map { String(($0 - .seconds(5 * 3600)).description.prefix(19).suffix(8)) }
    }

    @Test func anEventHasItsOwnTime() async throws {
        let client = try await SharedServer.client("watch-time")
        let task = try await client.makeCustom(uniqueKind("watch-time"))
        try await client.changed(task.taskId, "cancel")
        let stream = try await LiveStream.open(client.port, "/api/events?since=0", token: client.token)
        try await stream.begin(as: "resumed")
        let events = try await stream.packets { $0.type == "task.cancelled" }
        let times = events.map { Self.clock($0.data["createdAt"]?.string ?? $0.data["changedAt"]?.string) }
        let last = try #require(events.last?.data["changedAt"]?.string.flatMap { Timestamp($0) })
        try await eventually(within: .seconds(5), "a later second, so that the time of arrival is another one") {
            Int64(Date().timeIntervalSince1970) > last.seconds
        }
        let watch = try Self.start(["watch", "--since", "0"], client)
        try await eventually(within: .seconds(20), "both events") { watch.output.contains("task.cancelled") }
        let lines = watch.output.split(separator: "\n").map(String.init)
        #expect(lines.count == 2, "\(lines)")
        for (line, time) in zip(lines, times) {
            // Around midnight of that zone the day stands before it.
            #expect(line.prefix { $0 != "#" }.split(separator: " ").last.map(String.init) == time, "\(line) at \(String(describing: time))")
        }
        #expect(watch.log == "Watching all events after #0; Ctrl-C ends.\n")
    }

    @Test func aTaskIsWatchedAlone() async throws {
        let client = try await SharedServer.client("watch-task")
        let task = try await client.makeCustom(uniqueKind("watch-task"))
        let other = try await client.makeCustom(uniqueKind("watch-task"))
        let watches = try [[], ["--json"]].map { try Self.start(["watch", "--task", task.taskId, "--since", "0"] + $0, client) }
        for watch in watches {
            try await eventually(within: .seconds(20), "its beginning") { watch.output.contains("task.created") }
        }
        try await client.changed(other.taskId, "pause")
        try await client.changed(task.taskId, "pause")
        try await client.changed(other.taskId, "cancel")
        try await client.changed(task.taskId, "cancel")
        for watch in watches {
            try await eventually(within: .seconds(20), "its end") { watch.output.contains("task.cancelled") }
            let lines = watch.output.split(separator: "\n")
            let events = lines.compactMap { line in ["created", "paused", "cancelled"].first { line.contains("task.\($0)") } }
            #expect(events == ["created", "paused", "cancelled"], "those that waited and those that came: \(lines)")
            #expect(!watch.output.contains(other.taskId), "\(lines)")
        }
    }

    @Test func saysWhatItWaitsFor() async throws {
        let client = try await SharedServer.client("watch-words")
        let task = try await client.makeCustom(uniqueKind("watch-words"))
        let cases: [([String], String)] = [
            ([], "Watching all events after #1; Ctrl-C ends.\n1 task is open (drive tasks).\n"),
            (
                ["--types", "task.*,file.*", "--task", task.taskId, "--since", "1"],
                "Watching task.*, file.* of task \(task.taskId) after #1; Ctrl-C ends.\n"
            ),
            (
                ["--since", "5000", "--types", "task.complete,moon.full"],
                "There is no event #5000 yet; the last one is #1.\n"
                    + "Warning: No event of Drive has the type task.complete; did you mean task.completed?\n"
                    + "Watching task.complete, moon.full after #1; Ctrl-C ends.\n1 task is open (drive tasks).\n"
            ),
        ]
        for (options, text) in cases {
            let watch = try Self.start(["watch"] + options, client)
            do {
                try await eventually(within: .seconds(20), "\(options)") { watch.log == text }
            } catch is TimedOut {
                Issue.record("\(options): \(watch.log)")
            }
        }
        for option in ["--quiet", "--json"] {
            let watch = try Self.start(["watch", "--since", "0", option], client)
            try await eventually(within: .seconds(20), "an event") { watch.output.contains("task.created") }
            #expect(watch.log.isEmpty, "\(option): \(watch.log)")
            #expect(watch.output.contains(#""type":"ready""#) == (option == "--json"), "\(watch.output)")
        }
    }

    /// It is watched all the same: a retry may come.
    @Test func aTaskThatHasEndedIsSaid() async throws {
        let client = try await SharedServer.client("watch-ended")
        let ended = try await client.makeCustom(uniqueKind("watch-ended"))
        let open = try await client.makeCustom(uniqueKind("watch-ended"))
        try await client.changed(ended.taskId, "cancel")
        let watch = try Self.start(["watch", "--since", "3", "--task", open.taskId, "--task", ended.taskId], client)
        try await Self.said("Task \(ended.taskId) has ended already (Cancelled).\n", by: watch)
        #expect(!watch.log.contains("Task \(open.taskId)"), "\(watch.log)")
        try await client.changed(ended.taskId, "retry")
        try await eventually(within: .seconds(20), "what comes of it") { watch.output.contains(ended.taskId) }
    }

    @Test func aNegativeNumberIsRefusedWithTheRule() async throws {
        for arguments in [["--since", "-1"], ["--since=-1"]] {
            let result = try await DriveCommand.run(["watch"] + arguments)
            #expect(result.exit == .exited(64), "\(result)")
            #expect(result.errors.contains(#"--since is "-1"; it should be a whole number of at least 0."#), "\(result)")
        }
    }

    /// A packet of another program says nothing of its time: what came while nobody watched does not look new.
    @Test func aReplayedPacketShowsNoTimeOfArrival() async throws {
        try await RingStage.with("watch-packets") { stage in
            let client = try await stage.client("anna")
            let user = try client.ringUser
            func push(_ type: String, error: String? = nil) async throws {
                try await stage.caller.taken("PushWebSocketPacket", ["user_id": .string(user), "packet": ringPacket(type, error: error)])
            }
            try await push("chat.failed", error: "The room is closed.")
            let watch = try Self.start(["watch", "--since", "0"], client)
            try await eventually(within: .seconds(20), "the packet") { watch.output.contains("chat.failed") }
            #expect(watch.output == "          #1  chat.failed  The room is closed.\n")
            try await push("chat.message")
            try await eventually(within: .seconds(20), "the next packet") { watch.output.contains("chat.message") }
            let line = try #require(watch.output.split(separator: "\n").last)
            #expect(line.contains("#2  chat.message") && line.first?.isNumber == true, "\(line)")
        }
    }

    /// A progress that is no percent, and not even an `Int`.
    @Test func anotherProgramsNumbersDoNoHarm() async throws {
        try await RingStage.with("watch-numbers") { stage in
            let client = try await stage.client("anna")
            let user = try client.ringUser
            for (type, progress) in [("chat.wild", 1e300), ("chat.tame", 12.5)] {
                let packet = try ringPacket(type, ["progress": .double(progress)])
                try await stage.caller.taken("PushWebSocketPacket", ["user_id": .string(user), "packet": packet])
            }
            let watch = try Self.start(["watch", "--since", "0"], client)
            try await eventually(within: .seconds(20), "the packets") { watch.output.contains("chat.tame") }
            #expect(watch.output == "          #1  chat.wild\n          #2  chat.tame  12 %\n")
        }
    }

    @Test func anOutageIsToldOnceAndItsEnd() async throws {
        let client = try await SharedServer.client("watch-outage")
        let proxy = try LoopbackProxy(to: client.port)
        defer { proxy.close() }
        let task = try await client.makeCustom(uniqueKind("watch-outage"))
        let watch = try Self.start(["watch"], client, port: proxy.port)
        let follow = try Self.start(["tasks", "watch", task.taskId], client, port: proxy.port)
        try await Self.said("Ctrl-C ends.", by: watch)
        try await eventually(within: .seconds(20), "the task's state") { follow.output.contains("Pending") }
        for round in 1...2 {
            proxy.goDown()
            for command in [watch, follow] { try await Self.said("Trying again.\n", by: command, times: round) }
            proxy.comeBack()
            for command in [watch, follow] { try await Self.said("Connected again", by: command, times: round) }
        }
        try await client.changed(task.taskId, "cancel")
        #expect(try await follow.waitForEnd(atMost: .seconds(20)) == .exited(1))
        #expect(follow.log.components(separatedBy: "Trying again.").count == 3, "\(follow.log)")
        try await eventually(within: .seconds(20), "the event") { watch.output.contains("task.cancelled") }
    }

    @Test func aRefusalPromisesNothing() async throws {
        let server = try await SharedServer.get()
        let client = TestClient(base: server.base, token: try await server.data.token(account: "watch-revoked"))
        let watch = try Self.start(["watch"], client)
        try await Self.said("Ctrl-C ends.", by: watch)
        try await server.data.drive("token", "revoke", try #require(client.token.flatMap { HandSignedToken($0)?.id }))
        #expect(try await watch.waitForEnd(atMost: .seconds(20)) == .exited(67))
        #expect(watch.log.contains("TOKEN_REVOKED") && !watch.log.contains("Trying again"), "\(watch.log)")
    }
}
