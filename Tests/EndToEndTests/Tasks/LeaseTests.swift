import DriveModel
import Foundation
import TestSupport
import Testing

/// A worker outside that goes away while it waits, and one that is lost.
@Suite(.timeLimit(.minutes(1))) struct LeaseTests {
    enum Departure: CaseIterable, Sendable { case close, reset }

    /// The next task is not handed to a connection that nobody reads.
    @Test(arguments: Departure.allCases)
    func whoGoesAwayWhileWaitingGetsNoTask(how: Departure) async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("departure-\(how)")
        let kind = uniqueKind("departure")
        let body = #"{"kinds":["\#(kind)"],"worker":"leaver","waitSeconds":30}"#
        let token = try #require(client.token)
        for _ in 0..<3 {
            let leaver = try RawConnection(port: server.port)
            await leaver.send(
                "POST /api/tasks/work/lease HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(token)\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            // Its request waits, or is still under way: either way nobody is there when the task comes.
            try await Task.sleep(for: .milliseconds(100))
            switch how {
            case .close: await leaver.finishSending()
            case .reset: await leaver.reset()
            }
            let task = try await client.makeCustom(kind)
            let lease = try await client.leased(kind)
            #expect(lease.task.taskId == task.taskId && lease.task.attempt == 1, "\(lease)")
            #expect(try await client.work("complete", lease.leaseId).status == 200)
            #expect(try await client.attempts(task.taskId).isEmpty)
        }
    }

    /// How long a worker may be silent is the operator's to say.
    @Test func patienceIsConfigured() async throws {
        let data = try DataFolder.make("lease-patience")
        defer { data.remove() }
        try await Slots.servers.with {
            let server = try await ServerProcess.start(data, environment: ["DRIVE_TASK_LEASE_PATIENCE": "3s"])
            defer { server.kill() }
            let client = TestClient(base: server.base, token: try await data.token(account: "a"))
            let task = try await client.makeCustom("silent")
            let first = try await client.leased("silent")
            #expect(first.expiresInSeconds == 3 && first.heartbeatSeconds == 1)
            let again: TaskLease = try await client.lease("silent", waitSeconds: 10).decode()
            #expect(again.task.taskId == task.taskId && again.task.attempt == 2)
            #expect(try await client.work("complete", first.leaseId).status == 409, "it is the other one's")
            #expect(try await client.work("complete", again.leaseId).status == 200)
            #expect(try await server.terminate() == .exited(0))
        }
        try await data.expectClean()
    }
}
