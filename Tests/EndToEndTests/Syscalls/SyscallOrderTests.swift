import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// The promised order, as the kernel saw it: data flush, rename, folder flush, database flush, reply.
@Suite struct SyscallOrderTests {
    private static let calls =
        "pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,fdatasync,fsync,rename,renameat,renameat2,"
        + "pread64,preadv,read,copy_file_range,sendfile,splice"

    /// Runs a server under strace and gives what `body` returns with the trace.
    private func traced<Result: Sendable>(
        _ name: String, _ body: @escaping @Sendable (TestClient) async throws -> Result
    ) async throws -> (Result, SyscallTrace) {
        let data = try DataFolder.make(name)
        defer { data.remove() }
        return try await Slots.servers.with {
            let token = try await data.token(account: "a")
            let path = (data.path as NSString).deletingLastPathComponent + "/trace"
            // strace comes with the distribution (scripts/prepare); without it this is a failure and no skip.
            let server = try await ServerProcess.start(
                data, wrapper: ["strace", "-f", "-yy", "-s", "4096", "-o", path, "-e", "trace=\(Self.calls)"], readyWithin: .seconds(60))
            defer { server.kill() }
            let result = try await body(TestClient(base: server.base, token: token))
            // strace waits for its child, so the signal goes to the child.
            let children = DriveCommand.text("/proc/\(server.pid)/task/\(server.pid)/children").split(separator: " ").compactMap {
                pid_t($0)
            }
            let child = try #require(children.first, "strace runs no server")
            kill(child, SIGTERM)
            #expect(try await server.waitForEnd() == .exited(0))
            return (result, SyscallTrace(DriveCommand.text(path)))
        }
    }

    private func isFlush(_ call: SyscallTrace.Call) -> Bool {
        (call.name == "fdatasync" || call.name == "fsync") && call.result.hasPrefix("0")
    }

    private func isRename(_ call: SyscallTrace.Call) -> Bool { call.name.hasPrefix("rename") && call.result.hasPrefix("0") }

    private func isSocketWrite(_ call: SyscallTrace.Call) -> Bool {
        ["write", "writev", "sendto", "sendmsg"].contains(call.name) && call.arguments.contains("<TCP")
    }

    /// Expects flush → rename → folder flush → database flush → reply around the rename of one staging file.
    private func expectOrder(
        of staging: String, reply marker: String, in trace: SyscallTrace, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let rename = try #require(
            trace.first { isRename($0) && $0.arguments.contains("staging/\(staging)\"") }, "no rename", sourceLocation: sourceLocation)
        let target = try #require(rename.arguments.split(separator: "\"").last { $0.contains("/blobs/") }, sourceLocation: sourceLocation)
        let folder = (String(target) as NSString).deletingLastPathComponent

        let data = try #require(
            trace.last(before: rename.began) { isFlush($0) && $0.arguments.contains("staging/\(staging)>") },
            "the data is flushed before the rename", sourceLocation: sourceLocation)
        let late = trace.first(after: data.began) { call in
            call.name.hasPrefix("pwrite") && (call.arguments.contains("staging/\(staging)>") || call.arguments.contains("\(target)>"))
        }
        #expect(late == nil, "no byte is written after the flush", sourceLocation: sourceLocation)
        let entry = try #require(
            trace.first(after: rename.ended) { isFlush($0) && $0.arguments.contains("<\(folder)>") },
            "the folder is flushed after the rename", sourceLocation: sourceLocation)
        let log = try #require(
            trace.first(after: entry.ended) { $0.name.hasPrefix("pwrite") && $0.arguments.contains(".db-wal>") },
            "the transaction is written after the folder's flush", sourceLocation: sourceLocation)
        let commit = try #require(
            trace.first(after: log.ended) { isFlush($0) && $0.arguments.contains(".db-wal>") },
            "the transaction is flushed", sourceLocation: sourceLocation)
        let reply = try #require(
            trace.first { isSocketWrite($0) && $0.arguments.contains(marker) }, "the reply on the socket", sourceLocation: sourceLocation)
        #expect(reply.began > commit.ended, "\(reply) before \(commit)", sourceLocation: sourceLocation)
    }

    @Test func completeFlushesRenamesFlushesCommitsAndReplies() async throws {
        let ((upload, file), trace) = try await traced("syscalls-complete") { client in
            let upload = try await client.begin(bytes(4 * 65_536))
            try await client.sendChunks(upload.indexes, of: upload)
            return (upload, try await client.finish(upload.taskId))
        }
        try expectOrder(of: upload.taskId, reply: file.id, in: trace)
        // Nothing is merged, copied or read again: the chunks came in order.
        let reads = trace.calls.filter { call in
            ["pread64", "preadv", "read", "copy_file_range", "sendfile", "splice"].contains(call.name)
                && call.arguments.contains("staging/\(upload.taskId)>")
        }
        #expect(reads.isEmpty, "complete reads no data that was hashed already: \(reads.map(\.description))")
        // One flush of the data, whatever the size.
        #expect(trace.calls.count { isFlush($0) && $0.arguments.contains("staging/\(upload.taskId)>") } == 1)
    }

    @Test func aChunkIsCommittedBeforeItIsAcknowledged() async throws {
        let (upload, trace) = try await traced("syscalls-chunk") { client in
            let upload = try await client.begin(bytes(2 * 65_536))
            try await client.sendChunks(upload.indexes, of: upload)
            return upload
        }
        for index in upload.indexes {
            let checksum = String(format: "%08x", crc32c(upload.chunk(index)))
            let reply = try #require(
                trace.first { isSocketWrite($0) && $0.arguments.contains(checksum) && $0.arguments.contains("chunkIndex") },
                "the reply to chunk \(index)")
            let offset = Int(upload.plan.offset(of: index))
            let write = try #require(
                trace.last(before: reply.began) { call in
                    call.name.hasPrefix("pwrite") && call.arguments.contains("staging/\(upload.taskId)>")
                        && (call.arguments.split(separator: ",").last.flatMap { Int($0.filter(\.isNumber)) } ?? -1) >= offset
                }, "chunk \(index) is written")
            let commit = trace.last(before: reply.began) { isFlush($0) && $0.arguments.contains(".db-wal>") }
            #expect(commit.map { $0.began > write.ended } == true, "chunk \(index): written, committed, acknowledged")
        }
    }

    @Test func aOneRequestUploadKeepsTheSameOrder() async throws {
        let (file, trace) = try await traced("syscalls-direct") { client in
            let file = try await client.store(bytes(100_000))
            let tasks: [UploadSummary] = try await client.get("/files/upload/tasks").decode()
            return (file, tasks.first { $0.fileId == file.id }?.taskId)
        }
        try expectOrder(of: try #require(file.1), reply: file.0.id, in: trace)
    }

    @Test func theTraceIsReadRightly() throws {
        let trace = SyscallTrace(
            """
            10 pwrite64(5</d/staging/t>, "a(b) = c"..., 10, 0) = 10
            10 fdatasync(5</d/staging/t> <unfinished ...>
            11 write(7<TCP:[127.0.0.1:1->127.0.0.1:2]>, "x", 1) = 1
            10 <... fdatasync resumed>)         = 0
            10 rename("/d/staging/t", "/d/blobs/f/b") = 0
            11 fsync(9</d/blobs/f>)              = -1 EIO (Input/output error)
            11 +++ exited with 0 +++
            """)
        #expect(trace.calls.map(\.name) == ["pwrite64", "write", "fdatasync", "rename", "fsync"])
        #expect(trace.calls[2].began == 1)
        #expect(trace.calls[2].ended == 3)
        #expect(trace.calls[2].arguments == "5</d/staging/t>")
        #expect(trace.calls[4].result.hasPrefix("-1 EIO"))
        #expect(trace.last(before: 4) { isFlush($0) }?.began == 1)
        #expect(trace.first(after: 4) { isFlush($0) } == nil)
    }
}
