import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// A thousand clients come back in the same second, as after a server's restart.
@Suite(.timeLimit(.minutes(3))) struct LiveCrowdTests {
    private static let accounts = 20
    private static let perAccount = 50

    @Test(.enabled(if: LiveCrowd.allows(4096), "the system allows too few open files"))
    func aThousandClientsAtOnce() async throws {
        try await withServer("live-crowd") { server in
            let data = server.data
            let tokens = try await together(2) { half in
                try await (0..<Self.accounts / 2).asyncMap { try await data.token(account: "crowd-\(half)-\($0)") }
            }.flatMap { $0 }
            let clients = tokens.map { TestClient(base: server.base, token: $0) }
            let count = Self.accounts * Self.perAccount
            let crowd = LiveCrowd(size: count)
            let bystander = TestClient(base: server.base, token: try await data.token(account: "bystander"))
            let file = try await bystander.store(bytes(10_000))
            let live = try await LiveSocket.signedIn(bystander)
            do {
                let isOver = Box<Bool>()
                async let answers = Self.watch(bystander, file, until: isOver)
                // Those of one account are neighbours, so that they come at once.
                try await crowd.connect(port: server.port, tokens: (0..<count).map { tokens[$0 / Self.perAccount] })
                try await crowd.wait(for: "snapshot", count: count, within: .seconds(60))

                var tasks: [String] = []
                for client in clients { tasks.append(try await client.makeCustom("crowd").taskId) }
                try await crowd.wait(for: "task.created", count: count, within: .seconds(60))
                isOver.fill(true)
                #expect(try await answers > 0)
                #expect(crowd.lost.isEmpty, "\(crowd.lost.prefix(5))")
                for (index, packets) in crowd.packets.enumerated() {
                    #expect(packets.map(\.type) == ["ready", "snapshot", "task.created"], "client \(index): \(packets)")
                    #expect(
                        packets.last?.taskId == tasks[index / Self.perAccount] && packets.last?.sequence == 1, "client \(index): \(packets)"
                    )
                }
                let task = try await bystander.makeCustom("bystander")
                let events = try await live.packets(through: "task.created", of: task.taskId)
                #expect(events.allSatisfy { $0.taskId == task.taskId || $0.data["type"] == "FileUpload" }, "its own alone: \(events)")
            } catch {
                try await crowd.leave()
                throw error
            }
            try await crowd.leave()
            // They are gone, and the server knows.
            #expect(try await bystander.get("/files/me").status == 200)
        }
    }

    /// Asks and reads until it is over: all is answered, and soon. Returns how often.
    private static func watch(_ client: TestClient, _ file: CloudFile, until isOver: Box<Bool>) async throws -> Int {
        var count = 0
        while isOver.current == nil {
            let start = ContinuousClock.now
            try await client.expectContent(bytes(10_000), of: file)
            #expect(try await client.get("/tasks").status == 200)
            #expect(ContinuousClock.now - start < .seconds(10), "answered soon")
            count += 1
        }
        return count
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
