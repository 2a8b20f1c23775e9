import DriveModel
import Foundation
import Testing

/// An upload whose old connection is of no use any more, and uploads that more than one client wants.
@Suite struct TusTakeoverTests {
    /// A phone that changed its network: the old connection is open and silent.
    @Test func aStalledRequestIsTakenOver() async throws {
        let tus = try await TusClient.shared("tus-stall")
        let content = bytes(1_000_000, seed: 1)
        let upload = try await tus.begin(content.count)
        let old = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<500_000]))
        try await tus.waitForArrival(of: 500_000, in: upload)

        let start = ContinuousClock.now
        try await tus.expectOffset(500_000, of: upload)
        #expect(ContinuousClock.now - start < .seconds(5))
        try await tus.add(Array(content[500_000...]), to: upload, at: 500_000)
        try await expectEnd(of: old)
        try await tus.expectFile(content, of: upload)
    }

    /// A client that knows its offset need not ask first.
    @Test func aNewPatchTakesOverWithoutAsking() async throws {
        let tus = try await TusClient.shared("tus-stall")
        let content = bytes(1_000_000, seed: 2)
        let upload = try await tus.begin(content.count)
        let old = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<500_000]))
        try await tus.waitForArrival(of: 500_000, in: upload)

        let start = ContinuousClock.now
        try await tus.add(Array(content[500_000...]), to: upload, at: 500_000)
        #expect(ContinuousClock.now - start < .seconds(5))
        try await expectEnd(of: old)
        try await tus.expectFile(content, of: upload)
    }

    /// The old request wakes up after the new one was served: it changes nothing any more.
    @Test func anOldRequestThatWakesUpChangesNothing() async throws {
        let tus = try await TusClient.shared("tus-stall")
        let content = bytes(400_000, seed: 3)
        let upload = try await tus.begin(content.count)
        let old = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<100_000]))
        try await tus.waitForArrival(of: 100_000, in: upload)
        try await tus.expectOffset(100_000, of: upload)
        await old.send([UInt8](repeating: 0xEE, count: 300_000))
        try await tus.expectOffset(100_000, of: upload)
        try await tus.add(Array(content[100_000...]), to: upload, at: 100_000)
        try await expectEnd(of: old)
        try await tus.expectFile(content, of: upload)
    }

    /// Two tabs, one upload: each goes on where the other was, and none spoils it.
    @Test func twoClientsOnOneUpload() async throws {
        let tus = try await TusClient.shared("tus-two")
        let content = bytes(500_000, seed: 4)
        let upload = try await tus.begin(content.count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    // What a client in the field does: it asks, sends, and asks again where it was refused.
                    for _ in 0..<200 {
                        let asked = try await tus.head(upload)
                        if asked.status == 423 { continue }
                        let offset = try #require(asked.offset, "\(asked)")
                        if offset == content.count { return }
                        let piece = Array(content[offset..<min(offset + 20_000, content.count)])
                        let reply = try await tus.patch(upload, offset, piece)
                        #expect([204, 409, 413, 423].contains(reply.status), "\(reply)")
                    }
                    Issue.record("two clients hinder each other for good")
                }
            }
            try await group.waitForAll()
        }
        try await tus.expectFile(content, of: upload)
    }

    /// Both send the same bytes from the same place at once.
    @Test func twoRequestsFromTheSameOffset() async throws {
        let tus = try await TusClient.shared("tus-two")
        let content = bytes(200_000, seed: 5)
        let upload = try await tus.begin(content.count)
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 { group.addTask { try await tus.patch(upload, 0, content).status } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(statuses.filter { $0 == 204 }.count <= 1, "\(statuses)")
        #expect(statuses.allSatisfy { $0 == 204 || (400..<500).contains($0) }, "\(statuses)")
        let offset = try await tus.offset(of: upload)
        if offset < content.count { try await tus.add(Array(content[offset...]), to: upload, at: offset) }
        try await tus.expectFile(content, of: upload)
    }

    /// A byte now and then is progress to a timeout of silence; the least rate ends it all the same, and nothing is lost.
    @Test func aDripFeedIsCutAndResumed() async throws {
        let settings = ["DRIVE_MINIMUM_BODY_RATE": "1KiB", "DRIVE_BODY_STALL_TIMEOUT": "5s"]
        try await withServer("tus-drip", environment: settings) { server in
            let tus = try await TusClient.of(server)
            let content = bytes(100_000, seed: 6)
            let upload = try await tus.begin(content.count)
            // The patience of this connection is the pause between two drops.
            let wire = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<10]), patience: 1)
            var sent = 10
            let deadline = ContinuousClock.now + .seconds(90)
            while ContinuousClock.now < deadline {
                do {
                    while try await wire.readSome() {}
                    break
                } catch is HTTPWire.NoAnswer {
                    await wire.send(Array(content[sent..<sent + 10]))
                    sent += 10
                }
            }
            #expect(ContinuousClock.now < deadline, "the drip feed was never cut")
            let offset = try await tus.offset(of: upload)
            // The last drops may have met a server that was closing.
            #expect(offset > 10 && offset <= sent, "\(offset) of \(sent)")
            try await tus.add(Array(content[offset...]), to: upload, at: offset)
            try await tus.expectFile(content, of: upload)
        }
    }

    /// A graceful stop keeps what came, and so does the next start.
    @Test(arguments: [SIGTERM, SIGKILL]) func aRestartKeepsWhatCame(_ signal: Int32) async throws {
        let data = try DataFolder.make("tus-restart")
        defer { data.remove() }
        let content = bytes(3_000_000, seed: 7)
        let settings = ["DRIVE_STOP_DEADLINE": "1s"]
        let upload = try await withServer("tus-restart", environment: settings, data: data, checks: false) { server in
            let tus = try await TusClient.of(server)
            let upload = try await tus.begin(content.count)
            try await tus.add(Array(content[..<1_000_000]), to: upload, at: 0)
            return upload
        }
        // Again, with a request under way.
        let server = try await ServerProcess.start(data, environment: settings)
        defer { server.kill() }
        let before = try await TusClient.of(server)
        let wire = try await before.beginPatch(
            upload, at: 1_000_000, length: 2_000_000, sending: Array(content[1_000_000..<2_000_000]))
        try await before.waitForArrival(of: 2_000_000, in: upload)
        server.send(signal)
        _ = try await wire.readToEnd()
        _ = try await server.waitForEnd()

        try await withServer("tus-restart", data: data) { server in
            let tus = try await TusClient.of(server)
            let offset = try await tus.offset(of: upload)
            #expect((1_000_000...2_000_000).contains(offset), "what was acknowledged is there")
            if signal == SIGTERM { #expect(offset == 2_000_000) }
            try await tus.add(Array(content[offset...]), to: upload, at: offset)
            try await tus.expectFile(content, of: upload)
        }
    }

    /// The request that was taken over is told so, or sees the end; it is no success.
    private func expectEnd(of wire: HTTPWire, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        guard let reply = RawConnection.reply(in: try await wire.readToEnd()) else { return }
        #expect(reply.status >= 400, "\(reply)", sourceLocation: sourceLocation)
        TusClient.inspect(reply, to: "PATCH", sourceLocation: sourceLocation)
    }
}
