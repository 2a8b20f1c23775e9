import DriveModel
import Foundation
import Testing

/// A PATCH that ends where it should not: what arrived counts, to the byte.
@Suite struct TusTruncationTests {
    enum Break: String, CaseIterable, Sendable {
        case close, halfClose, reset
    }

    struct Cut: Sendable, CustomTestStringConvertible {
        var sent: Int
        var by: Break
        var isChunked = false
        var testDescription: String { "\(isChunked ? "chunked, " : "")\(by.rawValue) after \(sent) bytes" }
    }

    /// Not a multiple of anything.
    static let size = (2 << 20) + 12_347

    /// About the pages, the pieces of a read, and what a kernel holds.
    static let places = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 1 << 20, (1 << 20) + 1, size - 1]

    static let cuts: [Cut] =
        Break.allCases.flatMap { by in places.map { Cut(sent: $0, by: by) } }
        + [1, 65_536, size - 1].map { Cut(sent: $0, by: .halfClose, isChunked: true) }

    @Test(arguments: cuts) func whatArrivedIsKept(_ cut: Cut) async throws {
        let tus = try await TusClient.shared("tus-cut")
        let content = bytes(Self.size, seed: UInt64(cut.sent) + 1)
        let upload = try await tus.begin(content.count, ["Upload-Metadata: \(tusPair("filename", "cut.bin"))"])
        try await send(cut, of: content, to: upload, by: tus)

        let offset = try await tus.offset(of: upload)
        switch cut.by {
        case .close, .halfClose: #expect(offset == cut.sent)
        // The kernel throws away what nobody had read when the reset came.
        case .reset: #expect((0...cut.sent).contains(offset))
        }
        if cut.by != .reset { #expect(try await tus.offset(of: upload) == offset, "what HEAD says stays") }

        try await tus.goOn(with: content, to: upload)
        try await tus.expectFile(content, of: upload)
    }

    /// Cut off again and again, an upload still grows and ends whole.
    @Test(arguments: Break.allCases) func itGrowsThroughManyCuts(_ by: Break) async throws {
        let tus = try await TusClient.shared("tus-cuts")
        let content = bytes(1 << 20, seed: 99)
        let upload = try await tus.begin(content.count)
        var offset = 0
        for step in 1...8 {
            let wire = try await tus.beginPatch(
                upload, at: offset, length: content.count - offset, sending: Array(content[offset..<offset + 100_000]))
            if by == .reset {
                // A reset that comes after the bytes are taken loses none of them.
                try await tus.waitForArrival(of: offset + 100_000, in: upload)
            }
            try await end(wire, by: by, at: offset + 100_000, of: upload, tus)
            let now = try await tus.offset(of: upload)
            #expect(now >= offset && now <= offset + 100_000, "step \(step): \(offset) to \(now)")
            if by != .reset { #expect(now == offset + 100_000, "step \(step)") }
            offset = now
        }
        #expect(offset > 0)
        try await tus.add(Array(content[offset...]), to: upload, at: offset)
        try await tus.expectFile(content, of: upload)
    }

    /// A body that was cut off in the creation, too: the client never heard of the upload, the account's list shows it.
    @Test func aCutCreationLeavesNothingWrong() async throws {
        let tus = try await TusClient.shared("tus-cut-creation")
        let wire = try HTTPWire(port: tus.port)
        let fields = [TusClient.version, TusClient.octets, "Upload-Length: 100000"]
        await wire.send(tus.head("POST", tus.endpoint, fields, length: 100_000) + bytes(50_000))
        await wire.finishSending()
        if let reply = RawConnection.reply(in: try await wire.readToEnd()) { #expect(reply.status != 204, "\(reply)") }
        let quota = try await tus.drive.quota()
        #expect(quota.usedBytes == 0, "no file came of it")
        try await tus.expectFile("hello", of: tus.begin(5, [TusClient.octets], body: Array("hello".utf8)))
    }

    private func send(_ cut: Cut, of content: [UInt8], to upload: TusUpload, by tus: TusClient) async throws {
        let part = Array(content[..<cut.sent])
        let wire: HTTPWire
        if cut.isChunked {
            wire = try HTTPWire(port: tus.port)
            let fields = TusClient.patchFields(0) + ["Transfer-Encoding: chunked"]
            // Without the last chunk.
            await wire.send(tus.head("PATCH", upload.path, fields, length: 0) + HTTPWire.chunked(part).dropLast(5))
        } else {
            wire = try await tus.beginPatch(upload, at: 0, length: content.count, sending: part)
        }
        try await end(wire, by: cut.by, at: cut.sent, of: upload, tus)
    }

    private func end(_ wire: HTTPWire, by: Break, at offset: Int, of upload: TusUpload, _ tus: TusClient) async throws {
        switch by {
        case .halfClose:
            await wire.finishSending()
            guard let reply = RawConnection.reply(in: try await wire.readToEnd()) else { return }
            #expect(reply.status >= 400, "half a body is no success: \(reply)")
            TusClient.inspect(reply, to: "PATCH", sourceLocation: #_sourceLocation)
        case .close:
            await wire.close()
            // A HEAD that came before the last bytes would end their request: it waits until they are there.
            try await tus.waitForArrival(of: offset, in: upload)
        case .reset:
            await wire.reset()
        }
    }
}
