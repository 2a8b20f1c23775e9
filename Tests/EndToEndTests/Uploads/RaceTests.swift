import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What happens at once has one outcome, and the books are right afterwards.
@Suite struct RaceTests {
    @Test(arguments: ChunkForm.allCases) func theSameChunkFrom64ClientsIsStoredOnce(_ form: ChunkForm) async throws {
        try await withServer("race-chunk") { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let upload = try await client.begin(bytes(4 * 65_536))
            for index in upload.indexes {
                let replies = try await together(64) { _ in try await client.sendChunk(index, of: upload, as: form) }
                #expect(replies.count { $0.status == 200 } == 1)
                for reply in replies where reply.status != 200 { expectRefusal(reply, 409, "CHUNK_ALREADY_UPLOADED") }
                let progress = try await client.progress(upload.taskId)
                #expect(progress.chunksUploaded == index + 1)
                #expect(progress.bytesUploaded == Int64(index + 1) * 65_536)
            }
            let file = try await client.finish(upload.taskId)
            try await client.expectContent(upload.bytes, of: file)
        }
    }

    @Test func completesAtOnceGiveOneFileAndOneCharge() async throws {
        try await withServer("race-complete") { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            for round in 1...5 {
                let upload = try await client.begin(bytes(3 * 65_536 + round, seed: UInt64(round)))
                try await client.sendChunks(upload.indexes.shuffled(), of: upload)
                let replies = try await together(32) { _ in try await client.complete(upload.taskId) }
                #expect(replies.allSatisfy { $0.status == 200 }, "\(replies.first { $0.status != 200 }.map { "\($0)" } ?? "")")
                #expect(Set(replies.map(\.body)).count == 1, "the same reply to all")
                #expect(try await client.get("/files/me").header("X-Total") == "\(round)")
            }
            let usage: UsageReply = try await client.get("/billing/usage").decode()
            #expect(usage.fileCount == 5)
            #expect(usage.chargedBytes == 5 * 3 * 65_536 + 15)
            #expect(usage.reservedBytes == 0)
            #expect(server.data.blobFiles.count == 5)
            #expect(server.data.stagedFiles.isEmpty)
        }
    }

    @Test func theSameContentCompletedAtOnceIsStoredOnce() async throws {
        try await withServer("race-duplicate") { server in
            let accounts = try await ["a", "b", "c", "d"].asyncMap {
                TestClient(base: server.base, token: try await server.data.token(account: $0))
            }
            let content = bytes(2 * 65_536 + 9)
            let uploads = try await accounts.asyncMap { client in
                let upload = try await client.begin(content)
                try await client.sendChunks(upload.indexes, of: upload)
                return upload
            }
            let files = try await together(8) { index -> CloudFile in
                if index < 4 { return try await accounts[index].finish(uploads[index].taskId) }
                return try await accounts[index - 4].store(content)
            }
            #expect(Set(files.map(\.id)).count == 8)
            for (index, file) in files.enumerated() { try await accounts[index % 4].expectContent(content, of: file) }
            #expect(server.data.stagedFiles.isEmpty)
        }
    }

    @Test func completeAgainstCancelHasOneWinner() async throws {
        try await withServer("race-cancel") { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            var files = 0
            for round in 0..<24 {
                let upload = try await client.begin(bytes(2 * 65_536, seed: UInt64(round)))
                try await client.sendChunks(upload.indexes, of: upload)
                async let completed = client.complete(upload.taskId)
                async let cancelled = client.delete("/files/upload/task/\(upload.taskId)")
                let (complete, cancel) = try await (completed, cancelled)
                let status = try await client.progress(upload.taskId).status
                if complete.status == 200 {
                    files += 1
                    #expect(status == .completed, "round \(round)")
                    expectRefusal(cancel, 409, "TASK_CLOSED", comment: "round \(round)")
                    try await client.expectContent(upload.bytes, of: complete.decode())
                } else {
                    expectRefusal(complete, 409, "TASK_CLOSED", comment: "round \(round)")
                    #expect((200..<300).contains(cancel.status), "round \(round): \(cancel)")
                    #expect(status == .cancelled, "round \(round)")
                }
            }
            let quota = try await client.quota()
            #expect(quota.reservedBytes == 0)
            #expect(quota.usedBytes == Int64(files) * 2 * 65_536)
            #expect(try await client.get("/files/me").header("X-Total") == "\(files)")
        }
    }

    @Test func chunksAgainstCancelLeaveNothing() async throws {
        try await withServer("race-chunks-cancel") { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            for round in 0..<8 {
                let upload = try await client.begin(bytes(8 * 65_536, seed: UInt64(round)))
                let replies = try await together(9) { index in
                    index == 8
                        ? try await client.delete("/files/upload/task/\(upload.taskId)") : try await client.sendChunk(index, of: upload)
                }
                #expect(replies.allSatisfy { (200..<300).contains($0.status) || $0.status == 409 }, "\(replies)")
                #expect(try await client.progress(upload.taskId).status == .cancelled)
            }
            #expect(try await client.quota().reservedBytes == 0)
            #expect(server.data.stagedFiles.isEmpty)
        }
    }

    /// A sender that went silent loses its place; its late bytes touch nothing.
    @Test func aStalledSenderIsReplaced() async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("stalled")
        let upload = try await client.begin(bytes(65_536 * 2))
        let token = try #require(client.token)
        let silent = try RawConnection(port: server.port)
        let wrong = [UInt8](repeating: 0xEE, count: 65_536)
        await silent.send(
            RawConnection.request(
                "POST /api/files/upload/chunk/\(upload.taskId)/0", token: token,
                headers: ["Content-Type: application/octet-stream", "Content-Length: 65536"], body: Array(wrong[..<1000])))
        // Given only where the first sender's claim is old enough: half a second on this server.
        let reply = try await client.sendChunk(0, of: upload)
        #expect(reply.status == 200, "\(reply)")
        await silent.send(Array(wrong[1000...]))
        if let late = RawConnection.reply(in: await silent.readToEnd()) {
            #expect([408, 409].contains(late.status), "\(late)")
        }
        try await client.sendChunks([1], of: upload)
        try await client.expectContent(upload.bytes, of: client.finish(upload.taskId))
    }
}

/// Runs `count` calls at once; their results in order.
func together<Result: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) async throws -> Result) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
        for index in 0..<count { group.addTask { (index, try await body(index)) } }
        return try await group.reduce(into: [(Int, Result)]()) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
}

extension Sequence {
    /// One after the other.
    func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
