import AsyncHTTPClient
import DriveModel
import Foundation
import NIOCore
import NIOHTTP1

/// What `complete` answered.
public enum CompleteReply: Hashable, Sendable {
    case file(CloudFile)
    /// Bytes that came out of order are still being verified: call again after `retryAfter` seconds.
    case verifying(VerifyingReply, retryAfter: Int?)
}

/// A token good for one upload alone.
struct UploadSession: Codable, Hashable, Sendable {
    var sessionToken: String?
    var sessionExpiresAt: Timestamp?
}

/// A chunk read and ready to be sent.
struct ChunkPayload: Sendable {
    var index: Int
    var bytes: ByteBuffer
    var crc32c: UInt32
}

extension DriveClient {
    private static let upload = files + ["upload"]

    /// Starts an upload. The same key gives the first answer again.
    public func createUpload(_ request: CreateUploadRequest, idempotencyKey: String) async throws(DriveClientError) -> CreateUploadReply {
        var call = try HTTPCall(.POST, Self.upload + ["create"]).json(request)
        call.headers.append(("Idempotency-Key", idempotencyKey))
        return try await send(call).decode()
    }

    /// Sends a chunk with its CRC-32C; `sent` hears how many of its bytes went out so far.
    func sendChunk(
        _ chunk: ChunkPayload, taskId: String, replace: Bool, session: String?, sent: @escaping @Sendable (Int) -> Void
    ) async throws(DriveClientError) -> ChunkReply {
        var call = HTTPCall(
            .POST, Self.upload + ["chunk", taskId, String(chunk.index)], query: [("replace", replace ? "true" : nil)])
        call.authorization = session.map { .session($0) } ?? .account
        call.headers = [
            ("Content-Type", MediaType.unknown), (ContentDigest.fieldName, ContentDigest.value(crc32c: chunk.crc32c)),
        ]
        call.body = .stream(PacedPieces(bytes: chunk.bytes, loop: loop, sent: sent), length: .known(Int64(chunk.bytes.readableBytes)))
        return try await send(call).decode()
    }

    /// Finishes an upload. Calling it again gives the same file.
    func completeUpload(taskId: String, session: String? = nil) async throws(DriveClientError) -> CompleteReply {
        var call = HTTPCall(.POST, Self.upload + ["complete", taskId])
        call.authorization = session.map { .session($0) } ?? .account
        let reply = try await send(call)
        if reply.status == 202 { return .verifying(try reply.decode(), retryAfter: reply.retryAfter) }
        return .file(try reply.decode())
    }

    /// What a client needs to go on with an upload.
    func resumeInformation(taskId: String, session: String? = nil) async throws(DriveClientError) -> ResumeInformation {
        var call = HTTPCall(.GET, Self.upload + ["resume", taskId])
        call.authorization = session.map { .session($0) } ?? .account
        return try await send(call).decode()
    }

    /// Extends the session of an upload.
    func extendSession(taskId: String, session: String?) async throws(DriveClientError) -> UploadSession {
        var call = HTTPCall(.POST, Self.upload + ["extend", taskId])
        call.authorization = session.map { .session($0) } ?? .account
        return try await send(call).decode()
    }

    /// How far the server is with an upload.
    public func uploadProgress(taskId: String, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> UploadProgress {
        try await send(HTTPCall(.GET, Self.upload + ["progress", taskId]), retrying: policy).decode()
    }

    /// Cancels an upload and gives back what it holds.
    public func cancelUpload(
        taskId: String, session: String? = nil, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) {
        var call = HTTPCall(.DELETE, Self.upload + ["task", taskId])
        call.authorization = session.map { .session($0) } ?? .account
        _ = try await send(call, retrying: policy)
    }

    /// The caller's uploads.
    public func uploads(
        status: TaskStatus? = nil, offset: Int = 0, limit: Int = 50, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> Page<UploadSummary> {
        let call = HTTPCall(
            .GET, Self.upload + ["tasks"],
            query: [("status", status?.rawValue), ("offset", String(offset)), ("limit", String(limit))])
        return try await page(call, policy)
    }

    /// Uploads a small file by one request. The same key gives the first answer again.
    func uploadDirect(
        _ bytes: ByteBuffer, crc32c: UInt32, request: CreateUploadRequest, idempotencyKey: String
    ) async throws(DriveClientError) -> CloudFile {
        var call = HTTPCall(
            .POST, Self.upload + ["direct"],
            query: [
                ("fileName", request.fileName), ("contentType", request.contentType), ("poolId", request.poolId?.lowercaseString),
                ("bundleId", request.bundleId?.lowercaseString), ("expiredAt", request.expiredAt?.description),
            ])
        call.headers = [
            ("Content-Type", MediaType.unknown), ("Idempotency-Key", idempotencyKey),
            (ContentDigest.fieldName, ContentDigest.value(crc32c: crc32c)),
        ]
        call.body = .stream(PacedPieces(bytes: bytes, loop: loop) { _ in }, length: .known(Int64(bytes.readableBytes)))
        return try await send(call).decode()
    }
}
