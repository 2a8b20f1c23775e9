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

    @Test func saysWhatItWaitsFor() async throws {
        let client = try await SharedServer.client("watch-words")
        let task = try await client.makeCustom(uniqueKind("watch-words"))
        let cases: [([String], String)] = [
            ([], "Watching all events after #1; Ctrl-C ends.\n1 tasks are open (drive tasks).\n"),
            (
                ["--types", "task.*,file.*", "--task", task.taskId, "--since", "1"],
                "Watching task.*, file.* of task \(task.taskId) after #1; Ctrl-C ends.\n"
            ),
            (
                ["--since", "5000", "--types", "moon.full"],
                "There is no event #5000 yet; the last one is #1.\nWarning: No event of Drive has the type moon.full.\n"
                    + "Watching moon.full after #1; Ctrl-C ends.\n1 tasks are open (drive tasks).\n"
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
