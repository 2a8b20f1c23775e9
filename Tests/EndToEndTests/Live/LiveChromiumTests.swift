import DriveModel
import Foundation
import Testing

/// A browser, on a page of another origin than the server's: the spec's client example as it stands there, with its address
/// and its token filled in, the example of docs/live.md that comes back, and an EventSource.
@Suite(.enabled(if: chromium != nil, "DRIVE_TEST_CHROMIUM is not set"), .timeLimit(.minutes(2)))
struct LiveChromiumTests {
    private static let chunks = 8

    @Test func theSpecsExampleShowsAnUpload() async throws {
        let chromium = try #require(chromium)
        try await withServer("live-chromium", environment: ["DRIVE_CORS_ORIGINS": "http://app.example"]) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let proxy = try LoopbackProxy(to: server.port)
            defer { proxy.close() }
            let folder = try TemporaryFolder.make("chromium")
            defer { TemporaryFolder.remove(folder) }
            // The example shows tasks that its page has a bar for.
            let upload = try await client.begin(bytes(Self.chunks * 65_536))
            let live = try await LiveSocket.open(server.port)
            await live.signIn(client)
            let (sequence, _) = try await live.begin()
            let page = try LiveProgram(
                .chromium,
                [
                    chromium, "ws://127.0.0.1:\(server.port)/ws", "ws://127.0.0.1:\(proxy.port)/ws", "\(proxy.base)/api/events",
                    upload.taskId,
                ],
                token: try #require(client.token), folder: folder)
            try await page.told("all to be signed in, and the strange page to be refused") { lines in
                !Self.events(lines, "ready").isEmpty
                    && ["signedIn", "shown", "stranger"].allSatisfy { name in lines.contains { $0[name] != nil } }
            }
            for index in upload.indexes {
                // The EventSource and docs/live.md's example come back, moments later; the spec's example goes another way.
                if index == Self.chunks / 2 {
                    try await page.told("the events of the first half") { lines in
                        Self.events(lines, "task.progress").count == index && Self.handled(lines).count == index
                    }
                    proxy.cut()
                }
                try await client.sendChunks([index], of: upload)
                try await page.told("the bar to move") { Self.bars($0).count == index + 1 }
            }
            let file = try await client.finish(upload.taskId)
            let kind = uniqueKind("live-chromium")
            let failing = try await client.makeCustom(kind)
            let lease = try await client.leased(kind)
            #expect(
                try await client.work("fail", lease.leaseId, ["errorMessage": "invalid format", "retryable": false]).status == 200)

            let lines = try await page.ended()
            #expect(lines.filter { $0["pageError"] != nil || $0["closed"] != nil } == [])
            #expect(lines.compactMap { $0["stranger"] } == ["refused"], "no event for a page of another origin")
            Self.expectExample(lines, fileId: file.id, failed: failing.taskId)
            let expected = try await live.packets(through: "task.failed", of: failing.taskId)
            expectGapless(expected, after: sequence)
            #expect(expected.count == Self.chunks + 4, "progress, file and end of the upload; the other task and its end")
            #expect(Self.events(lines, "ready").first?["data"]?["sequence"]?.integer == sequence)
            #expect(Self.events(lines, "ready").map { $0["data"]?["beginning"] } == ["now", "resumed"])
            Self.expectStream(lines.filter { $0["event"] != nil && $0["event"] != "ready" }.map(Self.packet), expected)
            #expect(lines.compactMap { $0["shown"] } == [[.string(upload.taskId)]], "one snapshot, and it came back without")
            Self.expectStream(Self.handled(lines), expected)
        }
    }

    /// What the example showed, in this order.
    private static func expectExample(_ lines: [JSONValue], fileId: String, failed: String) {
        let shares = (1...chunks).map { Double($0) * 100 / Double(chunks) }
        #expect(bars(lines) == shares.map { String(format: "%.1f%%", $0) })
        let widths = lines.compactMap { $0["width"]?.string }
        #expect(widths == shares.map { String(format: "%g%%", $0) })
        let ends = lines.filter { $0["success"] != nil || $0["error"] != nil }
        #expect(ends.count == 2, "\(ends)")
        #expect(ends.first?["success"]?["results"]?["fileId"]?.string == fileId, "\(ends)")
        #expect(ends.last?["error"]?["taskId"]?.string == failed, "\(ends)")
        #expect(ends.last?["error"]?["errorMessage"] == "invalid format", "\(ends)")
        let lastBar = lines.lastIndex { $0["bar"] != nil }
        let success = lines.firstIndex { $0["success"] != nil }
        #expect((lastBar ?? .max) < (success ?? 0), "the bar is full before the message comes")
    }

    /// What the EventSource told of.
    private static func packet(_ line: JSONValue) -> LivePacket {
        LivePacket(
            type: line["event"]?.string ?? "", sequence: line["id"]?.string.flatMap { Int64($0) }, data: line["data"] ?? .null)
    }

    /// What docs/live.md's example handled.
    private static func handled(_ lines: [JSONValue]) -> [LivePacket] {
        lines.compactMap { $0["handled"] }.map {
            LivePacket(type: $0["type"]?.string ?? "", sequence: $0["sequence"]?.integer, data: $0["data"] ?? .null)
        }
    }

    /// It saw the events in order and each once, although its connection broke off. Of the progress that waited for its return
    /// it may lack what newer progress replaced.
    private static func expectStream(_ seen: [LivePacket], _ expected: [LivePacket], sourceLocation: SourceLocation = #_sourceLocation) {
        let ids = seen.compactMap(\.sequence)
        let same = expected.filter { $0.sequence.map(ids.contains) == true }
        #expect(
            ids == same.compactMap(\.sequence) && ids.count == seen.count, "in order, each once: \(ids)", sourceLocation: sourceLocation)
        #expect(seen.map(\.type) == same.map(\.type), sourceLocation: sourceLocation)
        #expect(seen.map(\.data) == same.map(\.data), sourceLocation: sourceLocation)
        let progress = expected.filter { $0.type == "task.progress" }.compactMap(\.sequence)
        let replaced = Set(progress.dropFirst(chunks / 2).dropLast())
        let missed = expected.compactMap(\.sequence).filter { !ids.contains($0) }
        #expect(replaced.isSuperset(of: missed), "\(missed)", sourceLocation: sourceLocation)
    }

    private static func bars(_ lines: [JSONValue]) -> [String] { lines.compactMap { $0["bar"]?.string } }

    private static func events(_ lines: [JSONValue], _ type: String) -> [JSONValue] {
        lines.filter { $0["event"]?.string == type }
    }
}

/// The browser's program, from `DRIVE_TEST_CHROMIUM`; nil where there is none.
private let chromium: String? = {
    let path = ProcessInfo.processInfo.environment["DRIVE_TEST_CHROMIUM"] ?? ""
    return path.isEmpty ? nil : path
}()
