import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// `drive worker` beside `drive serve`.
@Suite(.timeLimit(.minutes(2))) struct WorkerCommandTests {
    @Test func overSQLiteItIsRefused() async throws {
        let data = try DataFolder.make("worker-sqlite")
        defer { data.remove() }
        let result = try await DriveCommand.run(["worker", "--data", data.path], environment: data.environment, atMost: .seconds(20))
        #expect(result.exit == .exited(78), "configuration")
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("SQLite") && result.errors.contains("DATABASE_URL"), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: data.path + "/drive.db"), "nothing was made")
    }

    /// The server's own timetables come due while only a worker runs, which does not know their tasks: they stay the server's.
    @Test(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"))
    func aWorkerLeavesTheHousekeepingToTheServer() async throws {
        try await PostgresTaskScene.with("worker-housekeeping") { scene in
            let data = scene.data
            let token = try await data.token(account: "a")
            let first = try await ServerProcess.start(data, environment: Self.settings)
            defer { first.kill() }
            let client = TestClient(base: first.base, token: token)
            let file = try await client.store(bytes(5000))
            #expect(try await first.terminate() == .exited(0))
            let worker = try await WorkerProcess.start(data)
            // Twice the timetables' interval.
            try await Task.sleep(for: .seconds(2))
            let stranded = try await scene.query("SELECT kind FROM tasks WHERE queue LIKE 'custom:drive.%'")
            #expect(stranded == [], "in queues that nobody serves")
            let second = try await ServerProcess.start(data, environment: Self.settings)
            defer { second.kill() }
            #expect(try await TestClient(base: second.base, token: token).delete("/files/\(file.id)").status < 300)
            try await eventually(within: .seconds(10), "the blob to be collected beside the worker", every: .milliseconds(100)) {
                data.blobFiles.isEmpty
            }
            worker.send(SIGTERM)
            #expect(try await worker.waitForEnd() == .exited(0))
            #expect(try await second.terminate() == .exited(0))
        }
    }

    /// Files moved by one task, whose copies take long at a worker.
    private static let filesPerTask = 6
    private static let slow = ["DRIVE_FAULTS": "staging.copy:delay=600ms"]

    /// The lease's 30 s are waited for once, for two workers together: one is killed, the other stands still.
    @Test(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set"))
    func aLostWorkersTasksGoOnElsewhere() async throws {
        try await PostgresTaskScene.with("worker-lost") { scene in
            let data = scene.data
            let (token, files, tasks) = try await prepare(data)

            // A graceful stop gives the task back, and costs no attempt.
            let stopped = try await WorkerProcess.start(data, environment: Self.slow)
            let given = try await scene.task(heldBy: stopped)
            stopped.send(SIGTERM)
            #expect(try await stopped.waitForEnd() == .exited(0), "\(stopped.log.suffix(2000))")
            #expect(
                try await scene.count(
                    "SELECT count(*) FROM tasks WHERE task_id = '\(given)' AND status = 'Pending' AND attempt = 0 AND lease_owner IS NULL")
                    == 1)
            #expect(try await scene.count("SELECT count(*) FROM task_attempts") == 0)
            #expect(try await scene.count("SELECT count(*) FROM task_workers") == 0)

            let killed = try await WorkerProcess.start(data, environment: Self.slow)
            let first = try await scene.task(heldBy: killed)
            let frozen = try await WorkerProcess.start(data, environment: Self.slow)
            let second = try await scene.task(heldBy: frozen)
            try #require(first != second)
            let server = try await ServerProcess.start(data, environment: Self.settings)
            defer { server.kill() }
            let client = TestClient(base: server.base, token: token)
            let third = try #require(tasks.first { $0 != first && $0 != second })
            killed.kill()
            frozen.send(SIGSTOP)
            let lost = ContinuousClock.now
            // What nobody holds is the server's at once.
            try await client.ended(third, within: .seconds(10))
            for taskId in [first, second] {
                let task = try await client.ended(taskId, within: .seconds(48))
                #expect(ContinuousClock.now - lost < .seconds(45), "it runs again within 35 s, or a little later on a busy machine")
                expectMoved(task)
                let attempts = try await client.attempts(taskId)
                #expect(attempts.map(\.outcome) == [.lost] && attempts.first?.errorCode == "WORKER_LOST", "\(attempts)")
            }

            // Awake again, it learns that it was taken for lost; nothing of what it did since is written.
            let before = try await client.task(second)
            frozen.send(SIGCONT)
            try await frozen.logged("this worker was taken for lost")
            // It is on record again, and works on.
            let more = try await client.makeTask(Self.move(files[0], to: try await client.pool("source")))
            try await client.ended(more.taskId)
            frozen.send(SIGTERM)
            #expect(try await frozen.waitForEnd() == .exited(0), "\(frozen.log.suffix(2000))")
            #expect(try await client.task(second) == before, "a late result is not written")
            #expect(try await client.attempts(second).count == 1)

            for stored in files.joined() { try await client.expectContent(stored.content, of: client.file(stored.file.id)) }
            // By the server's housekeeping, whose timetable is not the workers'.
            try await eventually(within: .seconds(15), "each content once", every: .milliseconds(100)) {
                data.blobFiles.count == 3 * Self.filesPerTask
            }
            #expect(try await scene.query(Self.movedTwice).isEmpty)
            #expect(try await server.terminate() == .exited(0))
            try await data.expectClean()
        }
    }

    private static let settings = ["UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s", "DRIVE_BLOB_GRACE_PERIOD": "0s"]

    /// Files that a task moved more than once.
    static let movedTwice =
        "SELECT request_id, object_id FROM audit_log WHERE action = 'file.move' GROUP BY request_id, object_id HAVING count(*) > 1"

    private static func move(_ files: [StoredFile], to pool: Pool, at time: Timestamp? = nil) -> JSONValue {
        var request: [String: JSONValue] = [
            "type": "FileMove", "parameters": ["fileIds": files.ids, "targetPoolId": .string(pool.text)],
        ]
        request["runAt"] = time.map { .string($0.description) }
        return .object(request)
    }

    /// It went on where the one before it was: nothing that was moved was looked at again.
    private func expectMoved(_ task: TaskSummary, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(
            task.results["movedFiles"] == .integer(Int64(Self.filesPerTask)) && task.results["skippedFiles"] == 0
                && task.results["copiedBytes"] == task.results["totalBytes"], "\(task)", sourceLocation: sourceLocation)
    }

    /// Three moves that become due when no server runs that could take them.
    private func prepare(_ data: DataFolder) async throws -> (token: String, files: [[StoredFile]], tasks: [String]) {
        let server = try await ServerProcess.start(data, environment: Self.settings)
        defer { server.kill() }
        let admin = TestClient(base: server.base, token: try await data.token(account: "root", admin: true))
        let token = try await data.token(account: "a")
        let client = TestClient(base: server.base, token: token)
        let (source, target) = (try await admin.makePool("source"), try await admin.makePool("target"))
        var files: [[StoredFile]] = []
        for task in 0..<3 {
            var group: [StoredFile] = []
            for index in 0..<Self.filesPerTask {
                let content = bytes(30_000 + index, seed: UInt64(task * 100 + index))
                group.append(StoredFile(file: try await client.store(content, query: "&poolId=\(source.text)"), content: content))
            }
            files.append(group)
        }
        let time = Surroundings.system.now() + .seconds(3)
        var tasks: [String] = []
        for group in files { tasks.append(try await client.makeTask(Self.move(group, to: target, at: time)).taskId) }
        #expect(try await server.terminate() == .exited(0))
        return (token, files, tasks)
    }
}

extension TestClient {
    fileprivate func pool(_ name: String) async throws -> Pool {
        try #require(try await get("/pools").decode([Pool].self).first { $0.name == name })
    }
}
