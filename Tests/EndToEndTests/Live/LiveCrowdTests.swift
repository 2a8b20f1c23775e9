import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// A thousand clients come back in the same second, as after a server's restart.
@Suite(.timeLimit(.minutes(3))) struct LiveCrowdTests {
    private static let accounts = 20
    private static let perAccount = 50

    private static let count = accounts * perAccount

    /// The server stops, and is there again; meanwhile more happens. Each gets exactly what it missed, and the neighbour notices little.
    @Test(.enabled(if: LiveCrowd.allows(4096), "the system allows too few open files"))
    func aThousandClientsComeBackAtOnce() async throws {
        let data = try DataFolder.make("live-crowd")
        defer { data.remove() }
        try await Slots.servers.with {
            let tokens = try await together(2) { half in
                try await (0..<Self.accounts / 2).asyncMap { try await data.token(account: "crowd-\(half)-\($0)") }
            }.flatMap { $0 }
            let neighbour = try await data.token(account: "neighbour")
            // The first number is the snapshot's.
            let (first, tasks) = try await Self.begin(data, tokens)
            for (index, packets) in first.enumerated() {
                #expect(packets.map(\.type) == ["ready", "snapshot", "task.created"], "client \(index): \(packets)")
                #expect(packets.last?.taskId == tasks[index / Self.perAccount], "client \(index): \(packets)")
                #expect(packets.last?.sequence == 1, "client \(index): \(packets)")
            }
            let (second, more) = try await Self.comeBack(data, tokens, tasks, neighbour)
            for (index, packets) in second.enumerated() {
                let account = index / Self.perAccount
                #expect(packets.first?.data["beginning"] == "resumed", "client \(index): \(packets)")
                #expect(packets.map(\.type) == ["ready", "task.cancelled", "task.created", "task.created"], "client \(index): \(packets)")
                #expect(packets.map(\.sequence) == [nil, 2, 3, 4], "client \(index): \(packets)")
                #expect(packets.dropFirst().map(\.taskId) == [tasks[account]] + more[account], "client \(index): \(packets)")
            }
        }
        try await data.expectClean()
    }

    /// Those of one account are neighbours in the crowd, so that they come at once.
    private static func everybody(_ tokens: [String]) -> [String] { (0..<count).map { tokens[$0 / perAccount] } }

    /// A server, until it is stopped while all of them listen.
    /// - Returns: what each client got, and each account's task.
    private static func begin(_ data: DataFolder, _ tokens: [String]) async throws -> ([[LivePacket]], tasks: [String]) {
        let server = try await ServerProcess.start(data)
        defer { server.kill() }
        return try await with(LiveCrowd(size: count)) { crowd in
            try await crowd.connect(port: server.port, tokens: everybody(tokens))
            try await crowd.wait(for: "snapshot", count: count, within: .seconds(60))
            let tasks = try await tokens.asyncMap { try await TestClient(base: server.base, token: $0).makeCustom("crowd").taskId }
            try await crowd.wait(for: "task.created", count: count, within: .seconds(60))
            #expect(crowd.lost.isEmpty, "\(crowd.lost.prefix(5))")
            #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
            try await eventually(within: .seconds(20), "all to hear of the end") { crowd.lost.count == count }
            #expect(crowd.lost.allSatisfy { $0.contains("closed by 1001") }, "\(crowd.lost.filter { !$0.contains("1001") }.prefix(5))")
            return (crowd.packets, tasks)
        }
    }

    /// A new server, with two events of each account before they come and one while they do.
    /// - Returns: what each client got, and each account's new tasks.
    private static func comeBack(
        _ data: DataFolder, _ tokens: [String], _ tasks: [String], _ neighbour: String
    ) async throws -> ([[LivePacket]], tasks: [[String]]) {
        // One arena: how many the system makes, and keeps, is no matter of the crowd.
        let server = try await ServerProcess.start(data, environment: ["MALLOC_ARENA_MAX": "1"])
        defer { server.kill() }
        let clients = tokens.map { TestClient(base: server.base, token: $0) }
        var more: [[String]] = []
        for (client, task) in zip(clients, tasks) {
            try await client.changed(task, "cancel")
            more.append([try await client.makeCustom("crowd").taskId])
        }
        let bystander = TestClient(base: server.base, token: neighbour)
        let file = try await bystander.store(bytes(10_000))
        // All connections for reading are there before the measurement.
        _ = try await together(16) { _ in try await bystander.get("/tasks").status }
        let live = try await LiveSocket.signedIn(bystander)
        let packets = try await with(LiveCrowd(size: count)) { crowd in
            let isOver = Box<Bool>()
            async let watched = watch(bystander, file, until: isOver)
            let growth = try await server.growth {
                async let connected: Void = crowd.connect(port: server.port, tokens: everybody(tokens), since: 1)
                for (index, client) in clients.enumerated() { more[index].append(try await client.makeCustom("crowd").taskId) }
                try await connected
                try await crowd.wait(for: "task.created", count: 2 * count, within: .seconds(60))
            }
            isOver.fill(true)
            #expect(growth < 60 << 20, "the peak is \(growth >> 20) MiB higher")
            let times = try await watched
            // The slowest takes 0.6 s on a machine that has nothing else to do; one of them may be unlucky on another.
            #expect(times[times.count / 2] < .seconds(3), "the neighbour waits for \(times)")
            #expect(times.allSatisfy { $0 < .seconds(10) }, "the neighbour waited for \(times)")
            #expect(crowd.lost.isEmpty, "\(crowd.lost.prefix(5))")
            return crowd.packets
        }
        let task = try await bystander.makeCustom("neighbour")
        let events = try await live.packets(through: "task.created", of: task.taskId)
        #expect(events.allSatisfy { $0.taskId == task.taskId || $0.data["type"] == "FileUpload" }, "its own alone: \(events)")
        async let farewell: Void = live.expectClosed(1001)
        #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
        try await farewell
        return (packets, more)
    }

    private static func with<Result>(_ crowd: LiveCrowd, _ body: (LiveCrowd) async throws -> Result) async throws -> Result {
        let result: Result
        do {
            result = try await body(crowd)
        } catch {
            try await crowd.leave()
            throw error
        }
        try await crowd.leave()
        return result
    }

    /// Asks and reads until it is over: all is answered. Returns how long the answers took, in order.
    private static func watch(_ client: TestClient, _ file: CloudFile, until isOver: Box<Bool>) async throws -> [Duration] {
        var times: [Duration] = []
        repeat {
            let start = ContinuousClock.now
            try await client.expectContent(bytes(10_000), of: file)
            let between = ContinuousClock.now
            #expect(try await client.get("/tasks").status == 200)
            times.append(between - start)
            times.append(ContinuousClock.now - between)
        } while isOver.current == nil
        return times.sorted()
    }

    /// The hundred and first of an account is sent away, and the others are left alone.
    @Test func anAccountHasAHundredClients() async throws {
        let client = try await SharedServer.client("live-hundred")
        let crowd = LiveCrowd(size: 100)
        do {
            try await crowd.connect(port: client.port, tokens: Array(repeating: try #require(client.token), count: 100))
            try await crowd.wait(for: "snapshot", count: 100, within: .seconds(30))
            let live = try await LiveSocket.open(client.port, token: client.token)
            try await live.expectClosed(4429)
            do {
                _ = try await LiveStream.open(client.port, token: client.token)
                Issue.record("a stream")
            } catch let error as LiveSocket.Refused {
                expectRefusal(error.reply, 429, "RATE_LIMITED")
            }
            try await client.makeCustom(uniqueKind("live-hundred"))
            try await crowd.wait(for: "task.created", count: 100, within: .seconds(30))
            #expect(crowd.lost.isEmpty)
        } catch {
            try await crowd.leave()
            throw error
        }
        try await crowd.leave()
        // Their places are free again.
        try await eventually(within: .seconds(5), "a place to be free") {
            guard let live = try? await LiveSocket.open(client.port, token: client.token) else { return false }
            return try await live.packet().type == "ready"
        }
    }
}
