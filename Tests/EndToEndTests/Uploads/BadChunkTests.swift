import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What a bad chunk gets: the exact refusal, nothing kept of it, everything else kept.
@Suite struct BadChunkTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var what: String
        var status = 400
        var codes: [String]
        /// `details.rule`, where it tells more than the code.
        var rule: String?
        var index = "1"
        var headers: [(String, String)] = [("Content-Type", "application/octet-stream")]
        var body: @Sendable ([UInt8]) -> [UInt8] = { $0 }
        var testDescription: String { what }

        static func form(
            _ what: String, _ status: Int = 400, _ code: String = "INVALID_MULTIPART", rule: String? = nil, contentType: String? = nil,
            _ body: @escaping @Sendable ([UInt8]) -> Multipart
        ) -> Case {
            Case(
                what: what, status: status, codes: [code], rule: rule, headers: [("Content-Type", contentType ?? body([]).contentType)],
                body: { body($0).bytes })
        }
    }

    private static let zeros = [UInt8](repeating: 0, count: 65_536)

    static let cases: [Case] = [
        Case(what: "one byte too short", codes: ["CHUNK_SIZE_MISMATCH"], body: { Array($0.dropLast()) }),
        Case(what: "one byte too long", codes: ["CHUNK_SIZE_MISMATCH"], body: { $0 + [0] }),
        Case(what: "twice as long", codes: ["CHUNK_SIZE_MISMATCH"], body: { $0 + $0 }),
        Case(what: "empty", codes: ["CHUNK_SIZE_MISMATCH"], body: { _ in [] }),
        .form("form: one byte too short", 400, "CHUNK_SIZE_MISMATCH") { Multipart(parts: [.file("chunk", Array($0.dropLast()))]) },
        .form("form: one byte too long", 400, "CHUNK_SIZE_MISMATCH") { Multipart(parts: [.file("chunk", $0 + [0])]) },
        Case(what: "index -1", codes: ["INVALID_CHUNK_INDEX"], index: "-1"),
        Case(what: "index 3 of 3", codes: ["INVALID_CHUNK_INDEX"], index: "3"),
        Case(what: "index of a word", codes: ["INVALID_CHUNK_INDEX"], index: "first"),
        Case(what: "index 1.0", codes: ["INVALID_CHUNK_INDEX"], index: "1.0"),
        Case(what: "index +1", codes: ["INVALID_CHUNK_INDEX"], index: "+1"),
        Case(what: "index 2^63", codes: ["INVALID_CHUNK_INDEX"], index: "9223372036854775808"),
        Case(what: "index 2^70", codes: ["INVALID_CHUNK_INDEX"], index: "1180591620717411303424"),
        Case(
            what: "wrong CRC-32C", status: 422, codes: ["CHUNK_DIGEST_MISMATCH"],
            headers: [("Content-Type", "application/octet-stream"), ("Content-Digest", contentDigest(crc32c: 1))]),
        Case(
            what: "wrong SHA-256", status: 422, codes: ["CHUNK_DIGEST_MISMATCH"],
            headers: [("Content-Type", "application/octet-stream"), ("Content-Digest", contentDigest(sha256: zeros))]),
        Case(
            what: "a digest that is none", codes: ["INVALID_REQUEST"],
            headers: [("Content-Type", "application/octet-stream"), ("Content-Digest", "crc32c=nonsense")]),
        Case(
            what: "a digest of the wrong length", codes: ["INVALID_REQUEST"],
            headers: [("Content-Type", "application/octet-stream"), ("Content-Digest", "sha-256=:AAAA:")]),
        .form("form: wrong checksum", 422, "CHUNK_DIGEST_MISMATCH") {
            Multipart(parts: [.field("checksum", "00000001"), .file("chunk", $0)])
        },
        .form("form: wrong checksum after the bytes", 422, "CHUNK_DIGEST_MISMATCH") {
            Multipart(parts: [.file("chunk", $0), .field("checksum", "00000001")])
        },
        .form("form: wrong SHA-256 before the bytes", 422, "CHUNK_DIGEST_MISMATCH") {
            Multipart(parts: [.field("checksum", sha256(zeros)), .file("chunk", $0)])
        },
        // A digest the client sent is never passed over, wherever it stands.
        .form("form: wrong SHA-256 after the bytes", 422, "CHUNK_DIGEST_MISMATCH") {
            Multipart(parts: [.file("chunk", $0), .field("checksum", sha256(zeros))])
        },
        Case(
            what: "no boundary", codes: ["INVALID_MULTIPART"], rule: "MULTIPART_BOUNDARY_MISSING",
            headers: [("Content-Type", "multipart/form-data")]),
        // Without a delimiter in sight everything is preamble, of which there may be little.
        .form("another boundary than announced", rule: "MULTIPART_PREAMBLE_TOO_LONG", contentType: "multipart/form-data; boundary=other") {
            Multipart(parts: [.file("chunk", $0)])
        },
        .form(
            "a boundary of 71 characters", rule: "MULTIPART_BOUNDARY_INVALID",
            contentType: "multipart/form-data; boundary=\(String(repeating: "b", count: 71))"
        ) {
            Multipart(parts: [.file("chunk", $0)], boundary: String(repeating: "b", count: 71))
        },
        .form("a form without its end", rule: "MULTIPART_TRUNCATED") { Multipart(parts: [.file("chunk", $0)], isClosed: false) },
        .form("a form without a file", 400, "INVALID_MULTIPART") {
            Multipart(parts: [.field("comment", String(decoding: $0.prefix(0), as: UTF8.self))])
        },
        .form("a part without a name", rule: "MULTIPART_PART_WITHOUT_NAME") {
            Multipart(parts: [.init(headers: "Content-Disposition: form-data; filename=\"x\"\r\n", bytes: $0)])
        },
        .form("a part's header without a colon", rule: "MULTIPART_HEADER_MALFORMED") {
            Multipart(parts: [.init(headers: "Nonsense\r\n", bytes: $0)])
        },
        .form("base64 for a transfer encoding", rule: "MULTIPART_TRANSFER_ENCODING_UNSUPPORTED") {
            Multipart(
                parts: [
                    .init(
                        headers: "Content-Disposition: form-data; name=\"chunk\"; filename=\"x\"\r\nContent-Transfer-Encoding: base64\r\n",
                        bytes: $0)
                ])
        },
        Case(
            what: "multipart/mixed", status: 415, codes: ["UNSUPPORTED_MEDIA_TYPE"],
            headers: [("Content-Type", "multipart/mixed; boundary=x")]),
    ]

    @Test(arguments: cases) func isRefusedAndNothingOfItIsKept(_ bad: Case) async throws {
        let client = try await SharedServer.client("bad-chunk")
        let upload = try await client.begin(bytes(2 * 65_536 + 100, seed: UInt64(bad.what.utf8.count)))
        try await client.sendChunks([0], of: upload)
        let reply = try await client.send(
            .POST, "/files/upload/chunk/\(upload.taskId)/\(bad.index)", headers: bad.headers, body: bad.body(upload.chunk(1)))
        expectRefusal(reply, bad.status)
        #expect(bad.codes.contains(reply.error?.code ?? ""), "\(reply)")
        if let rule = bad.rule { #expect(reply.error?.details["rule"]?.string == rule, "\(reply)") }
        #expect(try await client.progress(upload.taskId).chunksUploaded == 1)
        let resume: ResumeInformation = try await client.get("/files/upload/resume/\(upload.taskId)").decode()
        #expect(resume.uploadedChunks == [0])
        // The upload is none the worse for it.
        try await client.sendChunks([1, 2], of: upload)
        try await client.expectContent(upload.bytes, of: client.finish(upload.taskId))
    }

    @Test func unknownUploadsAreNotFound() async throws {
        let client = try await SharedServer.client("bad-chunk")
        for id in ["nosuchtask", "0000000000000000000000", "..%2F..%2Fetc", "%00", String(repeating: "a", count: 2000)] {
            expectRefusal(try await client.sendChunk("0", taskId: id, bytes: [1]), 404, comment: id)
            expectRefusal(try await client.complete(id), 404, comment: id)
            expectRefusal(try await client.get("/files/upload/resume/\(id)"), 404, comment: id)
        }
    }

    @Test func gapsAreNamed() async throws {
        let client = try await SharedServer.client("gaps")
        let upload = try await client.begin(bytes(6 * 65_536))
        expectRefusal(try await client.complete(upload.taskId), 409, "UPLOAD_INCOMPLETE")
        try await client.sendChunks([1, 2, 4], of: upload)
        let reply = try await client.complete(upload.taskId)
        expectRefusal(reply, 409, "UPLOAD_INCOMPLETE")
        #expect(reply.error?.details["missingChunks"] == [0, 3, 5])
        try await client.sendChunks([0, 3, 5], of: upload)
        try await client.expectContent(upload.bytes, of: client.finish(upload.taskId))
        // An empty upload has no gaps.
        let empty = try await client.begin([])
        try await client.expectContent([], of: client.finish(empty.taskId))
        expectRefusal(try await client.sendChunk("0", taskId: empty.taskId, bytes: []), 409, "CHUNK_ALREADY_UPLOADED")
    }

    @Test(arguments: [false, true]) func aWrongWholeHashNamesTheChunksAndKeepsTheRest(_ inOrder: Bool) async throws {
        let client = try await SharedServer.client("wrong-hash-\(inOrder)")
        let content = bytes(4 * 65_536, seed: inOrder ? 41 : 42)
        let upload = try await client.begin(content, hash: sha256(content))
        let wrong = [UInt8](repeating: 7, count: 65_536)
        for index in inOrder ? [0, 1, 2, 3] : [3, 1, 0, 2] {
            let reply = try await client.sendChunk("\(index)", taskId: upload.taskId, bytes: index == 2 ? wrong : upload.chunk(index))
            #expect(reply.status == 200)
        }
        for _ in 1...2 {
            let reply = try await client.complete(upload.taskId)
            expectRefusal(reply, 422, "HASH_MISMATCH")
            let details = try #require(reply.error?.details)
            #expect(details["expectedHash"]?.string == sha256(content))
            guard case .array(let chunks)? = details["chunks"] else {
                Issue.record("no chunks: \(reply)")
                return
            }
            let bad = chunks.filter { chunk in
                guard let index = chunk["index"]?.integer else { return true }
                return chunk["checksum"]?.string != String(format: "%08x", crc32c(upload.chunk(Int(index))))
            }
            #expect(chunks.count == 4)
            #expect(bad.compactMap { $0["index"]?.integer } == [2])
        }
        #expect(try await client.get("/files/me").header("X-Total") == "0")
        // Without `replace` the first bytes stay.
        expectRefusal(try await client.sendChunk(2, of: upload), 409, "CHUNK_ALREADY_UPLOADED")
        let replaced = try await client.sendChunk(2, of: upload, replace: true)
        #expect(replaced.status == 200, "\(replaced)")
        try await client.expectContent(content, of: client.finish(upload.taskId))
    }

    /// A bad replacement leaves a gap rather than the old bytes or half of the new ones.
    @Test func aFailedReplacementIsAGap() async throws {
        let client = try await SharedServer.client("bad-replacement")
        let upload = try await client.begin(bytes(2 * 65_536))
        try await client.sendChunks([0, 1], of: upload)
        let reply = try await client.sendChunk(
            "0", taskId: upload.taskId, bytes: upload.chunk(1), replace: true, headers: [("Content-Digest", contentDigest(crc32c: 9))])
        expectRefusal(reply, 422, "CHUNK_DIGEST_MISMATCH")
        let resume: ResumeInformation = try await client.get("/files/upload/resume/\(upload.taskId)").decode()
        if !resume.uploadedChunks.contains(0) { try await client.sendChunks([0], of: upload) }
        try await client.expectContent(upload.bytes, of: client.finish(upload.taskId))
    }
}
