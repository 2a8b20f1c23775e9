import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// The RingService of another program is away, refuses, or never answers; or Drive itself is killed: each end is told all the same.
@Suite(.timeLimit(.minutes(5))) struct RingGatewayTroubleTests {
    private typealias Call = RingServiceStandIn.Call

    /// Makes tasks that are cancelled at once; returns their ids in order.
    private func cancelled(_ count: Int, by client: TestClient) async throws -> [String] {
        var tasks: [String] = []
        for _ in 0..<count {
            let task = try await client.makeCustom("ring-trouble")
            try await client.changed(task.taskId, "cancel")
            tasks.append(task.taskId)
        }
        return tasks
    }

    /// Fails the test where what was taken of these tasks is not each event once, in order.
    private func expectEach(_ tasks: [String], in calls: [Call], sourceLocation: SourceLocation = #_sourceLocation) {
        let taken = calls.filter { $0.isPacket && $0.answer == "OK" && tasks.contains($0.taskId ?? "") }
            .map { [$0.type ?? "", $0.taskId ?? ""] }
        #expect(taken == tasks.flatMap { [["task.created", $0], ["task.cancelled", $0]] }, sourceLocation: sourceLocation)
    }

    @Test func aServiceThatIsAwayMissesNothing() async throws {
        let port = try LoopbackPort.free(1)[0]
        try await withServer("ring-away", environment: RingServiceStandIn.environment(port: port)) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            var tasks = try await cancelled(3, by: client)
            // Once more it goes, and comes back.
            for round in 0..<2 {
                let service = try await RingServiceStandIn.start(port: port)
                tasks += try await cancelled(2, by: client)
                let calls = try await service.calls(through: "task.cancelled", of: tasks, within: .seconds(90))
                expectEach(tasks, in: calls)
                // Its last answer may be lost with it: then that event comes once more.
                _ = consume service
                tasks = try await cancelled(round + 1, by: client)
            }
        }
    }

    /// Statuses that pass.
    @Test(arguments: ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "PERMISSION_DENIED", "HANG"])
    func whatMayPassIsTriedAgain(status: String) async throws {
        let service = try await RingServiceStandIn.start()
        try await withServer("ring-again-\(status.lowercased())", environment: service.environment) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            // Of a call that hangs one is enough: it takes as long as Drive's patience.
            try await service.answer(status, times: status == "HANG" ? 1 : 3, method: "PushWebSocketPacket")
            var tasks = try await cancelled(3, by: client)
            let calls = try await service.calls(through: "task.cancelled", of: tasks, within: .seconds(120))
            expectEach(tasks, in: calls)
            let refused = calls.filter { $0.isPacket && $0.answer == status }
            #expect(refused.count == (status == "HANG" ? 1 : 3), "\(calls)")
            // It begins where it was refused, in the order in which it happened.
            #expect(refused.first?.type == "task.created" && refused.first?.taskId == tasks[0], "\(calls)")
            if ["UNAUTHENTICATED", "PERMISSION_DENIED"].contains(status) {
                #expect(!logged("error", in: server.log).isEmpty, "the operator must mend it: \(server.log.suffix(2000))")
            }
            #expect(!server.log.contains(RingServiceStandIn.token), "the token in the log")
            tasks += try await cancelled(1, by: client)
            expectEach(tasks, in: try await service.calls(through: "task.cancelled", of: tasks))
        }
    }

    /// What would be refused again holds up nothing behind it: that packet alone is given up.
    @Test(arguments: ["INVALID_ARGUMENT", "NOT_FOUND"]) func whatIsRefusedForGoodIsPassedOver(status: String) async throws {
        let service = try await RingServiceStandIn.start()
        try await withServer("ring-refused-\(status.lowercased())", environment: service.environment) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            try await service.answer(status, times: 1, method: "PushWebSocketPacket")
            let tasks = try await cancelled(3, by: client)
            let calls = try await service.calls(through: "task.cancelled", of: Array(tasks.dropFirst())).filter(\.isPacket)
            let told = calls.map { [$0.type ?? "", $0.taskId ?? ""] }
            #expect(told.count == Set(told).count, "each was tried once: \(told)")
            #expect(calls.filter { $0.answer != "OK" }.map(\.type) == ["task.created"], "\(calls)")
            #expect(calls.contains { $0.answer == "OK" && $0.taskId == tasks[1] && $0.type == "task.created" }, "\(calls)")
        }
    }

    /// One person's trouble is not another's.
    @Test func whatFailsForOneHoldsUpNobodyElse() async throws {
        let service = try await RingServiceStandIn.start()
        try await withServer("ring-others", environment: service.environment) { server in
            let anna = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            let ben = anna.with(token: try await server.data.token(account: "ben"))
            try await service.answer("UNAVAILABLE", times: nil, user: try anna.ringUser)
            let first = try await cancelled(3, by: anna)
            try await service.calls("a call that failed") { $0.contains { $0.answer == "UNAVAILABLE" } }
            let second = try await cancelled(3, by: ben)
            let calls = try await service.calls(through: "task.cancelled", of: second)
            expectEach(second, in: calls)
            #expect(!calls.contains { $0.answer == "OK" && first.contains($0.taskId ?? "") }, "\(calls)")
            try await service.forget()
            expectEach(first, in: try await service.calls(through: "task.cancelled", of: first, within: .seconds(120)))
        }
    }

    /// After `kill -9` at any moment every event has been told at least once, and the same each time.
    @Test func aKilledServerTellsEachEvent() async throws {
        let service = try await RingServiceStandIn.start()
        let data = try DataFolder.make("ring-killed")
        defer { data.remove() }
        var tasks: [String] = []
        try await Slots.servers.with {
            for round in 0..<4 {
                let server = try await ServerProcess.start(data, environment: service.environment)
                defer { server.kill() }
                let client = TestClient(base: server.base, token: try await data.token(account: "a"))
                let first = try await cancelled(1, by: client)
                tasks += first
                guard round == 3 else {
                    // It tells, so that the next are somewhere between the event, the call, and the note of it.
                    try await service.calls(through: "task.cancelled", of: first)
                    tasks += try await cancelled(5 + round, by: client)
                    server.kill()
                    _ = try await server.waitForEnd()
                    continue
                }
                let calls = try await service.calls(through: "task.cancelled", of: tasks, within: .seconds(90)).filter(\.isPacket)
                try await expectAll(tasks, in: calls)
                #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
            }
        }
        try await data.expectClean()
    }

    private func expectAll(_ tasks: [String], in calls: [Call]) async throws {
        var first: [[String]] = []
        var data: [[String]: JSONValue] = [:]
        for call in calls {
            let event = [call.type ?? "", call.taskId ?? ""]
            if let before = data[event] {
                #expect(before == call.data, "\(event)")
            } else {
                data[event] = call.data
                first.append(event)
            }
        }
        // A repetition aside, they came as they happened.
        #expect(first == tasks.flatMap { [["task.created", $0], ["task.cancelled", $0]] })
    }
}
