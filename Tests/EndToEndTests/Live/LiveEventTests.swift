import DriveModel
import Foundation
import Testing

/// Events as the spec words them (drive-v2-persistent-tasks.md, "WebSocket Events"), by both kinds of streams.
@Suite(.timeLimit(.minutes(1))) struct LiveEventTests {
    enum Way: CaseIterable, Sendable { case webSocket, serverSentEvents }

    private func open(_ way: Way, _ client: TestClient) async throws -> any LiveSource {
        switch way {
        case .webSocket: return try await LiveSocket.signedIn(client)
        case .serverSentEvents:
            let stream = try await LiveStream.open(client.port, token: client.token)
            try await stream.begin()
            return stream
        }
    }

    /// What each event has beside the task's id, name, type and kind.
    private static let members: [String: Set<String>] = [
        "task.created": ["createdAt"],
        "task.progress": ["progress", "status", "lastActivity", "statusMessage"],
        "task.completed": ["completedAt", "results"],
        "task.failed": ["failedAt", "errorCode", "errorMessage"],
        "task.retrying": ["attempt", "changedAt", "errorMessage", "runAt"],
        "task.paused": ["status", "changedAt"],
        "task.resumed": ["status", "changedAt"],
        "task.cancelled": ["status", "changedAt", "errorMessage"],
        "task.expired": ["status", "changedAt", "errorMessage"],
    ]

    @Test(arguments: Way.allCases) func everyChangeOfATaskIsTold(way: Way) async throws {
        let client = try await SharedServer.client("live-events-\(way)")
        let live = try await open(way, client)
        let kind = uniqueKind("live-events")
        let names: [String: JSONValue] = ["name": "Compress Files"]

        let completed = try await client.makeCustom(kind, names)
        let first = try await client.leased(kind)
        #expect(try await client.work("progress", first.leaseId, ["progress": .double(67.5), "statusMessage": "half way"]).status == 200)
        let results: [String: JSONValue] = ["resultFileId": "file456", "compressedSize": 10_485_760, "compressionRatio": .double(0.75)]
        #expect(try await client.work("complete", first.leaseId, ["results": .object(results)]).status == 200)

        let failed = try await client.makeCustom(kind, names)
        let second = try await client.leased(kind)
        #expect(
            try await client.work(
                "fail", second.leaseId,
                ["errorCode": "BAD_FORMAT", "errorMessage": "File processing failed: invalid format", "retryable": false]
            ).status == 200)

        let changed = try await client.makeCustom(kind, names)
        try await client.changed(changed.taskId, "pause")
        try await client.changed(changed.taskId, "resume")
        try await client.changed(changed.taskId, "cancel")

        let retried = try await client.makeCustom(kind, names)
        let third = try await client.leased(kind)
        #expect(try await client.work("fail", third.leaseId, ["errorMessage": "later, perhaps"]).status == 200)
        let expires = Timestamp(seconds: Int64(Date().timeIntervalSince1970) + 2)
        let expired = try await client.makeCustom(
            uniqueKind("live-expired"), names.merging(["expiresAt": .string("\(expires)")]) { _, new in new })

        let events = try await live.packets(through: "task.expired", of: expired.taskId)
        expectGapless(events, after: 0)
        let told = events.map { [$0.type, $0.taskId ?? ""] }
        #expect(
            told == [
                ["task.created", completed.taskId], ["task.progress", completed.taskId], ["task.completed", completed.taskId],
                ["task.created", failed.taskId], ["task.failed", failed.taskId],
                ["task.created", changed.taskId], ["task.paused", changed.taskId], ["task.resumed", changed.taskId],
                ["task.cancelled", changed.taskId],
                ["task.created", retried.taskId], ["task.retrying", retried.taskId],
                ["task.created", expired.taskId], ["task.expired", expired.taskId],
            ])
        for event in events {
            let members = event.data.object ?? [:]
            #expect(Set(members.keys) == Self.members[event.type]?.union(["taskId", "name", "type", "kind"]), "\(event)")
            #expect(members["name"] == "Compress Files" && members["type"] == "Custom" && members["kind"]?.string != nil, "\(event)")
        }
        try await expectFacts(of: events, client, results)
    }

    private func expectFacts(of events: [LivePacket], _ client: TestClient, _ results: [String: JSONValue]) async throws {
        let byType = Dictionary(grouping: events, by: \.type).compactMapValues(\.last)
        func fact(_ type: String, _ name: String) -> JSONValue? { byType[type]?.data[name] }
        func task(_ type: String) async throws -> TaskSummary { try await client.task(byType[type]?.taskId ?? "") }
        for event in events where event.type == "task.created" {
            let task = try await client.task(event.taskId ?? "")
            #expect(event.data["createdAt"]?.string == "\(task.createdAt)", "\(event)")
        }
        #expect(fact("task.progress", "progress") == .double(67.5))
        #expect(fact("task.progress", "status") == "InProgress")
        #expect(fact("task.progress", "statusMessage") == "half way")
        let completed = try await task("task.completed")
        #expect(fact("task.completed", "results") == .object(results))
        #expect(fact("task.completed", "completedAt")?.string == completed.completedAt.map { "\($0)" })
        #expect(fact("task.failed", "errorMessage") == "File processing failed: invalid format")
        #expect(fact("task.failed", "errorCode") == "BAD_FORMAT")
        #expect(fact("task.failed", "failedAt")?.string == (try await task("task.failed")).completedAt.map { "\($0)" })
        #expect(fact("task.retrying", "attempt") == 1 && fact("task.retrying", "errorMessage") == "later, perhaps")
        // The task may wait no more by now.
        let retried = try await task("task.retrying")
        #expect(fact("task.retrying", "runAt")?.string.flatMap { Timestamp($0) }.map { $0 > retried.createdAt } == true)
        #expect(fact("task.paused", "status") == "Paused" && fact("task.resumed", "status") == "Pending")
        #expect(fact("task.cancelled", "status") == "Cancelled" && fact("task.expired", "status") == "Expired")
    }

    @Test(arguments: Way.allCases) func anUploadIsTold(way: Way) async throws {
        let client = try await SharedServer.client("live-upload-\(way)")
        let live = try await open(way, client)
        let content = bytes(40 * 65_536)
        let start = ContinuousClock.now
        let upload = try await client.begin(content, name: "document.pdf")
        try await client.sendChunks(upload.indexes, of: upload)
        let seconds = Int((ContinuousClock.now - start) / .seconds(1))
        let file = try await client.finish(upload.taskId)

        var events = try await live.packets(through: "task.completed", of: upload.taskId)
        // Progress that newer progress makes superfluous may be left out for who reads slowly; the rest is there.
        #expect(zip(events, events.dropFirst()).allSatisfy { ($0.sequence ?? 0) < ($1.sequence ?? 0) }, "\(events)")
        #expect(events.first?.type == "task.created" && events.first?.sequence == 1, "\(events)")
        // The file is told of in the same moment as the end, and before it.
        let created = events.remove(at: max(0, events.count - 2))
        #expect(created.type == "file.created" && created.sequence.map { $0 + 1 } == events.last?.sequence, "\(created)")
        #expect(
            created.data == [
                "fileId": .string(file.id), "name": "document.pdf", "size": .integer(Int64(content.count)),
                "contentType": .string(file.contentType), "poolId": .string(file.poolId.lowercaseString),
                "taskId": .string(upload.taskId), "createdAt": .string("\(file.createdAt)"),
            ])
        #expect(events.allSatisfy { $0.taskId == upload.taskId && $0.data["name"] == "Upload File" && $0.data["type"] == "FileUpload" })
        #expect(events.first?.data.object.map { Set($0.keys) } == ["taskId", "name", "type", "createdAt"])
        let progress = events.dropFirst().dropLast()
        #expect(progress.allSatisfy { $0.type == "task.progress" && $0.data["status"] == "InProgress" }, "\(events)")
        #expect(
            progress.allSatisfy {
                $0.data.object.map { Set($0.keys) } == ["taskId", "name", "type", "progress", "status", "lastActivity"]
            }, "\(events)")
        let values = progress.compactMap { Self.number($0.data["progress"]) }
        #expect(values.count == progress.count && values == values.sorted() && Set(values).count == values.count, "\(values)")
        #expect(
            (1...20 + seconds).contains(values.count) && values.last == 100, "every five points, or a second, and the last: \(values)")
        let last = try #require(events.last?.data)
        #expect(last.object.map { Set($0.keys) } == ["taskId", "name", "type", "completedAt", "results"])
        #expect(
            last["results"]
                == ["fileId": .string(file.id), "fileName": "document.pdf", "fileSize": .integer(Int64(content.count))], "\(last)")
    }

    @Test func aCancelledUploadIsTold() async throws {
        let client = try await SharedServer.client("live-upload-cancelled")
        let live = try await LiveSocket.signedIn(client)
        let upload = try await client.begin(bytes(2 * 65_536))
        _ = try await client.delete("/files/upload/task/\(upload.taskId)")
        let events = try await live.packets { ["task.cancelled", "task.completed", "task.failed"].contains($0.type) }
        #expect(events.map(\.type) == ["task.created", "task.cancelled"], "\(events)")
        let end = try #require(events.last)
        let task = try await client.task(upload.taskId)
        #expect(
            end.data == [
                "taskId": .string(upload.taskId), "name": "Upload File", "type": "FileUpload", "status": "Cancelled",
                "changedAt": .string(task.completedAt.map { "\($0)" } ?? ""), "errorMessage": .string(task.errorMessage ?? ""),
            ], "\(end)")
    }

    /// An upload that fails for good says so as any task does. Its bytes are not those that its creation promised.
    @Test func aFailedUploadIsTold() async throws {
        let tus = try await TusClient.shared("live-upload-failed")
        let live = try await LiveSocket.signedIn(tus.drive)
        let upload = try await tus.begin(5, ["Upload-Metadata: \(tusPair("hash", sha256(Array("other".utf8))))"])
        #expect(try await tus.patch(upload, 0, "bytes").status == 422)
        let end = try #require(try await live.packets { $0.type == "task.failed" }.last)
        let task = try await tus.drive.task(end.taskId ?? "")
        #expect(
            end.data == [
                "taskId": .string(task.taskId), "name": "Upload File", "type": "FileUpload", "errorCode": "HASH_MISMATCH",
                "failedAt": .string(task.completedAt.map { "\($0)" } ?? ""), "errorMessage": .string(task.errorMessage ?? ""),
            ], "\(end)")
    }

    /// The first specification's events, beside those of the tasks, for uploads that ask for them (drive-v1, "WebSocket Events").
    @Test(arguments: Way.allCases) func whoAsksIsToldOfUploads(way: Way) async throws {
        let client = try await SharedServer.client("live-legacy-\(way)")
        let live = try await open(way, client)
        let content = bytes(10 * 65_536)
        let silent = try await client.begin(bytes(65_536))
        try await client.sendChunks(silent.indexes, of: silent)
        _ = try await client.finish(silent.taskId)

        let whole = try await client.begin(content, name: "document.pdf", more: ["legacyUploadEvents": true])
        try await client.sendChunks(whole.indexes, of: whole)
        let file = try await client.finish(whole.taskId)
        let given = try await client.begin(content, name: "given-up.pdf", more: ["legacyUploadEvents": true])
        _ = try await client.delete("/files/upload/task/\(given.taskId)")

        let events = try await live.packets { $0.type == "upload.failed" }.filter { $0.type.hasPrefix("upload.") }
        let size = JSONValue.integer(Int64(content.count))
        #expect(events.allSatisfy { $0.taskId != silent.taskId }, "nobody asked for it: \(events)")
        let (progress, ends) = (events.dropLast(2), events.suffix(2))
        #expect((1...10).contains(progress.count) && progress.allSatisfy { $0.type == "upload.progress" }, "\(events)")
        for event in progress {
            let chunks = try #require(event.data["chunksUploaded"]?.integer)
            #expect(
                event.data == [
                    "taskId": .string(whole.taskId), "fileName": "document.pdf", "fileSize": size, "chunksUploaded": .integer(chunks),
                    "chunksTotal": 10, "progress": event.data["progress"] ?? .null, "status": "InProgress",
                    "lastActivity": event.data["lastActivity"] ?? .null,
                ], "\(event)")
            #expect(Self.number(event.data["progress"]) == Double(chunks) * 10, "\(event)")
            #expect(event.data["lastActivity"]?.string.flatMap { Timestamp($0) } != nil, "\(event)")
        }
        #expect(progress.last?.data["chunksUploaded"] == 10)
        let task = try await client.task(whole.taskId)
        #expect(ends.first?.type == "upload.completed")
        #expect(
            ends.first?.data == [
                "taskId": .string(whole.taskId), "fileId": .string(file.id), "fileName": "document.pdf", "fileSize": size,
                "completedAt": .string(task.completedAt.map { "\($0)" } ?? ""),
            ], "\(ends)")
        let cancelled = try await client.task(given.taskId)
        #expect(
            ends.last?.data == [
                "taskId": .string(given.taskId), "fileName": "given-up.pdf", "fileSize": size,
                "failedAt": .string(cancelled.completedAt.map { "\($0)" } ?? ""),
                "errorMessage": .string(cancelled.errorMessage ?? ""),
            ], "\(ends)")
    }

    /// Few chunks, then silence: how far it came is told a second later, not with the next chunk.
    @Test func aSilenceHidesNothing() async throws {
        let client = try await SharedServer.client("live-silence")
        let live = try await LiveSocket.signedIn(client)
        let start = ContinuousClock.now
        let upload = try await client.begin(bytes(100 * 65_536))
        try await client.sendChunks(0..<9, of: upload)
        let seconds = Int((ContinuousClock.now - start) / .seconds(1))
        let seen = try await live.packets { Self.number($0.data["progress"]) == 9 }
        #expect(seen.count { $0.type == "task.progress" } <= 2 + seconds, "five points, the rest, and a step with each second: \(seen)")
    }

    private static func number(_ value: JSONValue?) -> Double? {
        switch value {
        case .double(let value): value
        case .integer(let value): Double(value)
        default: nil
        }
    }
}
