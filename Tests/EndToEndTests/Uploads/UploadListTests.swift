import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What the lists of uploads tell.
@Suite struct UploadListTests {
    /// Five uploads in known states: completed, cancelled, half-way, begun, completed.
    private func fill(_ client: TestClient) async throws -> [OpenUpload] {
        var uploads: [OpenUpload] = []
        for (index, name) in ["c.bin", "a.bin", "e.bin", "b.bin", "d.bin"].enumerated() {
            uploads.append(try await client.begin(bytes((index + 1) * 65_536 * 2, seed: UInt64(index)), name: name))
        }
        for index in [0, 4] {
            try await client.sendChunks(uploads[index].indexes, of: uploads[index])
            _ = try await client.finish(uploads[index].taskId)
        }
        _ = try await client.delete("/files/upload/task/\(uploads[1].taskId)")
        try await client.sendChunks([0, 1, 2], of: uploads[2])
        return uploads
    }

    @Test func listsAreFilteredSortedAndPaged() async throws {
        let client = try await SharedServer.client("upload-lists")
        _ = try await fill(client)
        let cases: [(query: String, names: [String], total: Int)] = [
            ("?sortBy=filename&sortDescending=false", ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin"], 5),
            ("?sortBy=filename", ["e.bin", "d.bin", "c.bin", "b.bin", "a.bin"], 5),
            ("?sortBy=filesize&sortDescending=false", ["c.bin", "a.bin", "e.bin", "b.bin", "d.bin"], 5),
            ("?sortBy=createdAt&sortDescending=false", ["c.bin", "a.bin", "e.bin", "b.bin", "d.bin"], 5),
            ("?sortBy=updatedAt&sortDescending=false", ["b.bin", "c.bin", "d.bin", "a.bin", "e.bin"], 5),
            ("?sortBy=filename&sortDescending=false&offset=1&limit=2", ["b.bin", "c.bin"], 5),
            ("?offset=5", [], 5),
            ("?status=Completed&sortBy=filename&sortDescending=false", ["c.bin", "d.bin"], 2),
            ("?status=InProgress&sortBy=filename&sortDescending=false", ["b.bin", "e.bin"], 2),
            ("?status=Cancelled", ["a.bin"], 1),
            ("?status=Failed", [], 0),
        ]
        for (query, names, total) in cases {
            let reply = try await client.get("/files/upload/tasks\(query)")
            #expect(reply.status == 200, "\(query): \(reply)")
            #expect(try reply.decode([UploadSummary].self).map(\.fileName) == names, "\(query)")
            #expect(reply.header("X-Total") == "\(total)", "\(query)")
        }
        // By default what was last active comes first.
        let latest: [UploadSummary] = try await client.get("/files/upload/tasks?limit=1").decode()
        #expect(latest.map(\.fileName) == ["e.bin"])
        let byActivity: [UploadSummary] = try await client.get("/files/upload/tasks?sortBy=lastActivity&sortDescending=true").decode()
        #expect(byActivity.map(\.lastActivity) == byActivity.map(\.lastActivity).sorted(by: >))
        for query in ["?limit=-1", "?limit=x", "?offset=-1", "?sortBy=hash", "?status=Sleeping", "?sortDescending=maybe"] {
            expectRefusal(try await client.get("/files/upload/tasks\(query)"), 400, "INVALID_REQUEST", comment: query)
        }
    }

    @Test func summariesTellWhatIsTrue() async throws {
        let client = try await SharedServer.client("upload-summaries")
        let uploads = try await fill(client)
        let all: [UploadSummary] = try await client.get("/files/upload/tasks").decode()
        let half = try #require(all.first { $0.fileName == "e.bin" })
        #expect(half.taskId == uploads[2].taskId)
        #expect(half.chunksCount == 6)
        #expect(half.chunksUploaded == 3)
        #expect(half.bytesUploaded == 3 * 65_536)
        #expect(half.progress == 50)
        #expect(half.status == .inProgress)
        #expect(half.fileId == nil)
        let done = try #require(all.first { $0.fileName == "c.bin" })
        #expect(done.progress == 100)
        #expect(done.status == .completed)
        try await client.expectContent(uploads[0].bytes, of: client.get("/files/\(try #require(done.fileId))/info").decode())

        let progress = try await client.progress(uploads[2].taskId)
        #expect(progress.chunksUploaded == 3)
        #expect(progress.chunksTotal == 6)
        #expect(progress.bytesTotal == 6 * 65_536)
        #expect(progress.bytesVerified == 3 * 65_536, "in-order chunks are hashed as they come")
        #expect(progress.progress == 50)

        let stats: UploadStatistics = try await client.get("/files/upload/stats").decode()
        #expect(stats.totalTasks == 5)
        #expect(stats.inProgressTasks == 2)
        #expect(stats.completedTasks == 2)
        #expect(stats.failedTasks == 1)
        #expect(stats.expiredTasks == 0)
        #expect(stats.averageProgress == 50, "100, 0, 50, 0 and 100")
        #expect(stats.recentActivity.first?.fileName == "e.bin")
        #expect(stats.recentActivity.count == 5)

        let recent: [UploadSummary] = try await client.get("/files/upload/tasks/recent?limit=2").decode()
        #expect(recent.count == 2)
        #expect(recent.first?.fileName == "e.bin")
    }

    @Test func detailsTellPoolBundleAndSpeed() async throws {
        let client = try await SharedServer.client("upload-details")
        let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b"]).decode()
        let upload = try await client.begin(
            bytes(10 * 65_536), more: ["bundleId": .string(bundle.id.uuidString.lowercased())])
        let before = try await client.get("/files/upload/tasks/\(upload.taskId)/details")
        #expect(before.status == 200, "\(before)")
        #expect(before.json["pool"]?["isDefault"] == true)
        #expect(before.json["bundle"]?["id"]?.string == bundle.id.uuidString || before.json["bundle"]?["name"] == "b")
        try await client.sendChunks(0..<5, of: upload)
        let half = try await client.get("/files/upload/tasks/\(upload.taskId)/details").json
        #expect(half["task"]?["chunksUploaded"] == 5)
        guard let speed = half["currentSpeed"].flatMap(number), let rest = half["estimatedSecondsRemaining"].flatMap(number) else {
            Issue.record("no speed: \(half)")
            return
        }
        #expect(speed > 0)
        // Five chunks are left: the estimate follows from the speed.
        #expect(abs(rest - 5 * 65_536 / speed) < 0.5 + rest * 0.5)
        try await client.sendChunks(5..<10, of: upload)
        _ = try await client.finish(upload.taskId)
        let done = try await client.get("/files/upload/tasks/\(upload.taskId)/details").json
        #expect(done["task"]?["status"] == "Completed")
        #expect(done["estimatedSecondsRemaining"] == nil || done["estimatedSecondsRemaining"] == .null)
    }

    private func number(_ value: JSONValue) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    @Test func cleanupRemovesWhatEndedWithoutAFile() async throws {
        let client = try await SharedServer.client("upload-cleanup")
        let other = try await SharedServer.client("upload-cleanup-2")
        let uploads = try await fill(client)
        let theirs = try await other.begin(bytes(10))
        _ = try await other.delete("/files/upload/task/\(theirs.taskId)")
        let reply = try await client.delete("/files/upload/tasks/cleanup")
        #expect(reply.status == 200, "\(reply)")
        let left: [UploadSummary] = try await client.get("/files/upload/tasks?sortBy=filename&sortDescending=false").decode()
        #expect(left.map(\.fileName) == ["b.bin", "c.bin", "d.bin", "e.bin"])
        expectRefusal(try await client.get("/files/upload/progress/\(uploads[1].taskId)"), 404, "TASK_NOT_FOUND")
        #expect(try await other.get("/files/upload/tasks").header("X-Total") == "1")
        // What goes on goes on.
        try await client.sendChunks(3..<6, of: uploads[2])
        try await client.expectContent(uploads[2].bytes, of: client.finish(uploads[2].taskId))
    }
}
