import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// How a chunk travels.
enum ChunkForm: String, CaseIterable, Sendable {
    case raw, multipart
}

extension TestClient {
    /// Creates an upload; `more` are further fields of the request.
    func create(
        _ name: String = "file.bin", size: Int, chunkSize: Int? = 65_536, hash: String? = nil, idempotencyKey: String? = nil,
        more: [String: JSONValue] = [:]
    ) async throws -> Reply {
        var fields: [String: JSONValue] = ["fileName": .string(name), "fileSize": .integer(Int64(size))]
        fields["chunkSize"] = chunkSize.map { .integer(Int64($0)) }
        fields["hash"] = hash.map { .string($0) }
        fields.merge(more) { _, new in new }
        return try await send(
            .POST, "/files/upload/create", json: .object(fields), headers: idempotencyKey.map { [("Idempotency-Key", $0)] } ?? [])
    }

    /// Creates an upload that must succeed, for these bytes.
    func begin(
        _ bytes: [UInt8], name: String = "file.bin", chunkSize: Int? = 65_536, hash: String? = nil, more: [String: JSONValue] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> OpenUpload {
        let reply = try await create(name, size: bytes.count, chunkSize: chunkSize, hash: hash, more: more)
        try #require(reply.status == 200, "create: \(reply)", sourceLocation: sourceLocation)
        let created: CreateUploadReply = try reply.decode()
        return OpenUpload(
            taskId: try #require(created.taskId, sourceLocation: sourceLocation),
            plan: ChunkPlan(
                fileSize: Int64(bytes.count), chunkSize: try #require(created.chunkSize, sourceLocation: sourceLocation)),
            bytes: bytes, sessionToken: try #require(created.sessionToken, sourceLocation: sourceLocation))
    }

    func sendChunk(
        _ index: Int, of upload: OpenUpload, as form: ChunkForm = .raw, replace: Bool = false, headers: [(String, String)] = []
    ) async throws -> Reply {
        try await sendChunk(
            "\(index)", taskId: upload.taskId, bytes: upload.chunk(index), as: form, replace: replace, headers: headers)
    }

    func sendChunk(
        _ index: String, taskId: String, bytes: [UInt8], as form: ChunkForm = .raw, replace: Bool = false, headers: [(String, String)] = []
    ) async throws -> Reply {
        let path = "/files/upload/chunk/\(taskId)/\(index)\(replace ? "?replace=true" : "")"
        switch form {
        case .raw:
            return try await send(.POST, path, headers: [("Content-Type", "application/octet-stream")] + headers, body: bytes)
        case .multipart:
            let body = Multipart(parts: [.file("chunk", bytes)])
            return try await send(.POST, path, headers: [("Content-Type", body.contentType)] + headers, body: body.bytes)
        }
    }

    /// Sends chunks that must be taken.
    func sendChunks(
        _ indexes: some Sequence<Int>, of upload: OpenUpload, as form: ChunkForm = .raw, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for index in indexes {
            let reply = try await sendChunk(index, of: upload, as: form)
            try #require(reply.status == 200, "chunk \(index): \(reply)", sourceLocation: sourceLocation)
        }
    }

    /// Completes until the answer is not `202`.
    func complete(_ taskId: String) async throws -> Reply {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let reply = try await send(.POST, "/files/upload/complete/\(taskId)")
            guard reply.status == 202, ContinuousClock.now < deadline else { return reply }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Completes an upload that must succeed.
    func finish(_ taskId: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> CloudFile {
        let reply = try await complete(taskId)
        try #require(reply.status == 200, "complete: \(reply)", sourceLocation: sourceLocation)
        return try reply.decode(sourceLocation: sourceLocation)
    }

    /// The whole path, chunks in order.
    func upload(
        _ bytes: [UInt8], name: String = "file.bin", as form: ChunkForm = .raw, more: [String: JSONValue] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> CloudFile {
        let upload = try await begin(bytes, name: name, more: more, sourceLocation: sourceLocation)
        try await sendChunks(upload.indexes, of: upload, as: form, sourceLocation: sourceLocation)
        return try await finish(upload.taskId, sourceLocation: sourceLocation)
    }

    /// A file by one request, as raw bytes. `query` is already percent-encoded.
    func direct(
        _ bytes: [UInt8], name: String = "file.bin", query: String = "", contentType: String = "application/octet-stream",
        headers: [(String, String)] = []
    ) async throws -> Reply {
        try await send(
            .POST, "/files/upload/direct?fileName=\(percentEncoded(name))\(query)", headers: [("Content-Type", contentType)] + headers,
            body: bytes)
    }

    /// A file by one request that must succeed.
    func store(
        _ bytes: [UInt8], name: String = "file.bin", contentType: String = "application/octet-stream", query: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> CloudFile {
        let reply = try await direct(bytes, name: name, query: query, contentType: contentType)
        try #require(reply.status == 200, "direct: \(reply)", sourceLocation: sourceLocation)
        return try reply.decode(sourceLocation: sourceLocation)
    }

    func progress(_ taskId: String) async throws -> UploadProgress {
        try await get("/files/upload/progress/\(taskId)").decode()
    }

    func quota() async throws -> QuotaReply { try await get("/billing/quota").decode() }

    /// Fails the test where the file does not read back as these bytes.
    func expectContent(_ bytes: [UInt8], of file: CloudFile, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let reply = try await get("/files/\(file.id)")
        #expect(reply.status == 200, "\(reply)", sourceLocation: sourceLocation)
        #expect(reply.body.count == bytes.count, sourceLocation: sourceLocation)
        // Not the arrays themselves: a failure would print them.
        let isSame = reply.body == bytes
        #expect(isSame, "the bytes differ", sourceLocation: sourceLocation)
        #expect(file.size == Int64(bytes.count), sourceLocation: sourceLocation)
        #expect(file.hash == sha256(bytes), sourceLocation: sourceLocation)
    }
}

/// An upload that was created, with the bytes it is for.
struct OpenUpload: Sendable {
    var taskId: String
    var plan: ChunkPlan
    var bytes: [UInt8]
    var sessionToken: String

    var indexes: Range<Int> { 0..<plan.count }

    func chunk(_ index: Int) -> [UInt8] {
        let start = Int(plan.offset(of: index))
        return Array(bytes[start..<start + Int(plan.size(of: index) ?? 0)])
    }
}

func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
        let plain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        return plain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
}
