import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// JSON that is nested so deep that reading it would take more stack than a thread has.
@Suite(.timeLimit(.minutes(1))) struct DeepJSONTests {
    private static func nested(_ depth: Int) -> JSONValue { (0..<depth).reduce(1) { inner, _ in ["a": inner] } }

    /// Where it is as deep as it may be, it goes all the way: stored, claimed, told, listed.
    @Test func whatIsTakenIsServed() async throws {
        let client = try await SharedServer.client("deep-taken")
        let live = try await LiveSocket.signedIn(client)
        let kind = uniqueKind("deep")
        // The request's own two levels are counted too.
        let parameters = ["deep": Self.nested(DriveJSON.maximumDepth - 2)] as [String: JSONValue]
        let task = try await client.makeCustom(kind, ["parameters": .object(parameters)])
        let lease = try await client.leased(kind)
        #expect(lease.task.parameters == parameters)
        #expect(try await client.work("complete", lease.leaseId, ["results": .object(parameters)]).status == 200)
        let end = try #require(try await live.packets(through: "task.completed", of: task.taskId).last)
        #expect(end.data["results"] == .object(parameters))
        #expect(try await client.task(task.taskId).results == parameters)
    }

    @Test func deeperOnesAreRefused() async throws {
        let client = try await SharedServer.client("deep-refused")
        for depth in [DriveJSON.maximumDepth - 1, 300, 400] {
            let reply = try await client.send(
                .POST, "/tasks",
                json: ["type": "Custom", "kind": "deep", "parameters": ["deep": Self.nested(depth)]])
            expectRefusal(reply, 400, "INVALID_REQUEST", comment: "\(depth)")
            #expect(reply.error?.details["rule"] == "depth" && reply.error?.details["maximum"] == 64, "\(reply)")
        }
        let live = try await LiveSocket.signedIn(client)
        try await live.send(.object(["type": "presence", "data": Self.nested(300)]))
        #expect(try await live.packet("error").data["details"]?["rule"] == "depth")
        // The server is still there.
        #expect(try await client.get("/tasks").status == 200)
    }
}
