import DriveCrypto
import DriveModel
import Foundation
import NIOHTTP1

@testable import DriveClient

/// The upload and files API in memory, with a script of misbehaviour.
actor FakeDrive {
    struct Upload {
        var request: CreateUploadRequest
        var plan: ChunkPlan
        var chunks: [Int: [UInt8]] = [:]
        var file: CloudFile?
        /// How it ended, where that was without a file.
        var end: TaskStatus?
    }

    /// Answers given instead of the real ones: the first whose prefix fits `METHOD /path` is used once.
    private var script: [(prefix: String, after: Int, answer: ServerAnswer)] = []
    /// `METHOD /path` of each request, in order.
    private(set) var log: [String] = []
    /// Where each answered range began.
    private(set) var ranges: [Int] = []
    private(set) var uploads: [String: Upload] = [:]
    private var keys: [String: String] = [:]
    private(set) var contents: [String: [UInt8]] = [:]
    private var files: [String: CloudFile] = [:]
    /// Chunks that are damaged in store when they first come.
    private var damaging: Set<Int> = []
    /// This chunk and those after it are held back until `release`.
    private var gate: (chunk: Int, waiting: [CheckedContinuation<Void, Never>], arrived: [CheckedContinuation<Void, Never>])?
    /// A chunk that is waiting at the gate.
    private var isHeld = false
    /// Told of each request, once it is in the log.
    private var watchers: [AsyncStream<Void>.Continuation] = []
    let chunkSize: Int64

    init(chunkSize: Int64 = 1000) {
        self.chunkSize = chunkSize
    }

    /// - Parameter after: so many requests that fit get their real answer first.
    func instead(of prefix: String, after: Int = 0, times: Int = 1, _ answer: ServerAnswer) {
        for _ in 0..<times { script.append((prefix, after, answer)) }
    }

    /// Ends an upload as somebody else would: as the server decides it, a finished one stays as it is.
    func end(_ id: String, as status: TaskStatus) {
        if uploads[id]?.file == nil { uploads[id]?.end = status }
    }

    /// As if its retention were over.
    func forget(_ id: String) { uploads[id] = nil }

    func forgetScript() { script = [] }
    func damage(_ chunks: Set<Int>) { damaging = chunks }

    /// Holds back this chunk and those after it, until `release`.
    func hold(chunk: Int) {
        gate = (chunk, [], [])
        isHeld = false
    }

    /// Waits until a held chunk has come.
    func untilHeld() async {
        if isHeld { return }
        await withCheckedContinuation { gate?.arrived.append($0) }
    }

    func release() {
        gate?.waiting.forEach { $0.resume() }
        gate = nil
    }

    func count(_ prefix: String) -> Int { log.filter { $0.hasPrefix(prefix) }.count }

    /// Waits until so many requests of a kind have come; the suite's limit bounds it.
    func until(_ count: Int, _ prefix: String) async {
        let (requests, watcher) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        watchers.append(watcher)
        // For those that came before.
        watcher.yield()
        for await _ in requests where self.count(prefix) >= count { return }
    }

    /// A file to download.
    func add(_ bytes: [UInt8], id: String, hash: String? = nil) -> CloudFile {
        let file = makeFile(bytes, id: id, name: "\(id).bin", hash: hash)
        contents[id] = bytes
        return file
    }

    private func makeFile(_ bytes: [UInt8], id: String, name: String, hash: String? = nil) -> CloudFile {
        let file = CloudFile(
            id: id, name: name, size: Int64(bytes.count), contentType: "application/octet-stream", hash: hash ?? sha256(bytes),
            poolId: UUID(), createdAt: Timestamp(seconds: 0), updatedAt: Timestamp(seconds: 0))
        files[id] = file
        contents[id] = bytes
        return file
    }

    func answer(_ request: ServerRequest) async -> ServerAnswer {
        let line = "\(request.method) \(request.path)"
        log.append(line)
        for watcher in watchers { watcher.yield() }
        if let index = script.firstIndex(where: { line.hasPrefix($0.prefix) }) {
            if script[index].after == 0 { return script.remove(at: index).answer }
            script[index].after -= 1
        }
        let parts = request.path.split(separator: "/").map(String.init).dropFirst(2)
        let route = Array(parts)
        switch (request.method, route.first, route.dropFirst().first) {
        case ("POST", "upload", "create"): return create(request)
        case ("POST", "upload", "chunk"): return await chunk(request, route[2], Int(route[3]) ?? -1)
        case ("POST", "upload", "complete"): return complete(route[2])
        case ("GET", "upload", "resume"): return resume(route[2])
        case ("DELETE", "upload", "task"):
            uploads[route[2]] = nil
            return .reply(204)
        case ("POST", "upload", "direct"):
            return json(makeFile(request.body, id: "direct", name: request.query["fileName"] ?? ""))
        case ("GET", let id?, "info"): return files[id].map { json($0) } ?? error(404, "FILE_NOT_FOUND")
        case ("GET", let id?, nil): return download(request, id)
        default: return error(404, "NOT_FOUND")
        }
    }

    private func create(_ request: ServerRequest) -> ServerAnswer {
        guard let body = try? DriveJSON.decoder().decode(CreateUploadRequest.self, from: Data(request.body)),
            let key = request.headers.first(name: "Idempotency-Key")
        else { return error(400, "INVALID_REQUEST") }
        if let hash = body.hash, let owned = files.values.first(where: { $0.hash == hash }) {
            return json(CreateUploadReply(existing: owned))
        }
        let id = keys[key] ?? "task\(keys.count + 1)"
        keys[key] = id
        let plan = ChunkPlan(fileSize: body.fileSize, chunkSize: chunkSize)
        if uploads[id] == nil { uploads[id] = Upload(request: body, plan: plan) }
        return json(
            CreateUploadReply(
                taskId: id, chunkSize: chunkSize, chunksCount: plan.count, sessionToken: "session-\(id)", sessionExpiresAt: nil))
    }

    private func chunk(_ request: ServerRequest, _ id: String, _ index: Int) async -> ServerAnswer {
        if let first = gate?.chunk, index >= first {
            isHeld = true
            gate?.arrived.forEach { $0.resume() }
            gate?.arrived = []
            await withCheckedContinuation { gate?.waiting.append($0) }
        }
        guard let upload = uploads[id] else { return error(404, "TASK_NOT_FOUND") }
        if let end = upload.end { return closed(end) }
        if upload.chunks[index] != nil, request.query["replace"] != "true" { return error(409, "CHUNK_ALREADY_UPLOADED") }
        guard Int64(request.body.count) == upload.plan.size(of: index) else { return error(400, "CHUNK_SIZE_MISMATCH") }
        let checksum = request.body.withUnsafeBytes { CRC32C.checksum(of: $0) }
        guard request.headers.first(name: "Content-Digest") == ContentDigest.value(crc32c: checksum) else {
            return error(422, "CHUNK_DIGEST_MISMATCH")
        }
        var bytes = request.body
        if damaging.remove(index) != nil { bytes[0] ^= 1 }
        uploads[id]?.chunks[index] = bytes
        return json(
            ChunkReply(
                taskId: id, chunkIndex: index, size: Int64(bytes.count), checksum: CRC32C.hex(checksum), chunksUploaded: 0,
                chunksTotal: 0, progress: 0))
    }

    private func complete(_ id: String) -> ServerAnswer {
        guard let upload = uploads[id] else { return error(404, "TASK_NOT_FOUND") }
        if let file = upload.file { return json(file) }
        if let end = upload.end { return closed(end) }
        let missing = (0..<upload.plan.count).filter { upload.chunks[$0] == nil }
        guard missing.isEmpty else {
            return error(409, "UPLOAD_INCOMPLETE", ["missingChunks": .array(missing.map { .integer(Int64($0)) })])
        }
        let bytes = (0..<upload.plan.count).flatMap { upload.chunks[$0] ?? [] }
        if let hash = upload.request.hash, hash != sha256(bytes) {
            let chunks = upload.chunks.map { index, bytes in
                JSONValue.object([
                    "index": .integer(Int64(index)), "checksum": .string(CRC32C.hex(bytes.withUnsafeBytes { CRC32C.checksum(of: $0) })),
                ])
            }
            return error(422, "HASH_MISMATCH", ["chunks": .array(chunks)])
        }
        let file = makeFile(bytes, id: "file-\(id)", name: upload.request.fileName)
        uploads[id]?.file = file
        return json(file)
    }

    private func resume(_ id: String) -> ServerAnswer {
        guard let upload = uploads[id] else { return error(404, "TASK_NOT_FOUND") }
        if let end = upload.end { return closed(end) }
        return json(
            ResumeInformation(
                taskId: id, fileName: upload.request.fileName, fileSize: upload.request.fileSize, contentType: "", hash: nil,
                chunkSize: chunkSize, chunksCount: upload.plan.count, uploadedChunks: upload.chunks.keys.sorted(),
                status: upload.file == nil ? .inProgress : .completed, fileId: upload.file?.id, sessionToken: "renewed-\(id)",
                sessionExpiresAt: nil))
    }

    private func download(_ request: ServerRequest, _ id: String) -> ServerAnswer {
        guard let bytes = contents[id], let file = files[id] else { return error(404, "FILE_NOT_FOUND") }
        let range = request.headers.first(name: "Range").flatMap { Int($0.dropFirst(6).dropLast()) }
        guard let start = range, request.headers.first(name: "If-Range") == "\"\(file.hash)\"" else {
            return .reply(status: 200, headers: [], body: bytes)
        }
        ranges.append(start)
        return .reply(
            status: 206, headers: [("Content-Range", "bytes \(start)-\(bytes.count - 1)/\(bytes.count)")], body: Array(bytes[start...]))
    }

    private func closed(_ status: TaskStatus) -> ServerAnswer {
        switch status {
        case .expired: error(410, "TASK_EXPIRED", ["status": "Expired"])
        case .paused: error(409, "TASK_PAUSED", ["status": "Paused"])
        default: error(409, "TASK_CLOSED", ["status": .string(status.rawValue)])
        }
    }

    private func json(_ value: some Encodable, _ status: Int = 200) -> ServerAnswer {
        .reply(status, [("Content-Type", "application/json")], (try? DriveJSON.text(value)) ?? "")
    }

    private func error(_ status: Int, _ code: String, _ details: [String: JSONValue] = [:]) -> ServerAnswer {
        errorAnswer(status, code, details)
    }
}

func errorAnswer(
    _ status: Int, _ code: String, _ details: [String: JSONValue] = [:], headers: [(String, String)] = []
) -> ServerAnswer {
    let reply = ErrorReply(code: code, message: "as scripted", status: status, details: details, requestId: "r1")
    return .reply(status, headers, (try? DriveJSON.text(reply)) ?? "")
}

func sha256(_ bytes: [UInt8]) -> String {
    var stream = SHA256Stream()
    bytes.withUnsafeBytes { stream.update($0) }
    return stream.hexDigest()
}
