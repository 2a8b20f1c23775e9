import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// A disk that fills up or fails: a clear refusal, nothing half-published, reads go on, and no restart is needed.
@Suite struct StorageFaultTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        var rule: String
        /// The first refusal's status and code.
        var status: Int
        var code: String
        /// Whether the upload under way is lost; otherwise the same call again succeeds.
        var losesUpload = false
        var testDescription: String { rule }
    }

    /// Hits are counted from the server's start; the workload's first steps are the same each time.
    static let faults: [Fault] = [
        Fault(rule: "staging.preallocate:errno=ENOSPC@1..2", status: 507, code: "STORAGE_FULL"),
        Fault(rule: "staging.preallocate:errno=EDQUOT@1", status: 507, code: "STORAGE_FULL"),
        Fault(rule: "chunk.write.before:errno=ENOSPC@1..2", status: 507, code: "STORAGE_FULL"),
        Fault(rule: "chunk.write.before:short@1", status: 507, code: "STORAGE_FULL"),
        Fault(rule: "chunk.write.before:short@2", status: 507, code: "STORAGE_FULL"),
        Fault(rule: "chunk.write.before:errno=EIO@2", status: 503, code: "STORAGE_FAILED"),
        Fault(rule: "file.open:errno=EMFILE@1", status: 503, code: "STORAGE_FAILED"),
        Fault(rule: "file.fsync.before:errno=EIO@1", status: 503, code: "STORAGE_FAILED", losesUpload: true),
        Fault(rule: "file.fsync.before:errno=ENOSPC@1", status: 507, code: "STORAGE_FULL", losesUpload: true),
        Fault(rule: "blob.rename.before:errno=EIO@1", status: 503, code: "STORAGE_FAILED"),
        Fault(rule: "blob.rename.before:errno=ENOSPC@1", status: 507, code: "STORAGE_FULL"),
        Fault(rule: "directory.fsync.before:errno=EIO@1", status: 503, code: "STORAGE_FAILED"),
        Fault(rule: "directory.fsync.before:errno=EIO@2", status: 503, code: "STORAGE_FAILED"),
    ]

    @Test(arguments: faults) func isToldAndOvercome(_ fault: Fault) async throws {
        let data = try DataFolder.make("fault")
        defer { data.remove() }
        let token = try await data.token(account: "a")
        let kept = bytes(5000, seed: 99)
        // Something to read, stored before there were faults.
        let file = try await withServer("fault", data: data, checks: false) { server in
            try await TestClient(base: server.base, token: token).store(kept)
        }
        try await withServer("fault", environment: ["DRIVE_FAULTS": fault.rule], data: data) { server in
            let client = TestClient(base: server.base, token: token)
            let content = bytes(3 * 65_536 + 1)
            var refusals: [Reply] = []

            /// Calls again until it is taken; reads the old file at each refusal.
            @Sendable func persist(_ call: () async throws -> Reply) async throws -> (Reply, [Reply]) {
                var refused: [Reply] = []
                while true {
                    let reply = try await call()
                    guard reply.status >= 500, refused.count < 5 else { return (reply, refused) }
                    refused.append(reply)
                    // `file.open` itself may be what fails.
                    if !fault.rule.hasPrefix("file.open") { try await client.expectContent(kept, of: file) }
                }
            }

            let (created, refusedCreates) = try await persist { try await client.create(size: content.count) }
            refusals += refusedCreates
            let upload = OpenUpload(
                taskId: try #require(try created.decode(CreateUploadReply.self).taskId),
                plan: ChunkPlan(fileSize: Int64(content.count), chunkSize: 65_536), bytes: content, sessionToken: "")
            for index in upload.indexes {
                let (reply, refused) = try await persist { try await client.sendChunk(index, of: upload) }
                #expect(reply.status == 200, "chunk \(index): \(reply)")
                refusals += refused
            }
            let (completed, refusedCompletes) = try await persist { try await client.complete(upload.taskId) }
            refusals += refusedCompletes
            let first = try #require(refusals.first, "the fault was never met")
            expectRefusal(first, fault.status, fault.code)
            if fault.losesUpload {
                // These bytes are not trusted any more; a new upload is.
                #expect(completed.status == 409, "\(completed)")
                #expect(try await client.progress(upload.taskId).status == .failed)
                try await client.expectContent(content, of: client.upload(content))
            } else {
                try #require(completed.status == 200, "\(completed)")
                try await client.expectContent(content, of: completed.decode())
            }
            let quota = try await client.quota()
            #expect(quota.usedBytes == Int64(kept.count + content.count))
            #expect(quota.reservedBytes == 0)
            #expect(try await client.get("/files/me").header("X-Total") == "2")
        }
    }

    @Test(
        arguments: [
            "staging.preallocate:errno=ENOSPC@1", "chunk.write.before:errno=ENOSPC@1", "chunk.write.before:short@1",
            "file.fsync.before:errno=EIO@1", "blob.rename.before:errno=EIO@1", "directory.fsync.before:errno=EIO@1",
            "directory.fsync.before:errno=EIO@2",
            // Behind the commits of the start itself; three, as some may be what follows an upload and not its own. Apart, so that
            // what undoes an upload comes through.
            "database.commit.before:errno=EIO@17;database.commit.before:errno=EIO@19;database.commit.before:errno=EIO@21",
            "database.commit.before:errno=ENOSPC@18;database.commit.before:errno=ENOSPC@20;database.commit.before:errno=ENOSPC@22",
        ]) func oneRequestUploadsLeaveNothing(_ rule: String) async throws
    {
        try await withServer("fault-direct", environment: ["DRIVE_FAULTS": rule]) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            var stored = 0
            for round in 0..<6 as Range<UInt64> {
                // Content of its own each time: a duplicate's commit is housekeeping, whose failure nobody sees.
                let reply = try await client.direct(bytes(100_000, seed: round))
                if reply.status == 200 { stored += 1 } else { expectRefusal(reply, [503, 507]) }
            }
            let least = rule.hasPrefix("database") ? 3 : 4
            #expect((least...5).contains(stored), "met once, overcome at once: \(stored) of 6")
            #expect(try await client.get("/files/me").header("X-Total") == "\(stored)")
            let quota = try await client.quota()
            #expect(quota.usedBytes == Int64(stored * 100_000))
            #expect(quota.reservedBytes == 0)
        }
    }

    /// A database that cannot commit refuses, and nothing that was refused is there.
    @Test(arguments: [1, 2, 3, 4, 5]) func aFailingCommitIsARefusal(_ step: Int) async throws {
        let data = try DataFolder.make("fault-commit")
        defer { data.remove() }
        let token = try await data.token(account: "a")
        // The commits of the start itself are let through: they are few, and how many does not matter here. Three, as some may be
        // what nobody waits for.
        let rule = "database.commit.before:errno=EIO@\(step * 5 + 4)..\(step * 5 + 6)"
        try await withServer("fault-commit", environment: ["DRIVE_FAULTS": rule], data: data) { server in
            let client = TestClient(base: server.base, token: token)
            var files = 0
            var refusals = 0
            for round in 0..<6 {
                let content = bytes(2 * 65_536, seed: UInt64(round))
                var taskId: String?
                for _ in 1...4 where taskId == nil {
                    let reply = try await client.create(size: content.count)
                    if reply.status == 200 { taskId = try reply.decode(CreateUploadReply.self).taskId } else { refusals += 1 }
                }
                let upload = OpenUpload(
                    taskId: try #require(taskId), plan: ChunkPlan(fileSize: Int64(content.count), chunkSize: 65_536), bytes: content,
                    sessionToken: "")
                for index in upload.indexes {
                    var reply = try await client.sendChunk(index, of: upload)
                    for _ in 1...3 where reply.status != 200 {
                        expectRefusal(reply, 503)
                        refusals += 1
                        reply = try await client.sendChunk(index, of: upload)
                    }
                    #expect(reply.status == 200, "\(reply)")
                }
                var reply = try await client.complete(upload.taskId)
                for _ in 1...3 where reply.status != 200 {
                    expectRefusal(reply, 503)
                    refusals += 1
                    reply = try await client.complete(upload.taskId)
                }
                try #require(reply.status == 200, "\(reply)")
                files += 1
                try await client.expectContent(content, of: reply.decode())
            }
            #expect(refusals > 0, "the fault was never met")
            #expect(try await client.get("/files/me").header("X-Total") == "\(files)")
            #expect(try await client.quota().reservedBytes == 0)
        }
    }

    /// A slow disk makes nobody wait who does not need it.
    @Test func aDelayedFlushHoldsUpItsOwnUploadAlone() async throws {
        try await withServer("fault-delay", environment: ["DRIVE_FAULTS": "file.fsync.before:delay=3000ms"]) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let upload = try await client.begin(bytes(65_536))
            try await client.sendChunks([0], of: upload)
            let start = ContinuousClock.now
            async let completed = client.finish(upload.taskId)
            for _ in 1...5 { #expect(try await client.get("/files/me").status == 200) }
            #expect(ContinuousClock.now - start < .milliseconds(2900))
            let file = try await completed
            #expect(ContinuousClock.now - start >= .milliseconds(3000), "complete waits for the flush")
            try await client.expectContent(upload.bytes, of: file)
        }
    }
}
