import DriveModel
import Testing

/// How bodies are framed: with a length, in chunks, after a 100 (Continue), and by HTTP/1.0.
@Suite struct ResumableFramingTests {
    private static let coding = "Transfer-Encoding: chunked"

    @Test(arguments: ["3", "5", "6", "7", "8", nil], [true, false])
    func aChunkedCreation(_ version: String?, _ hasLength: Bool) async throws {
        let scene = try await ResumableScene.shared("resumable-chunked-\(version ?? "none")-\(hasLength)", version: version)
        let content = bytes(100_000)
        let fields = [Self.coding] + (hasLength ? ["Upload-Length: \(content.count)"] : [])
        let whole = try await scene.open(
            "POST", ResumableScene.target, fields + [scene.completeness(true)], sending: chunked(content)
        ).exchange()
        try await scene.expectFile(content, in: whole)
        let part = try await scene.open(
            "POST", ResumableScene.target, fields + [scene.completeness(false)], sending: chunked(Array(content[..<1000]), pieces: 7)
        ).exchange()
        #expect(part.status == 201, "\(part)")
        let upload = try scene.target(in: part.final)
        try await scene.expectState(of: upload, offset: 1000, isComplete: false)
        let rest = try await scene.open(
            "PATCH", upload, scene.appending(at: 1000, true) + [Self.coding], sending: chunked(Array(content[1000...]), pieces: 65_537)
        ).exchange()
        try await scene.expectFile(content, in: rest)
    }

    /// A chunked body that ends before the length that was declared is not the whole.
    @Test func aChunkedBodyThatIsTooShort() async throws {
        let scene = try await ResumableScene.shared("resumable-chunked-short")
        let created = try await scene.open(
            "POST", ResumableScene.target, [scene.completeness(true), Self.coding, "Upload-Length: 101"], sending: chunked(bytes(100))
        ).exchange()
        ResumableRow.expectInconsistentLength(created)
        try await scene.expectNoFile()
    }

    /// Nothing beyond the length is kept, and from version 7 on (draft -08) nothing else either.
    @Test(arguments: ["6", "7", "8"], [true, false]) func aChunkedBodyThatIsTooLong(_ version: String, _ isCreation: Bool) async throws {
        let scene = try await ResumableScene.shared("resumable-chunked-long-\(version)-\(isCreation)", version: version)
        let (reply, upload): (ResumableExchange, String)
        if isCreation {
            let (wire, target) = try await scene.beginStreaming(nil, ["Upload-Length: 100000"])
            await wire.send(chunked(bytes(100_001)))
            (reply, upload) = (try await wire.exchange(), target)
        } else {
            upload = try await scene.begin(bytes(10), ["Upload-Length: 100000"])
            reply = try await scene.open(
                "PATCH", upload, scene.appending(at: 10, true) + [Self.coding], sending: chunked(Array(bytes(100_001)[10...]))
            ).exchange()
        }
        ResumableRow.expectInconsistentLength(reply)
        if version == "6" {
            let state = try await scene.retrieve(upload)
            #expect(state.status == 204, "\(state)")
            #expect(try #require(state.header("Upload-Offset").flatMap { Int($0) }) <= 100_000)
            #expect(scene.completeness(of: state) == false)
        } else {
            try await scene.expectGone(upload, at: 100_000)
        }
        try await scene.expectNoFile()
    }

    /// A length that tells before the body that it is too long costs nothing.
    @Test func aContentLengthThatIsTooLongIsRefusedBeforeTheBody() async throws {
        let scene = try await ResumableScene.shared("resumable-length-long")
        let upload = try await scene.begin(bytes(10), ["Upload-Length: 100"])
        let refused = try await scene.open("PATCH", upload, scene.appending(at: 10, false) + ["Content-Length: 91"]).exchange()
        ResumableRow.expectInconsistentLength(refused)
        try await scene.expectState(of: upload, offset: 10, isComplete: false, length: 100)
        try await scene.finish(upload, bytes(100), from: 10)
    }

    /// All bytes are there, but nobody has said that it is the end.
    @Test func theLengthAloneDoesNotComplete() async throws {
        let scene = try await ResumableScene.shared("resumable-length-alone")
        let upload = try await scene.begin(bytes(100), ["Upload-Length: 100"])
        try await scene.expectState(of: upload, offset: 100, isComplete: false, length: 100)
        try await scene.expectNoFile()
        try await scene.expectFile(bytes(100), in: scene.patch(upload, at: 100, true))
    }

    @Test(arguments: ["3", "5", "6", "7", "8"]) func expectationGetsBothInterimResponses(_ version: String) async throws {
        let scene = try await ResumableScene.shared("resumable-expect", version: version)
        let wire = try await scene.open(
            "POST", ResumableScene.target, [scene.completeness(true), "Content-Length: 100", "Expect: 100-continue"])
        let statuses = Set([try await wire.next()?.status, try await wire.next()?.status])
        #expect(statuses == [100, 104])
        await wire.send(bytes(100))
        try await scene.expectFile(bytes(100), in: wire.exchange())
    }

    /// A refusal comes instead of the 100, and no byte of the body is asked for.
    @Test func aRefusedExpectationGetsNo100() async throws {
        let scene = try await ResumableScene.shared("resumable-expect-refused")
        let upload = try await scene.begin(bytes(10))
        let refused = try await scene.open(
            "PATCH", upload, scene.appending(at: 9, true) + ["Content-Length: 100000", "Expect: 100-continue"]
        ).exchange()
        #expect(refused.status == 409, "\(refused)")
        #expect(refused.interim.isEmpty, "\(refused)")
    }

    /// RFC 9110 §15.2: no interim response to HTTP/1.0.
    @Test func http10GetsNo104() async throws {
        let scene = try await ResumableScene.shared("resumable-http10")
        let created = try await scene.exchange(
            "POST", ResumableScene.target, [scene.completeness(true)], body: bytes(1000), http: "HTTP/1.0")
        #expect(created.interim.isEmpty, "\(created)")
        try await scene.expectFile(bytes(1000), in: created)
        let part = try await scene.exchange(
            "POST", ResumableScene.target, [scene.completeness(false)], body: bytes(10), http: "HTTP/1.0")
        #expect(part.interim.isEmpty, "\(part)")
        try await scene.finish(scene.target(in: part.final), bytes(20), from: 10)
    }

    /// `Incremental` (draft -12) changes nothing.
    @Test func incrementalIsTakenAndIgnored() async throws {
        let scene = try await ResumableScene.shared("resumable-incremental")
        try await scene.expectFile(bytes(100), in: scene.create(true, bytes(100), ["Incremental: ?1"]))
    }

    /// The gateways' prefix is kept in the address.
    @Test func theOtherPrefixIsKept() async throws {
        let scene = try await ResumableScene.shared("resumable-prefix")
        let created = try await scene.exchange("POST", "/drive/uploads", [scene.completeness(false)], body: bytes(10))
        let location = try #require(created.header("Location"), "\(created)")
        let origin = "http://127.0.0.1:\(scene.port)"
        #expect(location.hasPrefix("\(origin)/drive/uploads/"), "\(location)")
        try await scene.finish(String(location.dropFirst(origin.count)), bytes(20), from: 10)
    }
}
