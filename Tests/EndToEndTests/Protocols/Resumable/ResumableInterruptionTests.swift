import DriveModel
import Testing

/// How a client can leave in the middle of a body.
enum ResumableBreak: String, CaseIterable, Sendable {
    case close, halfClose, reset

    func apply(_ wire: ResumableWire) async throws {
        switch self {
        case .close: await wire.cut()
        case .reset: await wire.reset()
        case .halfClose:
            await wire.finishSending()
            try await wire.waitForEnd(within: .seconds(15))
        }
    }
}

/// Bodies that break off, and bodies that stand still until another request comes.
@Suite struct ResumableInterruptionTests {
    static let size = 200_000
    /// Around the sizes at which buffers, blocks and small files end.
    static let cuts = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_072, 199_999]

    @Test(arguments: cuts, ResumableBreak.allCases) func aCreationThatBreaksOffResumes(_ cut: Int, _ ending: ResumableBreak) async throws {
        let scene = try await ResumableScene.shared("resumable-cut-creation")
        let content = bytes(Self.size, seed: UInt64(cut))
        let (wire, upload) = try await scene.beginStreaming(Self.size)
        await wire.send(Array(content[..<cut]))
        try await ending.apply(wire)
        try await expectResumable(scene, upload, content, from: 0, until: cut, ending)
    }

    @Test(arguments: cuts, ResumableBreak.allCases) func anAppendThatBreaksOffResumes(_ cut: Int, _ ending: ResumableBreak) async throws {
        let scene = try await ResumableScene.shared("resumable-cut-append")
        let content = bytes(Self.size + 10, seed: UInt64(cut) + 1)
        let upload = try await scene.begin(Array(content[..<10]))
        let wire = try await scene.patchStreaming(upload, at: 10, true, length: Self.size)
        await wire.send(Array(content[10..<10 + cut]))
        try await ending.apply(wire)
        try await expectResumable(scene, upload, content, from: 10, until: 10 + cut, ending)
    }

    /// A body that is whole counts, whether or not its client waits for the response.
    @Test(arguments: ResumableBreak.allCases) func aWholeBodyCompletesWithoutItsClient(_ ending: ResumableBreak) async throws {
        let scene = try await ResumableScene.shared("resumable-cut-end-\(ending)")
        let content = bytes(Self.size)
        let (wire, upload) = try await scene.beginStreaming(Self.size)
        await wire.send(content)
        try await ending.apply(wire)
        if ending == .halfClose {
            try await scene.expectFile(content, in: wire.exchange())
            try await scene.expectState(of: upload, offset: Self.size, isComplete: true, length: Self.size)
        } else {
            // Nobody waited for the end of it: it may be being completed, which is 423.
            var state = try await scene.retrieve(upload)
            try await eventually(within: .seconds(10), "the state") {
                state = try await scene.retrieve(upload)
                return state.status != 423
            }
            #expect(state.status == 204, "\(state)")
            if scene.completeness(of: state) == false {
                try await scene.finish(upload, content, from: try #require(state.header("Upload-Offset").flatMap { Int($0) }))
            }
            let files = try await scene.files()
            try #require(files.count == 1)
            try await scene.client.expectContent(content, of: files[0])
        }
    }

    /// Content whose digest was promised is not kept without it.
    @Test func aPartOfCheckedContentIsNotKept() async throws {
        let scene = try await ResumableScene.shared("resumable-cut-digest")
        let content = bytes(Self.size)
        let upload = try await scene.begin(Array(content[..<10]))
        let rest = Array(content[10...])
        let fields = scene.appending(at: 10, true) + ["Content-Length: \(rest.count)", "Content-Digest: \(contentDigest(sha256: rest))"]
        let wire = try await scene.open("PATCH", upload, fields, sending: Array(rest[..<100_000]))
        await wire.finishSending()
        try await wire.waitForEnd(within: .seconds(15))
        try await scene.expectState(of: upload, offset: 10, isComplete: false)
        try await scene.finish(upload, content, from: 10)
    }

    enum Newer: String, CaseIterable, Sendable {
        case retrieval, append, cancellation
    }

    /// The connection of a phone that changed its network stays open for minutes: the next request does not wait for it.
    @Test(arguments: Newer.allCases, [true, false]) func aStalledRequestIsTakenOver(_ newer: Newer, _ isCreation: Bool) async throws {
        let scene = try await ResumableScene.shared("resumable-stall-\(newer)-\(isCreation)")
        let content = bytes(Self.size)
        let (wire, upload): (ResumableWire, String)
        if isCreation {
            (wire, upload) = try await scene.beginStreaming(Self.size)
        } else {
            upload = try await scene.begin()
            wire = try await scene.patchStreaming(upload, at: 0, true, length: Self.size)
        }
        await wire.send(Array(content[..<50_000]))
        let start = ContinuousClock.now
        switch newer {
        case .cancellation:
            #expect(try await scene.cancel(upload).status == 204)
            try await scene.expectNoFile()
        case .retrieval:
            let offset = try await scene.offset(of: upload)
            #expect(offset <= 50_000)
            try await scene.finish(upload, content, from: offset)
        case .append:
            // Where the client believes that nothing came, the old request ends all the same.
            let refused = try await scene.patch(upload, at: Self.size - 1, true, [1])
            #expect(refused.status == 409, "\(refused)")
            let offset = try #require(refused.header("Upload-Offset").flatMap { Int($0) }, "\(refused)")
            try await scene.finish(upload, content, from: offset)
        }
        // The stall timeout of the server of all tests is 5 s: it was not that.
        #expect(ContinuousClock.now - start < .seconds(4))
        let reply = try await wire.exchange(within: .seconds(2))
        #expect(reply.final == nil, "dropped, so that the client asks again: \(reply)")
    }

    /// The bytes that came before a stall are not lost with it: those that an interim response told of, at the least.
    @Test func whatWasAcknowledgedIsKept() async throws {
        let scene = try await ResumableScene.shared("resumable-stall-kept")
        let (wire, upload) = try await scene.beginStreaming(ResumableProgress.length)
        let (progress, sent) = try await ResumableProgress.first(on: wire)
        let told = try #require(progress?.header("Upload-Offset").flatMap { Int($0) })
        await wire.reset()
        let offset = try await scene.offset(of: upload)
        #expect((told...sent).contains(offset))
    }

    private func expectResumable(
        _ scene: ResumableScene, _ upload: String, _ content: [UInt8], from start: Int, until end: Int, _ ending: ResumableBreak
    ) async throws {
        let offset = try await scene.offset(of: upload)
        // A reset discards what the server has not read, and a request that comes fast may do so too.
        #expect(ending == .halfClose ? offset == end : (start...end).contains(offset), "\(offset) of \(start)...\(end)")
        try await scene.expectState(of: upload, offset: offset, isComplete: false, length: content.count)
        try await scene.finish(upload, content, from: offset)
    }
}
