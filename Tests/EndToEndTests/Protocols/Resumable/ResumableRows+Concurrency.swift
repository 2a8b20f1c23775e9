import DriveModel
import Testing

/// More than one request for an upload (draft -11 §4.6).
extension ResumableRow {
    static let concurrencyRows: [ResumableRow] = [
        ResumableRow(85, "4.6", "MUST NOT", "transfers are not performed in parallel; of two at one offset the bytes of one are stored") {
            scene in
            for _ in 0..<4 { try await race(2, scene) }
        },
        ResumableRow(86, "4.6", "MUST", "races, loss and corruption by concurrent appends and cancellation are prevented") { scene in
            try await race(8, scene)
            let before = try await scene.files().count
            let upload = try await scene.begin()
            _ = try await together(8) { index in
                if index == 4 { _ = try await scene.cancel(upload) }
                _ = try await scene.patch(upload, at: 0, false, bytes(100_000, seed: UInt64(index)))
            }
            try await scene.expectGone(upload)
            #expect(try await scene.files().count == before)
        },
        ResumableRow(87, "4.6", "MUST NOT", "no outdated information is sent when the offset is retrieved") { scene in
            let content = bytes(200_000)
            let (wire, upload) = try await scene.beginStreaming(content.count)
            await wire.send(Array(content[..<50_000]))
            let offset = try await scene.offset(of: upload)
            // Bytes that come too late do not count.
            await wire.send(bytes(100_000, seed: 9))
            for _ in 0..<5 { #expect(try await scene.offset(of: upload) == offset) }
            try await scene.finish(upload, content, from: offset)
        },
        ResumableRow(88, "4.6", "MUST", "the offset that was sent is accepted by the next append") { scene in
            let content = bytes(200_000)
            let upload = try await scene.begin(Array(content[..<10]))
            var offset = 10
            for _ in 0..<5 {
                let wire = try await scene.patchStreaming(upload, at: offset, true, length: content.count - offset)
                await wire.send(Array(content[offset..<offset + 30_000]))
                let next = try await scene.offset(of: upload)
                #expect((offset...offset + 30_000).contains(next))
                offset = next
            }
            try await scene.finish(upload, content, from: offset)
        },
        ResumableRow(89, "4.6", "RECOMMENDED", "a new request ends the previous one: offset retrieval, append and cancellation") { scene in
            let content = bytes(100_000)
            let (first, upload) = try await scene.beginStreaming(content.count)
            await first.send(Array(content[..<20_000]))
            let offset = try await scene.offset(of: upload)
            let second = try await scene.patchStreaming(upload, at: offset, true, length: content.count - offset)
            try await first.waitForEnd(within: .seconds(4))
            // Nothing came from the second, so the offset is known without asking.
            let third = try await scene.patchStreaming(upload, at: offset, true, length: content.count - offset)
            try await second.waitForEnd(within: .seconds(4))
            #expect(try await scene.cancel(upload).status == 204)
            try await third.waitForEnd(within: .seconds(4))
            try await scene.expectNoFile()
        },
        ResumableRow(90, "4.6", "SHOULD", "the previous request is terminated before a new one is processed, at once") { scene in
            let upload = try await scene.begin()
            let wire = try await scene.patchStreaming(upload, at: 0, true, length: 1000)
            await wire.send(bytes(10))
            // The stall timeout of the server of all tests is 5 s: it must not be that.
            let deadline = ContinuousClock.now + .seconds(4)
            _ = try await scene.offset(of: upload)
            try await wire.waitForEnd(within: deadline - ContinuousClock.now)
            #expect(ContinuousClock.now < deadline)
        },
        ResumableRow(91, "4.6", "MAY", "the previous request is terminated abruptly, or gets an error; never a success") { scene in
            let upload = try await scene.begin()
            let wire = try await scene.patchStreaming(upload, at: 0, true, length: 1000)
            await wire.send(bytes(10))
            _ = try await scene.offset(of: upload)
            let reply = try await wire.exchange(within: .seconds(4))
            // The product's decision: clients resume after a lost connection, but not after every 4xx or 5xx.
            #expect(reply.final == nil, "\(reply)")
        },
    ]

    /// Appends at one offset at once, with bodies that differ: what is stored is the beginning of one of them.
    private static func race(_ count: Int, _ scene: ResumableScene) async throws {
        let size = 200_000
        let upload = try await scene.begin()
        let bodies = (0..<count).map { bytes(size, seed: UInt64($0) + 1) }
        let replies = try await together(count) { try await scene.patch(upload, at: 0, false, bodies[$0]) }
        for reply in replies { #expect([nil, 204, 409].contains(reply.status), "\(reply)") }
        #expect(replies.count { $0.status == 204 } <= 1)
        let offset = try await scene.offset(of: upload)
        let completed = try await scene.patch(upload, at: offset, true)
        let file: CloudFile = try #require(completed.final, "\(completed)").decode()
        let content = try await scene.client.get("/files/\(file.id)").body
        #expect(content.count == offset)
        #expect(bodies.contains { $0.starts(with: content) }, "bytes of more than one body")
    }
}
