import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// FileMove and StorageMigration while the files are in use.
@Suite(.timeLimit(.minutes(1))) struct FileMoveTests {
    @Test func filesMoveBetweenPoolsAndStayReadable() async throws {
        try await FileTaskScene.with("move") { scene in
            let (client, target) = (scene.client, scene.target)
            let files = try await scene.store(8)
            let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b"]).decode()
            let bundleId = bundle.id.uuidString.lowercased()
            let task = try await scene.reading(files) {
                let made = try await client.makeTask([
                    "type": "FileMove", "name": "to the target", "description": "eight files", "priority": 7,
                    "parameters": ["fileIds": files.ids, "targetPoolId": .string(target.text), "targetBundleId": .string(bundleId)],
                ])
                #expect(made.status == .pending && made.name == "to the target" && made.description == "eight files" && made.priority == 7)
                let under = try await client.task(made.taskId, is: "half done") { $0.progress >= 30 || $0.status.isTerminal }
                #expect(under.status == .inProgress && under.progress < 100 && under.startedAt != nil, "\(under)")
                #expect(under.statusMessage?.hasPrefix("Moving file-") == true, "\(under)")
                return try await client.ended(made.taskId)
            }
            let total = files.reduce(0) { $0 + Int64($1.content.count) }
            #expect(
                task.results == [
                    "filesProcessed": 8, "movedFiles": 8, "failedFiles": 0, "skippedFiles": 0, "totalBytes": .integer(total),
                    "copiedBytes": .integer(total), "failures": [],
                ])
            #expect(task.attempt == 1)
            for stored in files {
                let file = try await client.file(stored.file.id)
                #expect(file.poolId == target.id && file.bundleId == bundle.id && file.hash == stored.file.hash, "\(file)")
                try await client.expectContent(stored.content, of: file)
            }
            #expect(try await client.items(task.taskId).map(\.outcome) == Array(repeating: .succeeded, count: 8))
            // The source's bytes go by a later task; then each content is there once.
            try await scene.expectBlobs(8)

            // Back, with one that is no more, and one that is there already.
            let gone = files[0].file.id
            #expect(try await client.delete("/files/\(gone)").status < 300)
            let there = try await client.store(bytes(100), query: "&poolId=\(scene.source.text)")
            let ids: JSONValue = .array((files.map(\.file.id) + [there.id, "nosuchfile"]).map { .string($0) })
            let back = try await client.ended(
                client.makeTask(["type": "FileMove", "parameters": ["fileIds": ids, "targetPoolId": .string(scene.source.text)]]).taskId)
            #expect(back.results["movedFiles"] == 7 && back.results["failedFiles"] == 2 && back.results["skippedFiles"] == 1, "\(back)")
            let items = try await client.items(back.taskId)
            #expect(items.filter { $0.outcome == .failed }.map(\.itemId) == [gone, "nosuchfile"])
            #expect(items.filter { $0.outcome == .failed }.allSatisfy { $0.code == "FILE_NOT_FOUND" }, "\(items)")
            #expect(items.first { $0.itemId == there.id }?.outcome == .skipped)
            for stored in files.dropFirst() { try await client.expectContent(stored.content, of: client.file(stored.file.id)) }
            try await scene.expectBlobs(8)

            // Nothing of it is left to do: the whole task fails, and lies among the dead letters.
            let failed = try await client.ended(
                client.makeTask([
                    "type": "FileMove", "parameters": ["fileIds": [.string(gone)], "targetPoolId": .string(target.text)],
                ]).taskId, as: .failed)
            #expect(failed.errorCode == "FILE_NOT_FOUND" && failed.deadAt != nil, "\(failed)")
        }
    }

    /// Paused in the middle, it goes on where it was; cancelled, what was moved stays moved and the rest where it is.
    @Test func aMoveIsPausedResumedAndCancelled() async throws {
        try await FileTaskScene.with("move-pause") { scene in
            let client = scene.client
            let files = try await scene.store(12)
            let made = try await client.makeTask([
                "type": "FileMove", "parameters": ["fileIds": files.ids, "targetPoolId": .string(scene.target.text)],
            ])
            try await client.task(made.taskId, is: "under way") { $0.progress > 10 }
            let asked = try await client.changed(made.taskId, "pause")
            #expect(asked.status == .inProgress && asked.requested == .pause || asked.status == .paused, "\(asked)")
            let paused = try await client.task(made.taskId, within: .seconds(2), is: "paused") { $0.status == .paused }
            #expect(paused.requested == nil && paused.progress < 100 && paused.attempt == 0, "\(paused)")
            let moved = try await client.files().filter { $0.poolId == scene.target.id }.count
            #expect((1..<12).contains(moved))
            try await client.changed(made.taskId, "resume")
            let under = try await client.task(made.taskId, is: "further") { $0.progress > paused.progress + 5 }
            try #require(under.status == .inProgress, "\(under)")
            let cancelled = try await client.changed(made.taskId, "cancel")
            #expect(cancelled.status == .cancelled)
            // Its handler stops within a second and writes nothing more.
            let before = try await client.files().filter { $0.poolId == scene.target.id }.count
            #expect(before >= moved && before < 12)
            // Tried again, it goes on from its checkpoint: what was moved is not looked at again.
            try await client.changed(made.taskId, "retry")
            let done = try await client.ended(made.taskId)
            #expect(done.results["movedFiles"] == 12 && done.results["skippedFiles"] == 0, "\(done)")
            #expect(try await client.attempts(made.taskId).isEmpty, "neither a pause nor a cancel is a failed attempt")
            for stored in files { try await client.expectContent(stored.content, of: client.file(stored.file.id)) }
            try await scene.expectBlobs(12)
        }
    }

    @Test func aPoolIsMigratedWhileItIsInUse() async throws {
        try await FileTaskScene.with("migrate") { scene in
            let (client, source, target) = (scene.client, scene.source, scene.target)
            let files = try await scene.store(8)
            expectRefusal(
                try await client.send(.POST, "/tasks", json: migration(from: source, to: target)), 403, "FORBIDDEN")
            let made = try await scene.admin.makeTask(migration(from: source, to: target))
            // Files come in while the others go, by every door.
            let (come, task) = try await scene.reading(files) {
                var come: [StoredFile] = []
                repeat {
                    let content = bytes(3 * 65_536, seed: UInt64(9000 + come.count))
                    let more: [String: JSONValue] = ["poolId": .string(source.text)]
                    let file = try await client.upload(content, name: "late-\(come.count)", more: more)
                    come.append(StoredFile(file: file, content: content))
                } while try await scene.admin.task(made.taskId).progress < 30 && come.count < 20
                return (come, try await scene.admin.ended(made.taskId))
            }
            #expect(task.results["failedFiles"] == 0 && task.results["failures"] == [], "\(task)")
            #expect(task.results["remainingFiles"] == 0, "the last upload was done before its last pass: \(task)")
            #expect(task.results["movedFiles"] == .integer(Int64(files.count + come.count)), "\(task)")
            for stored in files + come {
                let file = try await client.file(stored.file.id)
                #expect(file.poolId == target.id)
                try await client.expectContent(stored.content, of: file)
            }
            try await scene.expectBlobs(files.count + come.count)
            #expect(try await client.quota().reservedBytes == 0)
        }
    }

    private func migration(from source: Pool, to target: Pool) -> JSONValue {
        ["type": "StorageMigration", "parameters": ["sourcePoolId": .string(source.text), "targetPoolId": .string(target.text)]]
    }

    @Test func whatCannotBeMeantIsRefused() async throws {
        let client = try await SharedServer.client("move-refused")
        let file = try await client.store(bytes(10))
        let pool = JSONValue.string(file.poolId.uuidString.lowercased())
        let ids: JSONValue = [.string(file.id)]
        for (parameters, status, code): (JSONValue, Int, String) in [
            ([:], 400, "INVALID_REQUEST"), (["fileIds": ids], 400, "INVALID_REQUEST"),
            (["fileIds": [], "targetPoolId": pool], 400, "INVALID_REQUEST"),
            (["fileIds": ids, "targetPoolId": "nonsense"], 400, "INVALID_REQUEST"),
            (["fileIds": ids, "targetPoolId": .string(UUID().uuidString)], 404, "NOT_FOUND"),
            (["fileIds": ids, "targetBundleId": .string(UUID().uuidString)], 404, "NOT_FOUND"),
            (["fileIds": ids, "targetPoolId": pool, "unknown": 1], 400, "INVALID_REQUEST"),
            (["fileIds": ids, "targetBundleId": .string(UUID().uuidString), "removeFromBundle": true], 400, "INVALID_REQUEST"),
        ] {
            let reply = try await client.send(.POST, "/tasks", json: ["type": "FileMove", "parameters": parameters])
            expectRefusal(reply, status, code, comment: "\(parameters)")
        }
        // Announced, and for a later time.
        expectRefusal(
            try await client.send(.POST, "/tasks", json: ["type": "FileCompress", "parameters": ["fileIds": ids]]), 501, "NOT_IMPLEMENTED")
        expectRefusal(try await client.send(.POST, "/tasks", json: ["type": "FileUpload"]), 400, "INVALID_REQUEST")
    }
}
