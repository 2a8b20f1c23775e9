import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// A worker's token on a running server: it leases and reports, and nothing else.
@Suite struct WorkerTokenTests {
    private func worker(_ account: String, _ arguments: String...) async throws -> TestClient {
        let server = try await SharedServer.get()
        let created = try await DriveCommand.succeed(
            ["token", "create", "--data", server.data.path, "--account", account, "--create"] + arguments,
            environment: server.data.environment)
        return TestClient(base: server.base, token: created.line)
    }

    private func makeTask(_ kind: String, by client: TestClient) async throws -> TaskSummary {
        let reply = try await client.send(
            .POST, "/tasks", json: ["type": "Custom", "kind": .string(kind), "parameters": ["row_count": 1]])
        #expect(reply.status == 201, "\(reply)")
        return try reply.decode()
    }

    @Test func everyOtherRouteIsForbidden() async throws {
        let client = try await worker("worker-matrix", "--role", "admin", "--worker", "--all-accounts")
        for route in RouteMatrix.all where route.access != .everybody {
            let path = route.path(with: Dictionary(uniqueKeysWithValues: RouteMatrix.names.map { ($0, "x") }))
            let headers = route.headers + (route.body == nil ? [] : [("Content-Type", route.contentType)])
            let reply = try await client.send(route.method, path, headers: headers, body: route.body.map { Array($0.utf8) }).inHouseFormat
            if route.path.hasPrefix(RouteMatrix.workPrefix) {
                #expect([204, 409].contains(reply.status), "\(route): \(reply)")
            } else if route.method == .HEAD {
                #expect(reply.status == 403, "\(route)")
            } else {
                expectRefusal(reply, 403, "FORBIDDEN", comment: "\(route)")
                #expect(reply.error?.message == "A worker token is good for /tasks/work alone.", "\(route)")
            }
        }
    }

    @Test func itLeasesTasksOfItsKindsAndAccount() async throws {
        let owner = try await SharedServer.client("worker-owner")
        let stranger = try await SharedServer.client("worker-stranger")
        let kind = "resize-\(UUID().uuidString)"
        let task = try await makeTask(kind, by: owner)
        let client = try await worker("worker-owner", "--worker-kind", kind)
        let other = try await worker("worker-stranger", "--worker")
        let refused = try await client.send(.POST, "/tasks/work/lease", json: ["kinds": [.string(kind), "another"]])
        expectRefusal(refused, 403, "FORBIDDEN")
        #expect(refused.error?.details["rule"] == "workerToken")
        // Another account's worker finds nothing.
        #expect(try await other.send(.POST, "/tasks/work/lease", json: ["kinds": [.string(kind)]]).status == 204)
        #expect(try await stranger.send(.POST, "/tasks/work/lease", json: ["kinds": [.string(kind)]]).status == 204)
        let lease: TaskLease = try await client.send(
            .POST, "/tasks/work/lease", json: ["kinds": [.string(kind)], "worker": "w1", "waitSeconds": 10]
        ).decode()
        #expect(lease.task.taskId == task.taskId)
        #expect(lease.task.parameters == ["row_count": 1], "a Custom task's keys stay as they came")
        // Nor does it report on another's.
        let id = JSONValue.string(lease.leaseId)
        expectRefusal(try await other.send(.POST, "/tasks/work/complete", json: ["leaseId": id]), 409, "LEASE_LOST")
        let progress = try await client.send(.POST, "/tasks/work/progress", json: ["leaseId": id, "progress": 50])
        #expect(progress.status == 200 && progress.json == [:], "\(progress)")
        let done: TaskSummary = try await client.send(.POST, "/tasks/work/complete", json: ["leaseId": id, "results": ["a_b": 1]]).decode()
        #expect(done.status == .completed && done.results == ["a_b": 1])
        expectRefusal(try await client.send(.POST, "/tasks/work/heartbeat", json: ["leaseId": id]), 409, "LEASE_LOST")
    }

    @Test func anAdministratorsWorkerServesAllAccounts() async throws {
        let owner = try await SharedServer.client("worker-owner")
        let kind = "ocr-\(UUID().uuidString)"
        let task = try await makeTask(kind, by: owner)
        let admin = try await SharedServer.client("worker-admin", admin: true)
        // The administrator's own token leases the account's own tasks alone.
        #expect(try await admin.send(.POST, "/tasks/work/lease", json: ["kinds": [.string(kind)]]).status == 204)
        let created = try await admin.send(
            .POST, "/admin/tokens", json: ["name": "ocr", "worker": ["kinds": [.string(kind)], "allAccounts": true]])
        #expect(created.status == 201, "\(created)")
        #expect(created.json["record"]?["role"] == "worker")
        let client = admin.with(token: created.json["token"]?.string)
        let lease: TaskLease = try await client.send(
            .POST, "/tasks/work/lease", json: ["kinds": [.string(kind)], "waitSeconds": 10]
        ).decode()
        #expect(lease.task.taskId == task.taskId)
        #expect(try await client.send(.POST, "/tasks/work/release", json: ["leaseId": .string(lease.leaseId)]).status == 200)
        // Revoked, it is refused within a second.
        let id = try #require(created.json["record"]?["id"]?.string)
        #expect(try await admin.delete("/admin/tokens/\(id)").status == 204)
        try await eventually(within: .milliseconds(1100), "the token to be refused", every: .milliseconds(10)) {
            try await client.send(.POST, "/tasks/work/lease", json: ["kinds": [.string(kind)]]).error?.code == "TOKEN_REVOKED"
        }
    }

    @Test func whatIsAskedForIsChecked() async throws {
        let admin = try await SharedServer.client("worker-admin", admin: true)
        let user = try #require(try await SharedServer.client("worker-owner").token.flatMap { HandSignedToken($0)?.account })
        let account = JSONValue.string(user)
        expectRefusal(
            try await admin.send(.POST, "/admin/tokens", json: ["accountId": account, "worker": ["kinds": [], "allAccounts": true]]), 403,
            "FORBIDDEN")
        expectRefusal(try await admin.send(.POST, "/admin/tokens", json: ["accountId": account]), 400, "INVALID_REQUEST")
        expectRefusal(try await admin.send(.POST, "/admin/tokens", json: ["worker": ["kinds": [""]]]), 400, "INVALID_REQUEST")
        for body: JSONValue in [
            [:], ["kinds": []], ["kinds": ["a"], "waitSeconds": 31], ["kinds": ["a"], "waitSeconds": -1], ["kinds": ["a"], "worker": ""],
        ] {
            expectRefusal(try await admin.send(.POST, "/tasks/work/lease", json: body), 400, "INVALID_REQUEST", comment: "\(body)")
        }
        let server = try await SharedServer.get()
        let alone = try await DriveCommand.run(
            ["token", "create", "--data", server.data.path, "--account", "worker-owner", "--all-accounts"],
            environment: server.data.environment)
        #expect(alone.exit == .exited(64) && alone.errors.contains("--all-accounts"), "\(alone)")
    }
}
