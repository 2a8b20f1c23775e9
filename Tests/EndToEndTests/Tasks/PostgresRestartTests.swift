import DriveModel
import Foundation
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

/// PostgreSQL crashes and comes back twice while files come in and tasks move them.
@Suite(.enabled(if: PrivatePostgres.programs != nil, "there is no PostgreSQL to start here"), .timeLimit(.minutes(3)))
struct PostgresRestartTests {
    private static let moves = 120
    /// Between two requests of one maker, so that the stream lasts over both crashes.
    private static let pace = Duration.milliseconds(50)

    @Test func nothingIsLostAndNothingHappensTwice() async throws {
        try await Slots.servers.with {
            try await PrivatePostgres.with { postgres in
                let data = try DataFolder.make("postgres-restart", environment: ["DATABASE_URL": postgres.url])
                defer { data.remove() }
                let token = try await data.token(account: "a")
                let admin = try await data.token(account: "root", admin: true)
                let settings = [
                    "DRIVE_FAULTS": "staging.copy:delay=100ms", "UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s", "DRIVE_BLOB_GRACE_PERIOD": "0s",
                ]
                let server = try await ServerProcess.start(data, environment: settings)
                defer { server.kill() }
                do {
                    try await run(postgres, server, TestClient(base: server.base, token: token), admin: admin)
                } catch {
                    Issue.record("\(error)\nthe server's log ends with:\n\(server.log.suffix(4000))")
                    throw error
                }
                #expect(server.ended == nil, "the server lived through it: \(server.log.suffix(2000))")
                #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
                try await data.expectClean()
            }
        }
    }

    private func run(_ postgres: PrivatePostgres, _ server: ServerProcess, _ client: TestClient, admin: String) async throws {
        let target = try await client.with(token: admin).makePool("target")
        var files: [StoredFile] = []
        for index in 0..<Self.moves {
            let content = bytes(2000 + index, seed: UInt64(index))
            files.append(StoredFile(file: try await client.store(content), content: content))
        }
        let stored = files
        let persistent = PersistentClient(client: client)
        let areOver = Box<Bool>()
        let made = try await withThrowingTaskGroup(of: Made.self) { group in
            for maker in 0..<2 {
                group.addTask {
                    var made = Made()
                    for index in stride(from: maker, to: Self.moves, by: 2) {
                        made.tasks.append(try await persistent.move(stored[index], to: target))
                        try await Task.sleep(for: Self.pace)
                    }
                    return made
                }
                group.addTask {
                    var made = Made()
                    while areOver.current == nil {
                        let number = made.files.count * 2 + maker
                        let content = bytes(7000 + number, seed: UInt64(1000 + number))
                        made.files.append(StoredFile(file: try await persistent.upload(content, number: number), content: content))
                        try await Task.sleep(for: Self.pace)
                    }
                    return made
                }
            }
            for crash in 1...2 {
                let before = try await persistent.waitForCompleted(crash * Self.moves / 6)
                try #require(before < Self.moves - 20, "there is work left to be troubled")
                try await postgres.crashAndStart()
                try await persistent.waitForCompleted(before + 5)
            }
            areOver.fill(true)
            return try await group.reduce(into: Made()) { all, made in
                all.tasks += made.tasks
                all.files += made.files
            }
        }
        try await persistent.waitForCompleted(Self.moves)
        #expect(persistent.unexpected == [], "in between there was success, or 503")

        #expect(Set(made.tasks).count == Self.moves)
        try await expectOnce(postgres, Set(made.tasks))
        #expect(try await postgres.count("SELECT count(*) FROM files WHERE pool_id = '\(target.text)'") == Self.moves)
        let all = stored + made.files
        #expect(try await postgres.count("SELECT count(*) FROM files") == all.count, "no upload made a second file")
        for file in all { try await client.expectContent(file.content, of: client.file(file.file.id)) }
        let data = server.data
        try await eventually(within: .seconds(30), "each content once", every: .milliseconds(100)) {
            data.blobFiles.count == all.count
        }
    }

    private struct Made: Sendable {
        var tasks: [String] = []
        var files: [StoredFile] = []
    }

    /// Each accepted task is Completed, has moved its file once, and was told of once.
    private func expectOnce(_ postgres: PrivatePostgres, _ accepted: Set<String>) async throws {
        let completed = try await postgres.query("SELECT task_id FROM tasks WHERE type = 'FileMove' AND status = 'Completed'")
        #expect(Set(completed) == accepted)
        #expect(try await postgres.count("SELECT count(*) FROM tasks WHERE type = 'FileMove'") == Self.moves, "none besides")
        let told = try await postgres.query(
            "SELECT task_id FROM events WHERE type = 'task.completed' AND data->>'type' = 'FileMove'")
        #expect(told.count == Self.moves && Set(told) == accepted, "one event each")
        #expect(try await postgres.query(WorkerCommandTests.movedTwice).isEmpty)
        #expect(try await postgres.count("SELECT count(*) FROM audit_log WHERE action = 'file.move'") == Self.moves)
    }
}

/// Repeats what a database that is away refuses, with its key, as a client does, and keeps every other refusal.
final class PersistentClient: Sendable {
    private let client: TestClient
    private let refusals = Mutex<[String]>([])

    init(client: TestClient) {
        self.client = client
    }

    /// What was neither success nor a 503 of the database.
    var unexpected: [String] { refusals.withLock { $0 } }

    func move(_ stored: StoredFile, to target: Pool) async throws -> String {
        let request: JSONValue = [
            "type": "FileMove", "parameters": ["fileIds": [.string(stored.file.id)], "targetPoolId": .string(target.text)],
        ]
        let client = client
        let reply = try await insist {
            try await client.send(.POST, "/tasks", json: request, headers: [("Idempotency-Key", "move-\(stored.file.id)")])
        }
        return try #require(reply.json["taskId"]?.string, "\(reply)")
    }

    func upload(_ content: [UInt8], number: Int) async throws -> CloudFile {
        let client = client
        return try await insist { try await client.direct(content, headers: [("Idempotency-Key", "upload-\(number)")]) }.decode()
    }

    /// Waits until so many moves are Completed, by the API; returns how many are.
    @discardableResult
    func waitForCompleted(_ wanted: Int) async throws -> Int {
        var reached = 0
        let client = client
        try await eventually(within: .seconds(45), "\(wanted) tasks to be completed", every: .milliseconds(50)) {
            let reply = try await insist { try await client.get("/tasks?type=FileMove&status=Completed&limit=1") }
            reached = Int(reply.header("X-Total") ?? "") ?? 0
            return reached >= wanted
        }
        return reached
    }

    private func insist(_ send: () async throws -> Reply) async throws -> Reply {
        let deadline = ContinuousClock.now + .seconds(40)
        while true {
            let reply = try await send()
            if [200, 201].contains(reply.status) { return reply }
            if reply.status != 503 || reply.error?.code != "DATABASE_UNAVAILABLE" { refusals.withLock { $0.append("\(reply)") } }
            guard ContinuousClock.now < deadline, [409, 500, 503].contains(reply.status) else {
                throw CommandFailed(description: "refused for too long, or for good: \(reply)")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
