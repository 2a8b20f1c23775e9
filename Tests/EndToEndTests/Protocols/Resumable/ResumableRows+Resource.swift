import DriveModel
import Foundation
import TestSupport
import Testing

/// The upload resource and its state (draft -11 §4, §4.1.1 to §4.1.3).
extension ResumableRow {
    static let resourceRows: [ResumableRow] = [
        ResumableRow(1, "4", "SHOULD", "keep the upload resource available for a reasonable time after the upload is complete") { _ in
            let data = try DataFolder.make("resumable-complete")
            defer { data.remove() }
            let token = try await data.token(account: "a")
            let upload = try await withServer("resumable-complete", data: data) { server in
                let (wire, upload) = try await ResumableScene.on(server, token: token).beginStreaming(70_000)
                await wire.send(bytes(70_000))
                try await ResumableScene.on(server, token: token).expectFile(bytes(70_000), in: wire.exchange())
                try await ResumableScene.on(server, token: token).expectState(of: upload, offset: 70_000, isComplete: true, length: 70_000)
                return upload
            }
            try await withServer("resumable-complete", data: data) { server in
                try await ResumableScene.on(server, token: token).expectState(of: upload, offset: 70_000, isComplete: true, length: 70_000)
            }
        },
        ResumableRow(2, "4", "SHOULD", "an upload resource is unique") { scene in
            let uploads = try await together(16) { _ in try await scene.begin() }
            #expect(Set(uploads).count == 16)
        },
        ResumableRow(3, "4", "SHOULD", "the reuse of a URI for a different upload resource is avoided") { scene in
            let old = try await scene.begin(bytes(10))
            #expect(try await scene.cancel(old).status == 204)
            let others = try await together(16) { _ in try await scene.begin() }
            #expect(!others.contains(old))
            try await scene.expectGone(old, at: 10)
        },
        ResumableRow(4, "4.1.1", "MUST NOT", "the offset does not decrease") { _ in try await offsetsAcrossAKill() },
        ResumableRow(5, "4.1.1", "MUST", "a server that loses part of the state deactivates the upload resource") { _ in
            let data = try DataFolder.make("resumable-loss")
            defer { data.remove() }
            let token = try await data.token(account: "a")
            let size = 2 << 20
            let upload = try await withServer("resumable-loss", data: data) { server in
                try await ResumableScene.on(server, token: token).begin(bytes(size), ["Upload-Length: \(2 * size)"])
            }
            try #require(!data.stagedFiles.isEmpty, "where are the bytes of an unfinished upload?")
            for file in data.stagedFiles {
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(data.path)/\(file)"))
                try handle.truncate(atOffset: UInt64(size / 2))
                try handle.close()
            }
            try await withServer("resumable-loss", data: data, checks: false) { server in
                try await ResumableScene.on(server, token: token).expectGone(upload, at: size)
            }
        },
        ResumableRow(6, "4.1.1", "MUST", "an Upload-Offset that is no non-negative Integer is ignored entirely") { scene in
            let upload = try await scene.begin(bytes(5))
            let more = [scene.completeness(false), "Content-Type: application/partial-upload"]
            let values = ["-1", "abc", "5.0", "\"5\"", "?1", "5, 5", "5 5", "", "0000000000000005", "5;X=1", ":NQ==:"]
            for offset in values.map({ ["Upload-Offset: \($0)"] }) + [["Upload-Offset: 5", "Upload-Offset: 5"]] {
                let refused = try await scene.exchange("PATCH", upload, offset + more, body: [1, 2, 3])
                #expect(refused.status == 400, "\(offset): \(refused)")
                try await scene.expectState(of: upload, offset: 5, isComplete: false)
            }
            for (value, offset) in [("5;x=y", 8), ("008", 11), ("11;a;b=\"c\"", 14)] {
                let taken = try await scene.exchange("PATCH", upload, ["Upload-Offset: \(value)"] + more, body: [1, 2, 3])
                #expect(taken.status == 204, "\(value): \(taken)")
                try await scene.expectState(of: upload, offset: offset, isComplete: false)
            }
        },
        ResumableRow(7, "4.1.2", "MUST", "an Upload-Complete that is no Boolean is ignored entirely") { scene in
            let values = ["true", "1", "?2", "?1, ?1", "\"?1\"", "?1;X=1"]
            for complete in values.map({ ["Upload-Complete: \($0)"] }) + [["Upload-Complete: ?1", "Upload-Complete: ?1"]] {
                let plain = try await scene.exchange("POST", ResumableScene.target, complete, body: bytes(100))
                #expect(plain.resumptions.isEmpty, "\(complete): \(plain)")
                try await scene.expectFile(bytes(100), in: plain)
            }
            let valid = try await scene.exchange("POST", ResumableScene.target, ["Upload-Complete: ?1;a=b"], body: bytes(100))
            #expect(valid.resumptions.count == 1, "\(valid)")
            try await scene.expectFile(bytes(100), in: valid)
        },
        ResumableRow(8, "4.1.3", "SHOULD", "the length is communicated as soon as it becomes known, also by a later request") { scene in
            let upload = try await scene.begin()
            #expect(try await scene.retrieve(upload).header("Upload-Length") == nil)
            let taken = try await scene.patch(upload, at: 0, false, bytes(10), ["Upload-Length: 30"])
            #expect(taken.status == 204, "\(taken)")
            try await scene.expectState(of: upload, offset: 10, isComplete: false, length: 30)
        },
        ResumableRow(9, "4.1.3", "MUST", "an Upload-Length that is no non-negative Integer is ignored entirely") { scene in
            for value in ["abc", "-1", "10.0", "\"10\"", "10, 10", "1000000000000000"] {
                let upload = try await scene.begin(bytes(5), ["Upload-Length: \(value)"])
                #expect(try await scene.retrieve(upload).header("Upload-Length") == nil, "\(value)")
            }
            let upload = try await scene.begin(bytes(5), ["Upload-Length: 010;a=b"])
            try await scene.expectState(of: upload, offset: 5, isComplete: false, length: 10)
        },
        ResumableRow(10, "4.1.3", "MUST", "the lengths by Content-Length and by Upload-Length of one request match") { scene in
            for length in [9, 11] {
                let refused = try await scene.create(true, bytes(10), ["Upload-Length: \(length)"])
                expectInconsistentLength(refused)
            }
            try await scene.expectNoFile()
        },
        ResumableRow(11, "4.1.3", "MUST", "the lengths that several requests indicate match") { scene in
            let upload = try await scene.begin([], ["Upload-Length: 100"])
            expectInconsistentLength(try await scene.patch(upload, at: 0, false, bytes(10), ["Upload-Length: 101"]))
            try await scene.expectState(of: upload, offset: 0, isComplete: false, length: 100)
            for size in [99, 101] { expectInconsistentLength(try await scene.patch(upload, at: 0, true, bytes(size))) }
            try await scene.expectState(of: upload, offset: 0, isComplete: false, length: 100)
            try await scene.expectNoFile()
            try await scene.finish(upload, bytes(100), from: 0)
        },
    ]

    /// A 400 whose problem, where it has one, is that of §7.3.
    static func expectInconsistentLength(_ exchange: ResumableExchange, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(exchange.status == 400, "\(exchange)", sourceLocation: sourceLocation)
        guard let reply = exchange.final, reply.header("Content-Type")?.hasPrefix("application/problem+json") == true else { return }
        let problem = reply.json
        #expect(problem["type"] == .string(problemType("inconsistent-upload-length")), "\(reply)", sourceLocation: sourceLocation)
    }

    static func problemType(_ name: String) -> String { "https://iana.org/assignments/http-problem-types#\(name)" }

    /// Every offset of one upload that is cut off, refused, and whose server is killed.
    private static func offsetsAcrossAKill() async throws {
        let content = bytes(300_000)
        try await Slots.servers.with {
            let data = try DataFolder.make("resumable-kill")
            defer { data.remove() }
            let token = try await data.token(account: "a")
            let first = try await ServerProcess.start(data)
            defer { first.kill() }
            let upload = try await ResumableScene.on(first, token: token).begin(Array(content[..<10_000]))
            var offsets = [10_000, try await ResumableScene.on(first, token: token).offset(of: upload)]
            let wire = try await ResumableScene.on(first, token: token).patchStreaming(upload, at: 10_000, true, length: 290_000)
            await wire.send(Array(content[10_000..<160_000]))
            await wire.finishSending()
            try await wire.waitForEnd(within: .seconds(15))
            offsets.append(try await ResumableScene.on(first, token: token).offset(of: upload))
            let refused = try await ResumableScene.on(first, token: token).patch(upload, at: 0, false, [1])
            offsets.append(try #require(refused.header("Upload-Offset").flatMap { Int($0) }, "\(refused)"))
            first.kill()
            _ = try await first.waitForEnd()

            let second = try await ServerProcess.start(data)
            defer { second.kill() }
            offsets.append(try await ResumableScene.on(second, token: token).offset(of: upload))
            #expect(offsets == offsets.sorted(), "\(offsets)")
            try await ResumableScene.on(second, token: token).finish(upload, content, from: try #require(offsets.last))
            try await second.terminate()
            try await data.expectClean()
        }
    }
}
