import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// An upload is a task like the others: one list, one set of states.
@Suite(.timeLimit(.minutes(1))) struct UploadTaskTests {
    @Test(arguments: ChunkForm.allCases) func anUploadIsPausedAndResumedThroughTheTasks(_ form: ChunkForm) async throws {
        let client = try await SharedServer.client("task-upload-\(form.rawValue)")
        let content = bytes(4 * 65_536 + 5, seed: 5)
        let upload = try await client.begin(content, name: "film.bin")
        try await client.sendChunks([0, 1], of: upload, as: form)
        let open = try await client.task(upload.taskId)
        #expect(open.type == .fileUpload && open.status == .inProgress && open.progress > 0 && open.progress < 100, "\(open)")
        let list = try await client.get("/tasks?type=FileUpload")
        #expect(list.header("X-Total") == "1")
        #expect(try list.decode([TaskSummary].self).map(\.taskId) == [upload.taskId])
        #expect(try await client.get("/tasks/stats").decode(TaskStatistics.self).byType == ["FileUpload": 1])

        let paused = try await client.changed(upload.taskId, "pause")
        #expect(paused.status == .paused, "\(paused)")
        expectRefusal(try await client.sendChunk(2, of: upload, as: form), 409, "TASK_PAUSED")
        expectRefusal(try await client.send(.POST, "/files/upload/complete/\(upload.taskId)"), 409)
        #expect(try await client.changed(upload.taskId, "pause").status == .paused, "asked twice")
        let resumed = try await client.changed(upload.taskId, "resume")
        #expect([.pending, .inProgress].contains(resumed.status), "\(resumed)")
        try await client.sendChunks([2, 3, 4], of: upload, as: form)
        try await client.expectContent(content, of: client.finish(upload.taskId))
        let done = try await client.ended(upload.taskId)
        #expect(done.deadAt == nil && done.errorMessage == nil)
        for (event, wanted) in [("pause", "Paused"), ("resume", "Pending"), ("cancel", "Cancelled"), ("retry", "Pending")] {
            let reply = try await client.change(upload.taskId, event)
            expectRefusal(reply, 409, "TASK_STATE", comment: event)
            #expect(reply.error?.details["status"] == "Completed", "\(event): \(reply)")
            #expect(reply.error?.details["wanted"] == .string(wanted), "\(event): \(reply)")
        }
        #expect(try await client.delete("/tasks/\(upload.taskId)").status == 204)
        expectRefusal(try await client.get("/tasks/\(upload.taskId)"), 404, "TASK_NOT_FOUND")
        #expect(try await client.files().count == 1, "the file stays")
    }

    @Test func anUploadIsCancelledThroughTheTasks() async throws {
        let client = try await SharedServer.client("task-upload-cancel")
        let upload = try await client.begin(bytes(2 * 65_536))
        try await client.sendChunks([0], of: upload)
        #expect(try await client.quota().reservedBytes > 0)
        expectRefusal(try await client.delete("/tasks/\(upload.taskId)"), 409, "TASK_STATE")
        #expect(try await client.changed(upload.taskId, "cancel").status == .cancelled)
        let chunk = try await client.sendChunk(1, of: upload)
        #expect([404, 409].contains(chunk.status), "\(chunk)")
        #expect(try await client.quota().reservedBytes == 0)
        let retry = try await client.change(upload.taskId, "retry")
        expectRefusal(retry, 409, "TASK_STATE")
        #expect(retry.error?.details["status"] == "Cancelled" && retry.error?.details["wanted"] == "Pending", "\(retry)")
    }

    /// Uploaded, then worked on: without anybody who waits in between.
    @Test func aTaskWaitsForAnUpload() async throws {
        let client = try await SharedServer.client("task-upload-after")
        let kind = uniqueKind("after")
        let upload = try await client.begin(bytes(65_536, seed: 8))
        let other = try await client.begin(bytes(65_536, seed: 9))
        let after = try await client.makeCustom(kind, ["dependsOn": [.string(upload.taskId)]])
        let never = try await client.makeCustom(kind, ["dependsOn": [.string(upload.taskId), .string(other.taskId)]])
        #expect(after.waitsFor == 1 && never.waitsFor == 2)
        #expect(try await client.lease(kind, waitSeconds: 0).status == 204)
        try await client.sendChunks(upload.indexes, of: upload)
        async let waiting = client.leased(kind)
        _ = try await client.finish(upload.taskId)
        let lease = try await waiting
        #expect(lease.task.taskId == after.taskId && lease.task.waitsFor == 0)
        #expect(try await client.work("complete", lease.leaseId).status == 200)
        #expect(try await client.task(never.taskId).waitsFor == 1)
        #expect(try await client.delete("/files/upload/task/\(other.taskId)").status < 300)
        let cancelled = try await client.ended(never.taskId, as: .cancelled)
        #expect(cancelled.errorMessage?.contains(other.taskId) == true, "\(cancelled)")
        // What it waits for did not complete: there is nothing to try again yet.
        expectRefusal(try await client.change(never.taskId, "retry"), 409, "TASK_STATE")
    }
}
