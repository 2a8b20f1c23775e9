import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// The main job over PostgreSQL, where there is one to test with (`scripts/with-postgres`).
@Suite(.enabled(if: PostgresSchema.server != nil, "DRIVE_TEST_POSTGRES_URL is not set")) struct PostgresTests {
    @Test func filesGoUpAndComeDown() async throws {
        try await withPostgres("pg-path") { server, client in
            for (index, form) in [ChunkForm.raw, .multipart].enumerated() {
                let content = bytes(7 * 65_536 + 3, seed: UInt64(index))
                let upload = try await client.begin(content, hash: sha256(content))
                try await client.sendChunks(upload.indexes.shuffled(), of: upload, as: form)
                try await client.expectContent(content, of: client.finish(upload.taskId))
            }
            let file = try await client.store(bytes(1000))
            try await client.expectContent(bytes(1000), of: file)
            let duplicate: CreateUploadReply = try await client.create(size: 1000, hash: file.hash).decode()
            #expect(duplicate.fileExists)
            let first: CreateUploadReply = try await client.create(size: 1, idempotencyKey: "k").decode()
            let second: CreateUploadReply = try await client.create(size: 1, idempotencyKey: "k").decode()
            #expect(first.taskId == second.taskId)
            let named: CloudFile = try await client.send(
                .PATCH, "/files/\(file.id)", json: ["name": "Ünï.txt", "userMeta": ["a_b": [1, true, .null]]]
            ).decode()
            #expect(named.userMeta == ["a_b": [1, true, .null]])
            #expect(try await client.get("/files/me?query=%C3%BCn%C3%AF").status == 200)
            #expect(try await client.get("/files/me?sortBy=size&limit=1").header("X-Total") == "3")
            let stats: UploadStatistics = try await client.get("/files/upload/stats").decode()
            #expect(stats.inProgressTasks == 1)
            let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b"]).decode()
            let moved = try await client.send(.PATCH, "/files/\(file.id)", json: ["bundleId": .string(bundle.id.uuidString)])
            #expect(moved.status == 200)
            let deleted = try await client.delete("/files/\(file.id)")
            #expect((200..<300).contains(deleted.status))
            #expect(try await client.quota().usedBytes == 2 * (7 * 65_536 + 3))
            _ = server
        }
    }

    @Test func racesHaveOneOutcome() async throws {
        try await withPostgres("pg-race") { _, client in
            let upload = try await client.begin(bytes(2 * 65_536))
            for index in upload.indexes {
                let replies = try await together(32) { _ in try await client.sendChunk(index, of: upload) }
                #expect(replies.count { $0.status == 200 } == 1)
                #expect(replies.allSatisfy { [200, 409].contains($0.status) })
            }
            let completes = try await together(32) { _ in try await client.complete(upload.taskId) }
            #expect(completes.allSatisfy { $0.status == 200 })
            #expect(Set(completes.map(\.body)).count == 1)

            // The same content from many at once: one blob, one reference each.
            let files = try await together(16) { _ in try await client.store(bytes(3000)) }
            #expect(Set(files.map(\.id)).count == 16)
            for round in 0..<10 {
                let upload = try await client.begin(bytes(65_536, seed: UInt64(100 + round)))
                try await client.sendChunks(upload.indexes, of: upload)
                async let complete = client.complete(upload.taskId)
                async let cancel = client.delete("/files/upload/task/\(upload.taskId)")
                let (completed, cancelled) = try await (complete, cancel)
                #expect((completed.status == 200) != (200..<300).contains(cancelled.status), "\(completed) \(cancelled)")
            }
            #expect(try await client.quota().reservedBytes == 0)
        }
    }

    @Test func quotaHoldsAtOnce() async throws {
        try await withPostgres("pg-quota") { server, client in
            try await server.data.drive("account", "quota", "a", "\(10 * 1000)")
            let replies = try await together(50) { index in
                index % 2 == 0 ? try await client.create(size: 1000) : try await client.direct(bytes(1000, seed: UInt64(index)))
            }
            #expect(replies.count { $0.status == 200 } == 10)
            for reply in replies where reply.status != 200 { expectRefusal(reply, 403, "QUOTA_EXCEEDED") }
            let quota = try await client.quota()
            #expect(quota.usedBytes + quota.reservedBytes == 10_000)
        }
    }

    @Test func aKilledServerLosesNothingAcknowledged() async throws {
        let schema = try await PostgresSchema.make()
        let data = try DataFolder.make("pg-kill", environment: ["DATABASE_URL": schema.url])
        defer { data.remove() }
        try await Slots.servers.with {
            let token = try await data.token(account: "a")
            let content = bytes(6 * 65_536)
            let first = try await ServerProcess.start(data)
            defer { first.kill() }
            let client = TestClient(base: first.base, token: token)
            let upload = try await client.begin(content)
            try await client.sendChunks([0, 3, 4], of: upload)
            let file = try await client.store(bytes(100))
            first.kill()
            _ = try await first.waitForEnd()
            let second = try await ServerProcess.start(data)
            defer { second.kill() }
            let again = TestClient(base: second.base, token: token)
            try await again.expectContent(bytes(100), of: file)
            let resume: ResumeInformation = try await again.get("/files/upload/resume/\(upload.taskId)").decode()
            #expect(resume.uploadedChunks == [0, 3, 4])
            try await again.sendChunks([1, 2, 5], of: upload)
            try await again.expectContent(content, of: again.finish(upload.taskId))
            #expect(try await second.terminate() == .exited(0))
            try await data.expectClean()
        }
        await schema.drop()
    }

    private func withPostgres(
        _ name: String, _ body: @escaping @Sendable (ServerProcess, TestClient) async throws -> Void
    ) async throws {
        let schema = try await PostgresSchema.make()
        let data = try DataFolder.make(name, environment: ["DATABASE_URL": schema.url])
        defer { data.remove() }
        try await withServer(name, data: data) { server in
            try await body(server, TestClient(base: server.base, token: try await data.token(account: "a")))
        }
        await schema.drop()
    }
}

/// A schema of its own for one test.
struct PostgresSchema: Sendable {
    /// The test server's address; nil: none.
    static let server = ProcessInfo.processInfo.environment["DRIVE_TEST_POSTGRES_URL"].flatMap { $0.isEmpty ? nil : $0 }

    let name: String
    let url: String

    static func make() async throws -> PostgresSchema {
        let server = try #require(server)
        let name = "e2e_" + UUID().uuidString.lowercased().replacing("-", with: "")
        let result = try await DriveCommand.run(["-X", "-q", "-c", "CREATE SCHEMA \(name)", server], program: "psql")
        guard result.exit == .exited(0) else { throw CommandFailed(description: "psql: \(result.exit) \(result.errors)") }
        return PostgresSchema(name: name, url: server + (server.contains("?") ? "&" : "?") + "options=-csearch_path%3D\(name)")
    }

    func drop() async {
        guard let server = Self.server else { return }
        _ = try? await DriveCommand.run(["-X", "-q", "-c", "DROP SCHEMA \(name) CASCADE", server], program: "psql")
    }
}
