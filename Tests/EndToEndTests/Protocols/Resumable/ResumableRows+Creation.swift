import DriveModel
import Testing

/// Creation (draft -11 §4.2).
extension ResumableRow {
    static let creationRows: [ResumableRow] = [
        ResumableRow(31, "4.2.1", "RECOMMENDED", "a file name comes in Content-Disposition, of the type inline") { scene in
            for (value, name) in [
                ("inline; filename=\"plain.bin\"", "plain.bin"), ("attachment; filename=\"attached.bin\"", "attached.bin"),
                ("inline; filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
                ("inline; filename=\"fallback.txt\"; filename*=UTF-8''%c3%bcber.txt", "über.txt"),
            ] {
                let created = try await scene.create(
                    true, bytes(100), ["Content-Disposition: \(value)", "Content-Type: image/png"])
                let file = try await scene.expectFile(bytes(100), in: created)
                #expect(file.name == name)
                #expect(file.contentType == "image/png")
            }
        },
        ResumableRow(33, "4.2.1", "MAY", "a client without a final response resumes by offset retrieval, by the URI of the 104") { scene in
            let content = bytes(200_000)
            let (wire, upload) = try await scene.beginStreaming(content.count, ["Content-Disposition: inline; filename=\"cut.bin\""])
            await wire.send(Array(content[..<90_000]))
            await wire.cut()
            let offset = try await scene.offset(of: upload)
            #expect(offset <= 90_000)
            #expect(try await scene.finish(upload, content, from: offset).name == "cut.bin")
        },
    ]

    static let creationResponseRows: [ResumableRow] = [
        ResumableRow(34, "4.2.2", "SHOULD", "an upload resource is announced by a 104, before the body") { scene in
            for complete in [true, false] {
                let wire = try await scene.open("POST", ResumableScene.target, [scene.completeness(complete), "Content-Length: 10"])
                #expect(try await wire.next()?.status == 104)
                await wire.send(bytes(10))
                #expect(try await wire.exchange().status == 201)
            }
        },
        ResumableRow(35, "4.2.2", "MUST", "the 104 includes the Location of the upload resource") { scene in
            let (_, upload) = try await scene.beginStreaming(1000)
            #expect(try await scene.retrieve(upload).status == 204)
        },
        ResumableRow(36, "4.2.2", "MUST", "the 104 includes Upload-Limit where limits exist") { scene in
            let created = try await scene.create(true, bytes(10))
            #expect(uploadLimits(created.resumptions.first)?["max-size"] != nil, "\(created)")
        },
        ResumableRow(37, "4.2.2", "MUST", "the final response to an incomplete creation includes Location") { scene in
            let upload = try await scene.begin(bytes(10))
            try await scene.expectState(of: upload, offset: 10, isComplete: false)
        },
        ResumableRow(38, "4.2.2", "MUST", "the final response to an incomplete creation includes Upload-Limit where limits exist") {
            scene in
            let created = try await scene.create(false, bytes(10))
            #expect(uploadLimits(created.final)?["max-size"] != nil, "\(created)")
        },
        ResumableRow(39, "4.2.2", "RECOMMENDED", "the status of that response is 201") { scene in
            for method in ["POST", "PUT"] {
                let created = try await scene.create(false, bytes(10), method: method)
                #expect(created.status == 201, "\(created)")
            }
        },
        ResumableRow(40, "4.2.2", "MUST", "the length that Upload-Length or a complete request indicates is recorded") { scene in
            let (wire, upload) = try await scene.beginStreaming(100)
            await wire.send(bytes(40))
            await wire.finishSending()
            try await wire.waitForEnd(within: .seconds(15))
            try await scene.expectState(of: upload, offset: 40, isComplete: false, length: 100)
            let other = try await scene.begin([], ["Upload-Length: 77"])
            try await scene.expectState(of: other, offset: 0, isComplete: false, length: 77)
        },
        ResumableRow(41, "4.2.2", "MAY", "while content is received, more 104s carry the current Upload-Offset") { scene in
            let (wire, _) = try await scene.beginStreaming(ResumableProgress.length)
            let (reply, sent) = try await ResumableProgress.first(on: wire)
            let progress = try #require(reply, "no 104 while \(sent) bytes came")
            try ResumableProgress.expect(progress, scene, within: 1...sent)
        },
        ResumableRow(42, "4.2.2", "MUST", "interim and final responses of one request have an identical Location") { scene in
            let created = try await scene.create(false, bytes(10))
            let interim = try #require(created.resumptions.first?.header("Location"), "\(created)")
            #expect(created.header("Location") == interim)
        },
        ResumableRow(45, "4.2.2", "SHOULD", "of an interrupted request as much as possible is appended") { scene in
            let (wire, upload) = try await scene.beginStreaming(1 << 20)
            await wire.send(bytes(700_000))
            await wire.finishSending()
            try await wire.waitForEnd(within: .seconds(15))
            try await scene.expectState(of: upload, offset: 700_000, isComplete: false, length: 1 << 20)
        },
        ResumableRow(46, "4.2.2", "MUST NOT", "an upload resource whose request was interrupted is not complete") { scene in
            let (wire, upload) = try await scene.beginStreaming(100)
            await wire.send(bytes(99))
            await wire.finishSending()
            try await wire.waitForEnd(within: .seconds(15))
            try await scene.expectState(of: upload, offset: 99, isComplete: false, length: 100)

            // All bytes are there, but the coding does not end.
            let (second, other) = try await scene.beginStreaming(nil)
            await second.send(chunked(bytes(5000), isWhole: false))
            await second.finishSending()
            try await second.waitForEnd(within: .seconds(15))
            try await scene.expectState(of: other, offset: 5000, isComplete: false)
            try await scene.expectNoFile()
        },
    ]
}

/// Interim responses that tell how far a body has come.
enum ResumableProgress {
    /// Bytes of a request that is long enough: more than is ever sent while one waits.
    static let length = 16 << 20
    private static let piece = 64 << 10

    /// Sends slowly until a response comes, and says how many bytes that took.
    static func first(on wire: ResumableWire) async throws -> (reply: Reply?, sent: Int) {
        let found = Box<Reply?>()
        let reader = Task { found.fill(try? await wire.next(within: .seconds(20))) }
        defer { reader.cancel() }
        var sent = 0
        while found.current == nil && sent + piece < length {
            await wire.send(bytes(piece))
            sent += piece
            try await Task.sleep(for: .milliseconds(150))
        }
        return (try await found.value(), sent)
    }

    static func expect(
        _ reply: Reply, _ scene: ResumableScene, within offsets: ClosedRange<Int>, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(reply.status == 104, "\(reply)", sourceLocation: sourceLocation)
        #expect(reply.header("Upload-Draft-Interop-Version") == scene.version, sourceLocation: sourceLocation)
        #expect(reply.header("Location") == nil, "\(reply.headers)", sourceLocation: sourceLocation)
        let offset = try #require(
            reply.header("Upload-Offset").flatMap { Int($0) }, "\(reply.headers)", sourceLocation: sourceLocation)
        #expect(offsets.contains(offset), sourceLocation: sourceLocation)
    }
}
