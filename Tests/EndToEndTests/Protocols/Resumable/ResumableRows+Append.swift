import DriveModel
import Foundation
import Testing

/// Appending (draft -11 §4.4).
extension ResumableRow {
    static let appendRows: [ResumableRow] = [
        ResumableRow(61, "4.4.1", "MUST", "the offset is indicated by Upload-Offset; without it nothing is stored") { scene in
            let upload = try await scene.begin(bytes(10))
            let refused = try await scene.exchange(
                "PATCH", upload, [scene.completeness(false), "Content-Type: application/partial-upload"], body: bytes(5))
            #expect(refused.status == 400, "\(refused)")
            try await scene.expectState(of: upload, offset: 10, isComplete: false)
        },
        ResumableRow(63, "4.4.1", "MUST", "an append includes Upload-Complete; without it nothing completes") { scene in
            let upload = try await scene.begin(bytes(10))
            let reply = try await scene.patch(upload, at: 10, nil, bytes(5))
            #expect([204, 400].contains(reply.status), "\(reply)")
            try await scene.expectState(of: upload, offset: reply.status == 204 ? 15 : 10, isComplete: false)
            try await scene.expectNoFile()
        },
        ResumableRow(67, "4.4.1", "MAY", "a client that received no final response resumes by offset retrieval") { scene in
            let content = bytes(300_000)
            let upload = try await scene.begin(Array(content[..<1000]))
            let wire = try await scene.patchStreaming(upload, at: 1000, true, length: 299_000)
            await wire.send(Array(content[1000..<200_000]))
            await wire.cut()
            let offset = try await scene.offset(of: upload)
            #expect((1000...200_000).contains(offset))
            try await scene.finish(upload, content, from: offset)
        },
    ]

    static let appendResponseRows: [ResumableRow] = [
        ResumableRow(68, "4.4.2", "SHOULD", "of an interrupted append as much as possible is appended, from its beginning") { scene in
            let content = bytes(300_000)
            let upload = try await interruptedAppend(scene, content, first: 1000, until: 123_457)
            try await scene.expectState(of: upload, offset: 123_457, isComplete: false)
            try await scene.finish(upload, content, from: 123_457)
        },
        ResumableRow(69, "4.4.2", "MUST NOT", "an upload resource whose append was interrupted is not complete") { scene in
            let content = bytes(300_000)
            let upload = try await interruptedAppend(scene, content, first: 1000, until: content.count - 1)
            try await scene.expectState(of: upload, offset: content.count - 1, isComplete: false)
            try await scene.expectNoFile()
        },
        ResumableRow(70, "4.4.2", "MUST", "an append at another offset is rejected with 409") { scene in
            let upload = try await scene.begin(bytes(10))
            for offset in [0, 9, 11, 999_999_999_999_999] {
                for complete in [true, false] { #expect(try await scene.patch(upload, at: offset, complete, [1]).status == 409) }
            }
        },
        ResumableRow(71, "4.4.2", "MUST", "the 409 includes the correct offset in Upload-Offset") { scene in
            let upload = try await scene.begin(bytes(10))
            for offset in [9, 11] {
                let refused = try await scene.patch(upload, at: offset, true, [1])
                #expect(refused.header("Upload-Offset") == "10", "\(refused)")
                #expect(scene.completeness(of: refused.final) == false, "\(refused)")
            }
            try await scene.expectState(of: upload, offset: 10, isComplete: false)
            try await scene.finish(upload, bytes(20), from: 10)
        },
        ResumableRow(72, "4.4.2", "MUST NOT", "an append does not modify an upload resource that is complete") { scene in
            let (upload, file) = try await completeUpload(scene)
            for offset in [0, 50, 100] {
                for complete in [true, false] { _ = try await scene.patch(upload, at: offset, complete, Array("x".utf8)) }
            }
            try await scene.expectState(of: upload, offset: 100, isComplete: true)
            try await scene.client.expectContent(bytes(100), of: file)
            #expect(try await scene.files() == [file])
        },
        ResumableRow(73, "4.4.2", "MUST", "an append to an upload resource that is complete is rejected") { scene in
            let (upload, _) = try await completeUpload(scene)
            for offset in [0, 50, 100] {
                let refused = try await scene.patch(upload, at: offset, false, Array("x".utf8))
                #expect(refused.status == 400, "\(refused)")
            }
        },
        ResumableRow(74, "4.4.2", "MUST", "an append of bytes to a complete upload is an inconsistent length") { scene in
            let (upload, _) = try await completeUpload(scene)
            expectInconsistentLength(try await scene.patch(upload, at: 100, true, Array("x".utf8)))
        },
        ResumableRow(75, "4.4.2", "SHOULD", "the completing append is answered as the initial target would have answered") { scene in
            let fields = ["Content-Disposition: inline; filename=\"same.bin\"", "Content-Type: image/png"]
            let plain = try await scene.speaking(nil).exchange("POST", ResumableScene.target, fields, body: bytes(100))
            let one = try await scene.expectFile(bytes(100), in: plain)
            let upload = try await scene.begin([], fields)
            let completed = try await scene.patch(upload, at: 0, true, bytes(100))
            let other = try await scene.expectFile(bytes(100), in: completed)
            #expect(completed.status == plain.status)
            #expect(completed.header("Content-Type") == plain.header("Content-Type"))
            #expect([other.name, other.contentType] == [one.name, one.contentType])
            #expect([one.name, one.contentType] == ["same.bin", "image/png"])
        },
        ResumableRow(76, "4.4.2", "MUST", "the response to the completing append includes Upload-Complete: ?1, also where it failed") {
            scene in
            let upload = try await scene.begin(bytes(10))
            #expect(try await scene.patch(upload, at: 10, true, bytes(10)).header("Upload-Complete") == "?1")
            let wrong = try await scene.begin([], ["Repr-Digest: \(contentDigest(sha256: bytes(11)))"])
            let failed = try await scene.patch(wrong, at: 0, true, bytes(10))
            #expect((400..<500).contains(failed.status ?? 0), "\(failed)")
            #expect(failed.header("Upload-Complete") == "?1", "\(failed)")
        },
        ResumableRow(77, "4.4.2", "MUST", "the length that an append indicates is recorded") { scene in
            let content = bytes(1000)
            let upload = try await interruptedAppend(scene, content, first: 100, until: 300)
            try await scene.expectState(of: upload, offset: 300, isComplete: false, length: 1000)
        },
        ResumableRow(78, "4.4.2", "MUST", "an append that exceeds the known length is rejected, and the upload resource is invalid") {
            scene in
            let upload = try await scene.begin([], ["Upload-Length: 100"])
            let fields = scene.appending(at: 0, false) + ["Transfer-Encoding: chunked"]
            let refused = try await scene.open("PATCH", upload, fields, sending: chunked(bytes(101))).exchange()
            expectInconsistentLength(refused)
            try await scene.expectGone(upload, at: 100)
            try await scene.expectNoFile()
        },
        ResumableRow(79, "4.4.2", "SHOULD", "while content is received, 104s carry Upload-Offset") { scene in
            let (upload, wire) = try await slowAppend(scene)
            let (reply, sent) = try await ResumableProgress.first(on: wire)
            try ResumableProgress.expect(try #require(reply, "no 104 while \(sent) bytes came"), scene, within: 11...10 + sent)
            #expect(try await scene.offset(of: upload) <= 10 + sent)
        },
        ResumableRow(80, "4.4.2", "MUST NOT", "the 104s to an append do not include Location") { scene in
            let (_, wire) = try await slowAppend(scene)
            let (reply, sent) = try await ResumableProgress.first(on: wire)
            let progress = try #require(reply, "no 104 while \(sent) bytes came")
            #expect(progress.status == 104 && progress.header("Location") == nil, "\(progress.headers)")
        },
        ResumableRow(81, "4.4.2", "fact", "a 2xx with Upload-Complete: ?0 acknowledges an incomplete append") { scene in
            let upload = try await scene.begin()
            let taken = try await scene.patch(upload, at: 0, false, bytes(10))
            #expect(taken.status == 204 && taken.header("Upload-Complete") == "?0", "\(taken)")
            #expect(taken.header("Upload-Offset") == "10", "tus-js-client asks for it: \(taken)")
        },
    ]

    /// An upload whose completing append ends early, which the server has seen.
    private static func interruptedAppend(
        _ scene: ResumableScene, _ content: [UInt8], first: Int, until end: Int
    ) async throws -> String {
        let upload = try await scene.begin(Array(content[..<first]))
        let wire = try await scene.patchStreaming(upload, at: first, true, length: content.count - first)
        await wire.send(Array(content[first..<end]))
        await wire.finishSending()
        try await wire.waitForEnd(within: .seconds(15))
        return upload
    }

    /// An upload of 100 bytes that is complete, and its file.
    static func completeUpload(_ scene: ResumableScene) async throws -> (upload: String, file: CloudFile) {
        let upload = try await scene.begin()
        return (upload, try await scene.finish(upload, bytes(100), from: 0))
    }

    private static func slowAppend(_ scene: ResumableScene) async throws -> (upload: String, wire: ResumableWire) {
        let upload = try await scene.begin(bytes(10))
        return (upload, try await scene.patchStreaming(upload, at: 10, true, length: ResumableProgress.length))
    }
}
