import DriveModel
import Testing

/// Offset retrieval (draft -11 §4.3) and cancellation (§4.5).
extension ResumableRow {
    static let retrievalRows: [ResumableRow] = [
        ResumableRow(47, "4.3.1", "MAY", "a client rejects an offset greater than what it has sent, so none is given") { scene in
            for sent in [0, 1, 70_000] {
                let (wire, upload) = try await scene.beginStreaming(100_000)
                await wire.send(bytes(sent))
                #expect(try await scene.offset(of: upload) <= sent)
            }
        },
        ResumableRow(50, "4.3.1", "SHOULD", "a client that cannot go on from the offset cancels the upload") { scene in
            let upload = try await scene.begin(bytes(10))
            _ = try await scene.offset(of: upload)
            #expect(try await scene.cancel(upload).status == 204)
        },
        ResumableRow(53, "4.3.1", "SHOULD NOT", "after a 4xx a client does not resume, so HEAD on a busy upload is none") { scene in
            let upload = try await scene.begin(bytes(10))
            let wire = try await scene.patchStreaming(upload, at: 10, true, length: 1000)
            await wire.send(bytes(100))
            for _ in 0..<3 { #expect(try await scene.retrieve(upload).status == 204) }
        },
        ResumableRow(55, "4.3.2", "MUST", "the response to HEAD includes Upload-Offset") { scene in
            for size in [0, 1, 100_000] {
                let upload = try await scene.begin(bytes(size))
                #expect(try await scene.offset(of: upload) == size)
            }
        },
        ResumableRow(56, "4.3.2", "MUST", "the response to HEAD includes Upload-Complete") { scene in
            let upload = try await scene.begin(bytes(10))
            #expect(try await scene.retrieve(upload).header("Upload-Complete") == "?0")
            try await scene.finish(upload, bytes(20), from: 10)
            try await scene.expectState(of: upload, offset: 20, isComplete: true)
        },
        ResumableRow(57, "4.3.2", "MUST", "the response to HEAD includes Upload-Length, unless the client has not supplied one") { scene in
            let known = try await scene.begin(bytes(10), ["Upload-Length: 20"])
            try await scene.expectState(of: known, offset: 10, isComplete: false, length: 20)
            let unknown = try await scene.begin(bytes(10))
            #expect(try await scene.retrieve(unknown).header("Upload-Length") == nil)
        },
        ResumableRow(58, "4.3.2", "MUST", "the response to HEAD indicates the limits in Upload-Limit") { scene in
            let reply = try await scene.retrieve(scene.begin())
            #expect(uploadLimits(reply)?["max-size"] != nil, "\(reply.headers)")
        },
        ResumableRow(59, "4.3.2", "SHOULD", "the response to HEAD includes Cache-Control: no-store") { scene in
            let reply = try await scene.retrieve(scene.begin())
            #expect(reply.header("Cache-Control") == "no-store", "\(reply.headers)")
        },
        ResumableRow(60, "4.3.2", "SHOULD NOT", "no 301 or 302 is generated for HEAD") { scene in
            let upload = try await scene.begin()
            for target in [upload, upload + "/", upload + "x", ResumableScene.target + "/"] {
                let reply = try await scene.retrieve(target)
                #expect(![301, 302].contains(reply.status), "\(target): \(reply)")
            }
        },
    ]

    static let cancellationRows: [ResumableRow] = [
        ResumableRow(82, "4.5.2", "SHOULD", "DELETE deactivates the upload resource") { scene in
            let upload = try await scene.begin(bytes(10))
            #expect(try await scene.cancel(upload).status == 204)
            try await scene.expectGone(upload, at: 10)
        },
        ResumableRow(83, "4.5.2", "SHOULD", "requests in flight are terminated before DELETE is answered") { scene in
            let upload = try await scene.begin(bytes(10))
            let append = try await scene.patchStreaming(upload, at: 10, true, length: 1000)
            await append.send(bytes(500))
            #expect(try await scene.cancel(upload).status == 204)
            try await append.waitForEnd(within: .seconds(4))
            try await scene.expectGone(upload, at: 10)

            let (creation, other) = try await scene.beginStreaming(1000)
            await creation.send(bytes(500))
            #expect(try await scene.cancel(other).status == 204)
            try await creation.waitForEnd(within: .seconds(4))
            try await scene.expectGone(other)
            try await scene.expectNoFile()
        },
        ResumableRow(84, "4.5.2", "SHOULD NOT", "no 301 or 302 is generated for DELETE") { scene in
            let upload = try await scene.begin()
            for target in [upload + "/", upload + "x", upload, upload] {
                let reply = try await scene.cancel(target)
                #expect(![nil, 301, 302].contains(reply.status), "\(target): \(reply)")
            }
        },
    ]
}
