import Foundation
import TestSupport
import Testing

/// A tus client that does, by turns, everything the protocol has, and writes down what it was told.
struct CrashTusClient: Sendable {
    let tus: TusClient
    let plan: CrashPlan
    let ledger: CrashLedger

    /// One round. Throws where the server is dead, or answered what no fault explains.
    func work(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let deed = plan.concatenatesOnly ? 3 : Int.random(in: 0..<6, using: &generator)
        switch deed {
        case 3: try await concatenate(seed, &generator)
        case 4: try await terminate(seed, &generator)
        case 5: try await leaveOpen(seed, &generator)
        default: try await upload(seed, &generator)
        }
    }

    // MARK: Deeds

    private func upload(_ seed: UInt64, _ generator: inout SeededGenerator) async throws {
        var upload = try await begin(stream("whole", seed, &generator), &generator)
        try await send(&upload, upTo: upload.stream.bytes.count, &generator)
    }

    private func leaveOpen(_ seed: UInt64, _ generator: inout SeededGenerator) async throws {
        var upload = try await begin(stream("open", seed, &generator), &generator)
        try await send(&upload, upTo: upload.stream.bytes.count / 2, &generator)
    }

    /// Ends an upload half-way, or a complete one with its file.
    private func terminate(_ seed: UInt64, _ generator: inout SeededGenerator) async throws {
        var upload = try await begin(stream("ended", seed, &generator), &generator)
        let total = upload.stream.bytes.count
        try await send(&upload, upTo: Bool.random(using: &generator) ? total : total / 2, &generator)
        ledger.note(stream: upload.stream.name) { $0.endAsked = true }
        try ledger.expect(try await tus.delete(upload.resource), "tus DELETE", 204)
        ledger.note(stream: upload.stream.name) { $0.isEnded = true }
    }

    /// The final upload is made when all parts are whole, or before the last one is (`concatenation-unfinished`).
    private func concatenate(_ seed: UInt64, _ generator: inout SeededGenerator) async throws {
        let name = "tus-joined-\(seed).bin"
        let isEarly = Bool.random(using: &generator)
        let streams = (0..<Int.random(in: 2...3, using: &generator)).map { number in
            stream("part\(number)", seed &+ UInt64(number) &* 3, &generator, isPart: true)
        }
        ledger.change { state in
            state.joins[name] = CrashJoin(name: name, bytes: streams.flatMap(\.bytes), parts: streams.map(\.name))
        }
        var parts: [Upload] = []
        for stream in streams { parts.append(try await begin(stream, &generator)) }
        for index in parts.indices.dropLast() { try await send(&parts[index], upTo: parts[index].stream.bytes.count, &generator) }
        let last = parts.count - 1
        if !isEarly { try await send(&parts[last], upTo: parts[last].stream.bytes.count, &generator) }
        let reply = try await tus.send("POST", tus.endpoint, Self.joining(parts.map(\.resource.path), name: name))
        try ledger.expect(reply, "tus final", 201)
        let final = try resource(in: reply, "tus final")
        ledger.change { $0.joins[name]?.path = final.path }
        if isEarly { try await send(&parts[last], upTo: parts[last].stream.bytes.count, &generator) }
        // By turns: a death meets copies that nobody waits for, too.
        guard Bool.random(using: &generator) else { return }
        try await eventually(within: .seconds(20), "the concatenation", every: .milliseconds(10)) {
            let reply = try await tus.head(final)
            try ledger.expect(reply, "tus HEAD of a final", 200)
            return reply.offset != nil
        }
        ledger.change { $0.joins[name]?.isCompleted = true }
    }

    /// The header lines of a creation that joins parts.
    static func joining(_ parts: [String], name: String) -> [String] {
        [TusClient.version, "Upload-Concat: final;\(parts.joined(separator: " "))", "Upload-Metadata: \(tusPair("filename", name))"]
    }

    // MARK: Requests

    private struct Upload {
        var stream: CrashStream
        var resource: TusUpload
        var offset: Int
        /// Whether the server has not been told the length.
        var isDeferred: Bool
    }

    private func stream(_ kind: String, _ seed: UInt64, _ generator: inout SeededGenerator, isPart: Bool = false) -> CrashStream {
        let size = Int.random(in: 1...2 * plan.chunkSize, using: &generator)
        return CrashStream(.tus, name: "tus-\(kind)-\(seed).bin", bytes: bytes(size, seed: seed), isPart: isPart)
    }

    /// Creates an upload, every third time with its first bytes, every third time without its length.
    private func begin(_ stream: CrashStream, _ generator: inout SeededGenerator) async throws -> Upload {
        let total = stream.bytes.count
        let isDeferred = Int.random(in: 0..<3, using: &generator) == 0
        var fields = [
            TusClient.version, isDeferred ? "Upload-Defer-Length: 1" : "Upload-Length: \(total)",
            "Upload-Metadata: \(tusPair("filename", stream.name))",
        ]
        if stream.isPart { fields.append("Upload-Concat: partial") }
        var first: [UInt8] = []
        if Int.random(in: 0..<3, using: &generator) == 0 {
            // A deferred upload keeps a byte for the request that tells its length.
            first = Array(stream.bytes.prefix(Int.random(in: 0...total, using: &generator)).prefix(isDeferred ? total - 1 : total))
        }
        if !first.isEmpty { fields.append(TusClient.octets) }
        if !first.isEmpty, Bool.random(using: &generator) { fields.append("Upload-Checksum: \(tusChecksum(first))") }
        ledger.change { $0.streams[stream.name] = stream }
        let reply = try await tus.send("POST", tus.endpoint, fields, body: first)
        try ledger.expect(reply, "tus create", 201)
        let resource = try resource(in: reply, "tus create")
        guard reply.offset ?? 0 == first.count else { throw ledger.unexpected("tus create with \(first.count) bytes: \(reply.headers)") }
        let count = first.count
        ledger.note(stream: stream.name) { stream in
            stream.path = resource.path
            stream.settle(at: count)
            stream.isCompleted = count == total && !stream.isPart
        }
        return Upload(stream: stream, resource: resource, offset: count, isDeferred: isDeferred)
    }

    private func send(_ upload: inout Upload, upTo end: Int, _ generator: inout SeededGenerator) async throws {
        while upload.offset < end {
            let body = CrashBody(from: upload.offset, of: upload.stream.bytes.count, most: 2 * plan.chunkSize, using: &generator)
            try await patch(&upload, body)
        }
    }

    private func patch(_ upload: inout Upload, _ body: CrashBody) async throws {
        let stream = upload.stream
        let (name, total) = (stream.name, stream.bytes.count)
        var fields: [String] = []
        let tellsLength = upload.isDeferred && body.range.upperBound == total
        if tellsLength { fields.append("Upload-Length: \(total)") }
        if body.isChecksummed { fields.append("Upload-Checksum: \(tusChecksum(Array(stream.bytes[body.range])))") }
        if body.breakOff != nil { fields.append("Expect: 100-continue") }
        ledger.note(stream: name) { $0.begin(body.range, isChecksummed: body.isChecksummed) }
        let wire = try await tus.beginPatch(
            upload.resource, at: body.range.lowerBound, length: body.range.count, sending: [], fields: fields)
        if body.breakOff != nil {
            let head = try await wire.nextHead()
            guard head.status == 100 else { throw ledger.unexpected("tus PATCH of \(body.range): \(head)") }
        }
        try await body.give(of: stream, ledger: ledger) { await wire.send($0) }
        if body.breakOff != nil {
            await wire.close()
            let reply = try await tus.head(upload.resource)
            try ledger.expect(reply, "tus HEAD", 200)
            upload.offset = try ledger.settle(name, at: reply.offset, "tus HEAD after a broken PATCH")
            upload.isDeferred = reply.header("Upload-Defer-Length") != nil
            return
        }
        let reply = try await wire.answer(to: "PATCH").reply
        await wire.close()
        try ledger.expect(reply, "tus PATCH of \(body.range)", 204)
        guard reply.offset == body.range.upperBound else { throw ledger.unexpected("tus PATCH of \(body.range): \(reply.headers)") }
        upload.offset = try ledger.settle(name, at: reply.offset, "tus PATCH")
        if tellsLength { upload.isDeferred = false }
        if upload.offset == total, !stream.isPart { ledger.note(stream: name) { $0.isCompleted = true } }
    }

    private func resource(in reply: Reply, _ what: String) throws -> TusUpload {
        guard let location = reply.header("Location"), let upload = try? TusUpload(location: location) else {
            throw ledger.unexpected("\(what): no Location: \(reply.headers)")
        }
        return upload
    }
}
