import Logging
import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Foundation

/// `POST /api/files/upload/direct`: what stands beside the bytes.
public struct DirectUploadRequest: Codable, Hashable, Sendable {
    public var fileName: String
    public var contentType: String?
    public var poolId: UUID?
    public var bundleId: UUID?
    public var expiredAt: Timestamp?
    /// SHA-256 of the file in hex; other bytes are refused.
    public var hash: String?

    public init(
        fileName: String, contentType: String? = nil, poolId: UUID? = nil, bundleId: UUID? = nil, expiredAt: Timestamp? = nil,
        hash: String? = nil
    ) {
        self.fileName = fileName
        self.contentType = contentType
        self.poolId = poolId
        self.bundleId = bundleId
        self.expiredAt = expiredAt
        self.hash = hash
    }
}

private struct DirectFingerprint: Encodable {
    var request: DirectUploadRequest
    var length: Int64?
    var digests: [String]
}

extension UploadService {
    /// Bodies of at most so many bytes are received while their quota is being reserved: one wait for the disk less. Of a
    /// larger one a refusal must not come after it was sent.
    private static let receivedMeanwhile: Int64 = 256 << 10

    /// Takes a small file in one request.
    ///
    /// Two transactions: the first reserves the quota and notes the blob's path, so that a crash leaves nothing
    /// unaccounted; the second publishes. Throws `DriveError`; nothing of a refused file is kept.
    /// - Parameter length: the body's bytes, at least the file's; nil where the request does not tell.
    public func uploadDirectly<Body: ChunkBody>(
        _ request: DirectUploadRequest, body: Body, length: Int64?, idempotencyKey: String?, by caller: Caller
    ) async throws -> CloudFile {
        // What is known of the bytes before they are read: the same key with other bytes is another request.
        let fingerprintDigests = (try? body.expectedDigests())?.map { "\($0)" } ?? []
        let fingerprint = try Idempotency.fingerprint(of: DirectFingerprint(request: request, length: length, digests: fingerprintDigests))
        if let key = idempotencyKey,
            let file = try await Idempotency.answer(
                key, operation: "direct", fingerprint: fingerprint, account: caller.accountId, as: CloudFile.self, database: database)
        {
            return file
        }
        let fileName = try FileName.validated(request.fileName)
        let contentType = try Self.contentType(request.contentType)
        let hash = try Self.hash(request.hash)
        let now = surroundings.now()
        try Self.checkExpiry(request.expiredAt, now: now)
        let limit = min(settings.maximumDirectSize, settings.maximumFileSize, settings.maximumOpenBytesPerAccount ?? .max)
        if let length, length > limit { throw Self.tooLarge(limit) }
        let opened = try await pools.open(request.poolId)
        if let refusal = opened.pool.policy.refusal(
            contentType: contentType, size: 0, role: caller.role.rawValue, poolName: opened.pool.name)
        {
            throw refusal
        }
        try await checkBundle(request.bundleId, account: caller.accountId)
        let reserved = min(length ?? limit, limit)
        let draft = UploadDraft(
            id: surroundings.newUUID(), taskId: surroundings.newIdentifier(), fileName: fileName, contentType: contentType,
            plan: ChunkPlan(fileSize: reserved, chunkSize: max(1, reserved)), pool: opened.pool, bundleId: request.bundleId,
            hash: hash ?? "",
            expiredAt: request.expiredAt ?? opened.pool.policy.defaultExpirySeconds.map { now + .seconds($0) },
            legacyEvents: settings.legacyUploadEvents,
            face: UploadFace.direct, bootId: bootId, now: now, sessionExpiresAt: now + settings.sessionLifetime)
        let path = try await staging { try await opened.store.newBlobPath() }
        let (settings, surroundings) = (settings, surroundings)
        async let reservation: Void = database.write { sql in
            try draft.insert(by: caller, settings: settings, surroundings: surroundings, in: sql)
            try BlobIntent.note(path, pool: draft.pool.id, task: draft.taskId, now: now, in: sql)
        }
        do {
            if length ?? .max > Self.receivedMeanwhile { try await reservation }
            let received = try await receive(draft, body: body, limit: limit, expectedHash: hash, store: opened.store, by: caller)
            // Before the rename: what lies at a blob's path is accounted for.
            try await reservation
            return try await publish(
                received, of: draft, path: path, store: opened.store, idempotency: idempotencyKey.map { ($0, fingerprint) }, by: caller)
        } catch {
            // Whatever became of the body, a refusal is the reason.
            do { try await reservation } catch {
                await removeStaging(draft.taskId, in: opened.store)
                throw error
            }
            // In a task of its own: the request's is cancelled where its connection broke.
            await Task { await abandon(draft, path: path, store: opened.store, by: caller) }.value
            if let key = idempotencyKey, case .uniqueViolation? = (error as? DatabaseError)?.kind,
                let file = try await Idempotency.answer(
                    key, operation: "direct", fingerprint: fingerprint, account: caller.accountId, as: CloudFile.self, database: database)
            {
                return file
            }
            if let error = error as? StorageError {
                logger.error("a file cannot be written", metadata: ["error": "\(error)"])
                throw error.asDriveError
            }
            throw error
        }
    }

    private static func tooLarge(_ limit: Int64) -> DriveError {
        DriveError(
            .payloadTooLarge, "A file sent in one request has at most \(limit) bytes; use POST /api/files/upload/create for larger ones.",
            details: ["limit": .integer(limit)])
    }

    /// A staging file that nothing knows of is the next sweep's, where it cannot be removed now.
    private func removeStaging(_ name: String, in store: LocalPool) async {
        do {
            try await Task { try await store.removeStaging(name) }.value
        } catch {
            logger.warning("a staging file stays until the next sweep", metadata: ["task": "\(name)", "error": "\(error)"])
        }
    }

    /// Bytes that are on the disk, and right.
    private struct Received: Sendable {
        var size: Int64
        var digest: FileDigest
    }

    private func receive<Body: ChunkBody>(
        _ draft: UploadDraft, body: Body, limit: Int64, expectedHash: String?, store: LocalPool, by caller: Caller
    ) async throws -> Received {
        let file = try await store.createStaging(draft.taskId, size: 0, keepSize: true)
        let start = ChunkWriter(file: file, io: io, start: 0, digests: ChunkDigests(wholeFile: FileDigest(), body: body.likelyDigests))
        var transfer = BodyTransfer(body: body, writer: start, pieces: pieces)
        try await transfer.run(limit: limit) { _ in Self.tooLarge(limit) }
        let writer = transfer.writer
        let size = writer.written
        if let refusal = draft.pool.policy.refusal(
            contentType: draft.contentType, size: size, role: caller.role.rawValue, poolName: draft.pool.name)
        {
            throw refusal
        }
        let whole = writer.digests.wholeFile ?? FileDigest()
        var digests = writer.digests
        let expected = try transfer.body.expectedDigests()
        try await complete(&digests, for: expected, of: file, range: 0..<size)
        try Self.check(expected, against: digests, index: nil)
        let hash = whole.hexDigest()
        if let expectedHash, expectedHash != hash {
            throw DriveError(
                .hashMismatch, "The received bytes do not have the announced SHA-256; nothing was published.",
                details: ["expectedHash": .string(expectedHash), "actualHash": .string(hash)])
        }
        try await io.run { try file.sync() }
        return Received(size: size, digest: whole)
    }

    private func publish(
        _ received: Received, of draft: UploadDraft, path: String, store: LocalPool,
        idempotency: (key: String, fingerprint: String)?, by caller: Caller
    ) async throws -> CloudFile {
        let (size, hash) = (received.size, received.digest.hexDigest())
        try await store.publish(staging: draft.taskId, as: path)
        let publication = Publication(
            fileId: surroundings.newIdentifier(), taskId: draft.taskId, accountId: caller.accountId, name: draft.fileName, size: size,
            contentType: draft.contentType, hash: hash, crc32c: received.digest.crc32c, pool: draft.pool, expiredAt: draft.expiredAt,
            reservedBytes: draft.charge, preallocated: false, legacyEvents: draft.legacyEvents,
            defaultQuota: settings.defaultQuota, now: surroundings.now(), tasks: tasks)
        let surroundings = surroundings
        let (published, surplus) = try await database.write { sql in
            let result = try publication.commit(path: path, by: caller, surroundings: surroundings, in: sql)
            if let idempotency {
                try Idempotency.remember(
                    idempotency.key, operation: "direct", fingerprint: idempotency.fingerprint, account: caller.accountId,
                    taskId: draft.taskId, response: result.file, now: publication.now, in: sql)
            }
            return result
        }
        if surplus { await settleSurplus(path, hash: hash, size: size, pool: draft.pool.id, store: store) }
        return published
    }

    /// Ends a direct upload that came to nothing and removes its bytes, wherever they are.
    private func abandon(_ draft: UploadDraft, path: String, store: LocalPool, by caller: Caller) async {
        do {
            let ended = try await end(
                draft.taskId, as: .failed, message: "The request ended before the file was whole.", code: "BODY_TRUNCATED", by: caller)
            // Where it could not be ended it was published after all, by a commit whose answer got lost.
            if ended { await collect(path, pool: draft.pool.id, store: store) }
        } catch {
            logger.warning("a broken direct upload is left to the sweep", metadata: ["task": "\(draft.taskId)", "error": "\(error)"])
        }
    }
}
