import DriveModel
import Foundation
import NIOHTTP1
import TestSupport

/// A few clients that do everything a server can be killed at, and write down each acknowledgement.
struct CrashWorkload: Sendable {
    let client: TestClient
    let port: Int
    let plan: CrashPlan
    let ledger: CrashLedger
    /// nil: without tasks.
    let tasks: CrashTasksScene?

    /// Ends with the server, or after all rounds.
    func run(rounds: Int) async {
        await withTaskGroup(of: Void.self) { group in
            let tus = CrashTusClient(tus: TusClient(port: port, drive: client), plan: plan, ledger: ledger)
            let resumable = CrashResumableClient(client: client, port: port, plan: plan, ledger: ledger)
            var jobs: [@Sendable (UInt64) async throws -> Void] = [
                { try await inOrder($0) }, { try await oneRequest($0) }, { try await tus.work($0) }, { try await resumable.work($0) },
                { try await plan.isStreaming ? tus.work($0) : outOfOrder($0) },
                { try await plan.isStreaming ? resumable.work($0) : leftOpen($0) },
            ]
            if let tasks { jobs += taskJobs(tasks) }
            if plan.isSlow { group.addTask { try? await resumable.workSlowly(plan.seed &* 1000 &+ 9) } }
            for (index, job) in jobs.enumerated() {
                group.addTask {
                    for round in 0..<UInt64(rounds) {
                        // A broken connection is the death that is waited for.
                        do { try await job(plan.seed &* 1000 &+ round &* 10 &+ UInt64(index)) } catch { return }
                    }
                }
            }
        }
    }

    private func taskJobs(_ scene: CrashTasksScene) -> [@Sendable (UInt64) async throws -> Void] {
        let caller = CrashTasksCaller(client: client, ledger: ledger)
        let files = CrashTasksClient(caller: caller, plan: plan, scene: scene)
        let worker = CrashTasksWorker(caller: caller)
        let admin = CrashTasksCaller(client: client.with(token: scene.adminToken), ledger: ledger)
        let migrator = CrashTasksMigrator(caller: admin, plan: plan, scene: scene)
        return [{ try await files.work($0) }, { try await files.work($0) }, { try await worker.work($0) }, { try await migrator.work($0) }]
    }

    private func begin(_ content: [UInt8], announced: Bool) async throws -> OpenUpload {
        let reply = try await client.create(
            "crash.bin", size: content.count, chunkSize: plan.chunkSize, hash: announced ? sha256(content) : nil)
        try ledger.expect(reply, "create", 200)
        guard let created = try? JSONDecoder().decode(CreateUploadReply.self, from: Data(reply.body)), let taskId = created.taskId else {
            throw ledger.unexpected("create: \(reply)")
        }
        let upload = OpenUpload(
            taskId: taskId, plan: ChunkPlan(fileSize: Int64(content.count), chunkSize: Int64(plan.chunkSize)), bytes: content,
            sessionToken: "")
        ledger.change { $0.uploads[taskId] = CrashLedger.Upload(open: upload) }
        return upload
    }

    private func send(_ index: Int, of upload: OpenUpload, as form: ChunkForm) async throws {
        let reply = try await client.sendChunk(index, of: upload, as: form)
        try ledger.expect(reply, "chunk", 200, 409)
        ledger.note(upload.taskId) { $0.acknowledged.insert(index) }
    }

    private func complete(_ upload: OpenUpload) async throws {
        let reply = try await client.complete(upload.taskId)
        try ledger.expect(reply, "complete", 200)
        guard let file = try? JSONDecoder().decode(CloudFile.self, from: Data(reply.body)) else {
            throw ledger.unexpected("complete: \(reply)")
        }
        ledger.note(upload.taskId) { $0.completed = file }
        ledger.change { $0.files[file.id] = CrashLedger.Stored(file: file, bytes: upload.bytes) }
    }

    private func inOrder(_ seed: UInt64) async throws {
        let upload = try await begin(bytes(3 * plan.chunkSize + Int(seed % 1000), seed: seed), announced: false)
        for index in upload.indexes { try await send(index, of: upload, as: .raw) }
        try await complete(upload)
    }

    private func outOfOrder(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let upload = try await begin(bytes(4 * plan.chunkSize + 1, seed: seed), announced: true)
        let order = upload.indexes.shuffled(using: &generator)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for half in [order.prefix(2), order.dropFirst(2)] {
                group.addTask { for index in half { try await send(index, of: upload, as: .multipart) } }
            }
            try await group.waitForAll()
        }
        try await complete(upload)
    }

    /// By turns new content and content that is there, so that blobs are shared; every second file is deleted.
    private func oneRequest(_ seed: UInt64) async throws {
        for index in 0..<4 as Range<UInt64> {
            // A file that grows by its writes; one of them is large enough to go around the cache.
            let size = plan.isDirect && index == 0 ? 300_000 : 20_000
            let content = bytes(size, seed: seed &+ (index == 3 ? 2 : index) &* 7)
            let reply = try await client.direct(content, name: "direct.bin")
            try ledger.expect(reply, "direct", 200)
            guard let file = try? JSONDecoder().decode(CloudFile.self, from: Data(reply.body)) else {
                throw ledger.unexpected("direct: \(reply)")
            }
            ledger.change { $0.files[file.id] = CrashLedger.Stored(file: file, bytes: content) }
            guard index % 2 == 1 else { continue }
            ledger.change { $0.files[file.id]?.deleteAsked = true }
            try ledger.expect(try await client.delete("/files/\(file.id)"), "delete", 200, 204)
            ledger.change { $0.files[file.id]?.deleted = true }
        }
    }

    /// One upload cancelled half-way, one left for after the restart.
    private func leftOpen(_ seed: UInt64) async throws {
        let cancelled = try await begin(bytes(2 * plan.chunkSize, seed: seed), announced: false)
        try await send(1, of: cancelled, as: .raw)
        ledger.note(cancelled.taskId) { $0.cancelAsked = true }
        try ledger.expect(try await client.delete("/files/upload/task/\(cancelled.taskId)"), "cancel", 200, 204)
        ledger.note(cancelled.taskId) { $0.cancelled = true }
        let open = try await begin(bytes(5 * plan.chunkSize, seed: seed &+ 1), announced: true)
        for index in [0, 3, 1] { try await send(index, of: open, as: seed % 2 == 0 ? .raw : .multipart) }
    }
}
