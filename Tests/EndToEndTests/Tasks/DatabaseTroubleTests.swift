import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// PostgreSQL ends its connections, has none left, and goes away for a while, under a load of tasks.
@Suite(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"), .timeLimit(.minutes(2)))
struct DatabaseTroubleTests {
    private static let tasks = 160
    private static let makers = 4

    @Test func allTasksCompleteAndNoneTwice() async throws {
        try await PostgresTaskScene.with("database-trouble") { scene in
            let settings = [
                "DRIVE_FAULTS": "staging.copy:delay=100ms", "UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s", "DRIVE_BLOB_GRACE_PERIOD": "0s",
            ]
            let token = try await scene.data.token(account: "a")
            let admin = try await scene.data.token(account: "root", admin: true)
            let server = try await ServerProcess.start(scene.data, environment: settings)
            defer { server.kill() }
            let client = TestClient(base: server.base, token: token)
            let target = try await client.with(token: admin).makePool("target")
            var files: [StoredFile] = []
            for index in 0..<Self.tasks {
                let content = bytes(2000 + index, seed: UInt64(index))
                files.append(StoredFile(file: try await client.store(content), content: content))
            }

            let stored = files
            let made = try await withThrowingTaskGroup(of: [String].self) { group in
                for maker in 0..<Self.makers {
                    group.addTask {
                        var made: [String] = []
                        for index in stride(from: maker, to: Self.tasks, by: Self.makers) {
                            made.append(try await Self.make(stored[index], to: target, by: client))
                        }
                        return made
                    }
                }
                try await self.trouble(scene)
                return try await group.reduce(into: []) { $0 += $1 }
            }
            try await eventually(within: .seconds(40), "all tasks to be completed", every: .milliseconds(100)) {
                try await Self.completed(scene) == Self.tasks
            }
            #expect(Set(made).count == Self.tasks)
            #expect(try await client.get("/tasks?type=FileMove&status=Completed").header("X-Total") == "\(Self.tasks)")
            // The side effect of each: in its file's row, and in the audit trail by the same transaction.
            #expect(try await scene.query(WorkerCommandTests.movedTwice).isEmpty)
            #expect(try await scene.count("SELECT count(*) FROM audit_log WHERE action = 'file.move'") == Self.tasks)
            #expect(try await scene.count("SELECT count(*) FROM files WHERE pool_id = '\(target.text)'") == Self.tasks)
            for stored in files.shuffled().prefix(20) { try await client.expectContent(stored.content, of: client.file(stored.file.id)) }
            try await eventually(within: .seconds(20), "each content once", every: .milliseconds(100)) {
                scene.data.blobFiles.count == Self.tasks
            }
            #expect(try await server.terminate() == .exited(0))
            try await scene.data.expectClean()
        }
    }

    private static func completed(_ scene: PostgresTaskScene) async throws -> Int {
        try await scene.count("SELECT count(*) FROM tasks WHERE type = 'FileMove' AND status = 'Completed'")
    }

    /// Each time, the work goes on by itself within seconds.
    private func trouble(_ scene: PostgresTaskScene) async throws {
        var reached = 0
        func goesOn(_ what: String, by more: Int = 10, within limit: Duration = .seconds(15)) async throws {
            let wanted = min(Self.tasks, reached + more)
            try await eventually(within: limit, "the work to go on \(what)", every: .milliseconds(50)) {
                reached = try await Self.completed(scene)
                return reached >= wanted
            }
        }
        try await goesOn("at first")
        for _ in 0..<3 {
            try await scene.endConnections()
            try await goesOn("after its connections were ended", by: 5)
        }
        try #require(reached < Self.tasks - 20, "there is work left to be troubled")
        try await scene.limitConnections(0)
        try await scene.endConnections()
        try await Task.sleep(for: .seconds(1.5))
        try await scene.limitConnections(-1)
        try await goesOn("after there were no connections left", by: 10)
        try #require(reached < Self.tasks - 20, "there is work left to be troubled")
        scene.proxy.goDown()
        try await Task.sleep(for: .seconds(1.5))
        scene.proxy.comeBack()
        try await goesOn("after the database was away", by: 10)
    }

    /// Makes a task as a client does: again, with its key, until there is an answer.
    private static func make(_ stored: StoredFile, to target: Pool, by client: TestClient) async throws -> String {
        let request: JSONValue = [
            "type": "FileMove", "parameters": ["fileIds": [.string(stored.file.id)], "targetPoolId": .string(target.text)],
        ]
        let deadline = ContinuousClock.now + .seconds(40)
        while true {
            let reply = try await client.send(.POST, "/tasks", json: request, headers: [("Idempotency-Key", stored.file.id)])
            if [200, 201].contains(reply.status), let taskId = reply.json["taskId"]?.string { return taskId }
            guard [500, 503].contains(reply.status), ContinuousClock.now < deadline else {
                throw CommandFailed(description: "a task cannot be made: \(reply)")
            }
            #expect(reply.status == 503 && reply.error?.code == "DATABASE_UNAVAILABLE", "\(reply)")
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
