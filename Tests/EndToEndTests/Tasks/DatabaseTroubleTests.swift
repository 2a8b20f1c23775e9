import DriveModel
import Foundation
import TestSupport
import Testing

/// PostgreSQL ends its connections, has none left, and goes away for a while, under a load of tasks.
@Suite(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"), .timeLimit(.minutes(2)))
struct DatabaseTroubleTests {
    /// At first; then more come for as long as there is trouble.
    private static let tasks = 160
    private static let makers = 4
    /// Between two later requests of one maker: all of them make less than can be done.
    private static let pace = Duration.milliseconds(200)

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
            let persistent = PersistentClient(client: client)
            let isOver = Box<Bool>()
            let made = try await withThrowingTaskGroup(of: [Made].self) { group in
                for maker in 0..<Self.makers {
                    group.addTask {
                        var made: [Made] = []
                        for index in stride(from: maker, to: Self.tasks, by: Self.makers) {
                            made.append(Made(task: try await persistent.move(stored[index], to: target), file: stored[index]))
                        }
                        while isOver.current == nil {
                            let number = made.count * Self.makers + maker
                            let content = bytes(2000 + number, seed: UInt64(number))
                            let file = StoredFile(file: try await persistent.upload(content, number: number), content: content)
                            made.append(Made(task: try await persistent.move(file, to: target), file: file))
                            try await Task.sleep(for: Self.pace)
                        }
                        return made
                    }
                }
                try await self.trouble(scene)
                isOver.fill(true)
                return try await group.reduce(into: [Made]()) { $0 += $1 }
            }
            let count = made.count
            try await eventually(within: .seconds(40), "all tasks to be completed", every: .milliseconds(100)) {
                try await Self.completed(scene) == count
            }
            #expect(persistent.unexpected == [], "in between there was success, or 503")
            #expect(Set(made.map(\.task)).count == count)
            #expect(try await client.get("/tasks?type=FileMove&status=Completed").header("X-Total") == "\(count)")
            // The side effect of each: in its file's row, and in the audit trail by the same transaction.
            #expect(try await scene.query(WorkerCommandTests.movedTwice).isEmpty)
            #expect(try await scene.count("SELECT count(*) FROM audit_log WHERE action = 'file.move'") == count)
            #expect(try await scene.count("SELECT count(*) FROM files WHERE pool_id = '\(target.text)'") == count)
            for file in made.map(\.file).shuffled().prefix(20) {
                try await client.expectContent(file.content, of: client.file(file.file.id))
            }
            try await eventually(within: .seconds(20), "each content once", every: .milliseconds(100)) {
                scene.data.blobFiles.count == count
            }
            #expect(try await server.terminate() == .exited(0))
            try await scene.data.expectClean()
        }
    }

    private struct Made: Sendable {
        var task: String
        var file: StoredFile
    }

    private static func completed(_ scene: PostgresTaskScene) async throws -> Int {
        try await scene.count("SELECT count(*) FROM tasks WHERE type = 'FileMove' AND status = 'Completed'")
    }

    /// Each time, the work goes on by itself within seconds.
    private func trouble(_ scene: PostgresTaskScene) async throws {
        var reached = 0
        func goesOn(_ what: String, by more: Int = 10, within limit: Duration = .seconds(15)) async throws {
            let wanted = reached + more
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
        try await scene.limitConnections(0)
        try await scene.endConnections()
        try await Task.sleep(for: .seconds(1.5))
        try await scene.limitConnections(-1)
        try await goesOn("after there were no connections left", by: 10)
        scene.proxy.goDown()
        try await Task.sleep(for: .seconds(1.5))
        scene.proxy.comeBack()
        try await goesOn("after the database was away", by: 10)
    }
}
