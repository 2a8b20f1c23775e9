import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// Who comes back gets what it missed; who never reads gets it later (scenario 33).
@Suite(.timeLimit(.minutes(2))) struct LiveResumeTests {
    @Test func whatHappenedMeanwhileComesOnceAndInOrder() async throws {
        let client = try await SharedServer.client("live-resume")
        let token = try #require(client.token)
        let kind = uniqueKind("live-resume")
        var last: Int64 = 0
        var all: [LivePacket] = []
        // More than are read at once, too.
        let away = [3, 300, 12, 100]
        for round in away.indices {
            // Every second time by the message, and with events that happen while it connects.
            let live = try await LiveSocket.open(client.port, round.isMultiple(of: 2) ? "/ws?since=\(last)&token=\(token)" : "/ws")
            if !round.isMultiple(of: 2) { try await live.send(["type": "auth", "token": .string(token), "since": .integer(last)]) }
            async let making: Void = make(5, kind, client)
            #expect(try await live.begin(as: "resumed").sequence == last)
            try await making
            let marker = try await client.makeCustom(kind)
            let events = try await live.packets(through: "task.created", of: marker.taskId)
            expectGapless(events, after: last)
            all += events
            last = try #require(events.last?.sequence)
            await live.send(LiveFrame(opcode: LiveFrame.close, payload: [0x03, 0xE8]))
            try await live.expectClosed(1000)
            try await make(away[round], kind, client)
        }
        expectGapless(all, after: 0)
        let ahead = try await LiveSocket.open(client.port, "/ws?since=1000000000&token=\(token)")
        let (sequence, tasks) = try await ahead.begin(as: "gap")
        #expect(sequence == Int64(all.count + 100) && tasks.count == all.count + 100, "\(sequence)")
        let marker = try await client.makeCustom(kind)
        #expect(try await ahead.packet("task.created").taskId == marker.taskId)
    }

    private func make(_ count: Int, _ kind: String, _ client: TestClient) async throws {
        if count > 10 { return _ = try await client.makeBatch(count, kind) }
        for _ in 0..<count { try await client.makeCustom(kind) }
    }

    /// Ten thousand events, of 400 bytes each: more than the system keeps on the way to a client (4 MiB).
    private static let batches = 5
    private static let name = String(repeating: "n", count: 250)

    /// Ten thousand events, most of them waiting in the outbox: in order, each once, and the server keeps few of them. There are twenty
    /// such readers, as what one of them may cost is less than the work itself does.
    @Test func aReaderThatNeverReadsCostsLittleAndMissesNothing() async throws {
        // One arena: how many the system makes, and keeps, is no matter of the readers.
        try await withServer("live-slow", environment: ["MALLOC_ARENA_MAX": "1"], checks: false) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            // What the same work costs with nobody listening is there before the measurement. A batch that ends is told, too.
            try await client.cancelBatch(client.makeBatch(1000, "warm", name: Self.name))
            // So are all connections for reading.
            _ = try await together(16) { _ in try await client.get("/tasks").status }
            let first: Int64 = 2001
            let slow = try await (0..<10).asyncMap { _ in try await Self.slowReaders(client) }.flatMap { $0 }
            let other = try await LiveSocket.signedIn(client)
            let last = first + 2001 * Int64(Self.batches)
            var told: [LivePacket] = []
            let growth = try await server.growth {
                for _ in 0..<Self.batches { try await client.cancelBatch(client.makeBatch(1000, "slow", name: Self.name)) }
                told = try await other.packets(within: .seconds(60)) { $0.sequence == last }
            }
            #expect(growth < 40 << 20, "grew by \(growth >> 20) MiB")

            let isGapless = told.map(\.sequence) == Array((first + 1)...last)
            #expect(isGapless, "each once, in order")
            for (type, count) in [
                ("task.created", 1000 * Self.batches), ("task.cancelled", 1000 * Self.batches), ("batch.completed", Self.batches),
            ] {
                #expect(Set(told.filter { $0.type == type }.map { $0.taskId ?? $0.data["batchId"]?.string }).count == count, "\(type)")
            }
            // One of each kind.
            let late = try await together(2) { try await slow[$0].packets(within: .seconds(60)) { $0.sequence == last } }
            for (reader, events) in zip(slow, late) {
                let areSame = events.map(\.description) == told.map(\.description)
                #expect(areSame, "\(type(of: reader)): the same as who reads at once")
            }
        }
    }

    /// Who does not read sees the newest progress of a task when it does, and every end.
    @Test func aSlowReaderGetsTheNewestProgress() async throws {
        try await withServer("live-slow-progress", checks: false) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let slow = try await Self.slowReaders(client)
            // Fills the way to the clients, so that what follows waits in the server.
            for _ in 0..<Self.batches { try await client.cancelBatch(client.makeBatch(1000, "filler", name: Self.name)) }
            var tasks: [String] = []
            for index in 0..<5 {
                let task = try await client.makeCustom("progress-\(index)")
                tasks.append(task.taskId)
                let lease = try await client.leased("progress-\(index)")
                for step in 1...10 {
                    #expect(try await client.work("progress", lease.leaseId, ["progress": .double(Double(step) * 9.5)]).status == 200)
                }
                #expect(try await client.work("complete", lease.leaseId).status == 200)
            }
            let made = tasks
            let late = try await together(slow.count) {
                try await slow[$0].packets(through: "task.completed", of: made[4], within: .seconds(60))
            }
            for (reader, events) in zip(slow, late) { Self.expectNewestProgress(events, of: tasks, "\(type(of: reader))") }
        }
    }

    /// Progress that newer progress replaced is missing, and nothing else.
    private static func expectNewestProgress(_ events: [LivePacket], of tasks: [String], _ reader: Comment) {
        #expect(events.filter { $0.type == "task.cancelled" }.count == 1000 * batches, reader)
        for task in tasks {
            let own = events.filter { $0.taskId == task }
            #expect(own.first?.type == "task.created" && own.last?.type == "task.completed", "\(reader): \(own)")
            let newest = own.last { $0.type == "task.progress" }
            #expect(newest?.data["progress"] == 95, "\(reader): \(own)")
        }
        let steps = events.filter { $0.type == "task.progress" }.count
        #expect(steps < 20, "\(reader): of fifty steps, those that newer ones replaced are left out: \(steps)")
        let sequences = events.compactMap(\.sequence)
        #expect(sequences == Array(Set(sequences)).sorted(), "\(reader): in order, none twice")
        #expect(Int(sequences.last ?? 0) - sequences.count == 50 - steps, "\(reader): the steps alone are missing")
    }

    /// Both kinds of streams; the system keeps little for them.
    private static func slowReaders(_ client: TestClient) async throws -> [any LiveSource] {
        let stream = try await LiveStream.open(client.port, token: client.token, receiveBuffer: 4096)
        try await stream.begin()
        return [try await LiveSocket.signedIn(client, receiveBuffer: 4096), stream]
    }
}

extension TestClient {
    /// Makes a batch of Custom tasks; returns its id.
    @discardableResult
    func makeBatch(
        _ count: Int, _ kind: String, name: String = "one", sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let task: JSONValue = ["type": "Custom", "kind": .string(kind), "name": .string(name)]
        let reply = try await send(
            .POST, "/tasks/batches", json: ["name": "many", "tasks": .array(Array(repeating: task, count: count))])
        try #require(reply.status == 201, "\(reply)", sourceLocation: sourceLocation)
        return try reply.decode(TaskBatch.self, sourceLocation: sourceLocation).batchId
    }

    /// Cancels all tasks of a batch.
    func cancelBatch(_ id: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let reply = try await send(.POST, "/tasks/batches/\(id)/cancel")
        try #require((200..<300).contains(reply.status), "\(reply)", sourceLocation: sourceLocation)
    }
}
