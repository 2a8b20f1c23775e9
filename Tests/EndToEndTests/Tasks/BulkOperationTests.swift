import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// BulkOperation: what it chooses, what it says it would do, and what it does.
@Suite(.timeLimit(.minutes(1))) struct BulkOperationTests {
    private func bulk(_ operation: String, of ids: [CloudFile] = [], _ parameters: [String: JSONValue]) -> JSONValue {
        var all: [String: JSONValue] = ["operationType": .string(operation), "operationParameters": .object(parameters)]
        if !ids.isEmpty { all["targetIds"] = .array(ids.map { .string($0.id) }) }
        return ["type": "BulkOperation", "parameters": .object(all)]
    }

    @Test func aDryRunSaysWhatWouldHappenAndConfirmDoesIt() async throws {
        let client = try await SharedServer.client("bulk-confirm")
        var logs: [CloudFile] = []
        for index in 0..<5 { logs.append(try await client.store(bytes(100 + index), name: "Log-\(index).TMP", contentType: "text/plain")) }
        let kept = try await client.store(bytes(500), name: "keep.txt", contentType: "text/plain")
        let large = try await client.store(bytes(5000), name: "large.tmp", contentType: "text/plain")
        let filter: [String: JSONValue] = ["name": "*.tmp", "contentType": "text/*", "maxSize": 1000]

        let unconfirmed = try await client.send(.POST, "/tasks", json: bulk("delete", filter))
        expectRefusal(unconfirmed, 400, "CONFIRMATION_REQUIRED")
        #expect(unconfirmed.error?.details["rule"] == "confirm")
        // All files of an account: never by what was left out.
        expectRefusal(try await client.send(.POST, "/tasks", json: bulk("delete", ["confirm": true])), 400, "INVALID_REQUEST")

        let dry = try await client.ended(client.makeTask(bulk("delete", filter.with(["dryRun": true, "confirm": true]))).taskId)
        #expect(dry.results["planned"] == 5 && dry.results["dryRun"] == true && dry.results["succeeded"] == 0, "\(dry)")
        #expect(Set(try await client.items(dry.taskId).map(\.itemId)) == Set(logs.map(\.id)))
        #expect(try await client.items(dry.taskId).allSatisfy { $0.outcome == .planned })
        #expect(try await client.files().count == 7, "a dry run changes nothing")

        let page = try await client.get("/tasks/\(dry.taskId)/items?offset=3&limit=10")
        #expect(page.header("X-Total") == "5")
        #expect(try page.decode([TaskItem].self).count == 2)

        let done = try await client.ended(client.makeTask(bulk("delete", filter.with(["confirm": true]))).taskId)
        #expect(done.results["succeeded"] == 5 && done.results["failed"] == 0 && done.results["dryRun"] == false, "\(done)")
        #expect(Set(try await client.files().map(\.id)) == [kept.id, large.id])
        try await client.expectContent(bytes(500), of: kept)
    }

    @Test func aPartialFailureIsReportedPerItem() async throws {
        let client = try await SharedServer.client("bulk-partial")
        let stranger = try await SharedServer.client("bulk-stranger")
        let foreign = try await stranger.store(bytes(10), name: "foreign")
        var files: [CloudFile] = []
        for index in 0..<4 { files.append(try await client.store(bytes(50 + index), name: "IMG_\(index).png")) }
        let gone = files[3]
        _ = try await client.delete("/files/\(gone.id)")
        let task = try await client.ended(
            client.makeTask(bulk("rename", of: files + [foreign], ["find": "IMG_", "replaceWith": "photo-", "confirm": true])).taskId)
        #expect(task.results["succeeded"] == 3 && task.results["failed"] == 2, "\(task)")
        let failed = try await client.items(task.taskId).filter { $0.outcome == .failed }
        #expect(failed.map(\.itemId) == [gone.id, foreign.id] && failed.allSatisfy { $0.code == "FILE_NOT_FOUND" }, "\(failed)")
        #expect(Set(try await client.files().map(\.name)) == ["photo-0.png", "photo-1.png", "photo-2.png"])
        #expect(try await stranger.file(foreign.id).name == "foreign")
    }

    @Test func bundlesAndExpiriesAreSet() async throws {
        let client = try await SharedServer.client("bulk-bundle")
        var files: [CloudFile] = []
        for index in 0..<3 { files.append(try await client.store(bytes(70 + index), name: "\(index).bin")) }
        let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b"]).decode()
        let id = JSONValue.string(bundle.id.uuidString.lowercased())
        let added = try await client.ended(
            client.makeTask(bulk("addToBundle", of: Array(files.prefix(2)), ["targetBundleId": id, "confirm": true])).taskId)
        #expect(added.results["succeeded"] == 2, "\(added)")
        #expect(try await client.files().filter { $0.bundleId == bundle.id }.count == 2)
        let expiring = try await client.ended(
            client.makeTask(bulk("setExpiry", ["bundleId": id, "expiresInDays": 3, "confirm": true])).taskId)
        #expect(expiring.results["succeeded"] == 2, "\(expiring)")
        for file in try await client.files() {
            let days = file.expiredAt.map { Double($0.seconds - file.createdAt.seconds) / 86_400 }
            #expect(file.bundleId == nil ? days == nil : abs((days ?? 0) - 3) < 0.01, "\(file)")
        }
        let removed = try await client.ended(client.makeTask(bulk("removeFromBundle", of: files, ["confirm": true])).taskId)
        #expect(removed.results["succeeded"] == 2 && removed.results["skipped"] == 1, "\(removed)")
        #expect(try await client.files().allSatisfy { $0.bundleId == nil })
        // Nothing is that old.
        let old = try await client.ended(client.makeTask(bulk("delete", ["olderThanDays": 1, "confirm": true])).taskId)
        #expect(old.results["total"] == 0)
        #expect(try await client.files().count == 3)
    }

    @Test func filesMoveByAFilter() async throws {
        try await FileTaskScene.with("bulk-move") { scene in
            let client = scene.client
            let files = try await scene.store(6, name: "clip")
            let stay = try await scene.store(2, seed: 2, name: "stay")
            let parameters: [String: JSONValue] = [
                "name": "clip-*", "poolId": .string(scene.source.text), "targetPoolId": .string(scene.target.text), "confirm": true,
            ]
            let request = bulk("move", parameters)
            let task = try await scene.reading(files) { try await client.ended(client.makeTask(request).taskId) }
            #expect(task.results["succeeded"] == 6, "\(task)")
            for stored in files { #expect(try await client.file(stored.file.id).poolId == scene.target.id) }
            for stored in stay { #expect(try await client.file(stored.file.id).poolId == scene.source.id) }
            for stored in files + stay { try await client.expectContent(stored.content, of: client.file(stored.file.id)) }
            try await scene.expectBlobs(8)
        }
    }
}

extension [String: JSONValue] {
    fileprivate func with(_ more: [String: JSONValue]) -> [String: JSONValue] { merging(more) { _, new in new } }
}
