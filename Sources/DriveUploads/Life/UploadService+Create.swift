import Logging
import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Foundation

/// A new upload, before its session token was made.
public struct CreatedUpload: Codable, Hashable, Sendable {
    public var existing: CloudFile?
    public var taskId: String?
    public var chunkSize: Int64
    public var chunksCount: Int
    public var sessionExpiresAt: Timestamp?
    public var sessionSerial: Int
}

extension UploadService {
    /// Creates an upload: validate, pool policy, own duplicate, preallocate, then one transaction that reserves the
    /// quota and writes the rows.
    ///
    /// - Parameter idempotencyKey: the first answer for this key again, nothing reserved twice.
    /// - Throws: `DriveError` naming the rule that refused.
    public func create(_ request: CreateUploadRequest, idempotencyKey: String?, by caller: Caller) async throws -> CreatedUpload {
        if request.encryptPassword != nil {
            throw DriveError(
                .notImplemented, "encryptPassword: encrypted uploads are not available yet; nothing was created.",
                details: ["rule": "encryptPassword"])
        }
        let fingerprint = try Idempotency.fingerprint(of: request)
        if let key = idempotencyKey,
            let answer = try await Idempotency.answer(
                key, operation: "create", fingerprint: fingerprint, account: caller.accountId, as: CreatedUpload.self, database: database)
        {
            return answer
        }
        let fileName = try FileName.validated(request.fileName)
        let contentType = try Self.contentType(request.contentType)
        let hash = try Self.hash(request.hash)
        let plan = try ChunkPlan.decide(
            fileSize: request.fileSize, requested: request.chunkSize, defaultSize: settings.defaultChunkSize,
            maximumSize: settings.maximumChunkSize, maximumFileSize: settings.maximumFileSize)
        let now = surroundings.now()
        try Self.checkExpiry(request.expiredAt, now: now)
        let opened = try await pools.open(request.poolId)
        if let refusal = opened.pool.policy.refusal(
            contentType: contentType, size: plan.fileSize, role: caller.role.rawValue, poolName: opened.pool.name)
        {
            throw refusal
        }
        try await checkBundle(request.bundleId, account: caller.accountId)
        if let hash, let file = try await ownDuplicate(hash, size: plan.fileSize, account: caller.accountId) {
            return CreatedUpload(existing: file, taskId: nil, chunkSize: 0, chunksCount: 0, sessionExpiresAt: nil, sessionSerial: 0)
        }
        let draft = UploadDraft(
            id: surroundings.newUUID(), taskId: surroundings.newIdentifier(), fileName: fileName, contentType: contentType,
            plan: plan, pool: opened.pool, bundleId: request.bundleId, hash: hash ?? "",
            expiredAt: request.expiredAt ?? opened.pool.policy.defaultExpirySeconds.map { now + .seconds($0) },
            legacyEvents: request.legacyUploadEvents ?? settings.legacyUploadEvents, face: UploadFace.chunks, bootId: bootId, now: now,
            sessionExpiresAt: now + settings.sessionLifetime)
        let room = settings
        try await database.read { sql in
            try QuotaLedger.expectRoom(for: draft.demand, account: caller.accountId, settings: room, in: sql)
        }
        let file = try await staging { try await opened.store.createStaging(draft.taskId, size: plan.fileSize, keepSize: false) }
        let created = CreatedUpload(
            existing: nil, taskId: draft.taskId, chunkSize: plan.chunkSize, chunksCount: plan.count,
            sessionExpiresAt: draft.sessionExpiresAt, sessionSerial: 0)
        let (settings, surroundings) = (settings, surroundings)
        do {
            let record = try await database.write { sql in
                try draft.insert(by: caller, opensBytes: true, settings: settings, surroundings: surroundings, in: sql)
                if let idempotencyKey {
                    try Idempotency.remember(
                        idempotencyKey, operation: "create", fingerprint: fingerprint, account: caller.accountId, taskId: draft.taskId,
                        response: created, now: now, in: sql)
                }
                return try UploadRecord.find(draft.taskId, account: caller.accountId, in: sql)
            }
            if let record {
                keep(
                    UploadSession(
                        record: record, file: file, pool: opened.store, io: io, received: [], frontier: FileDigest(),
                        stallTime: settings.stallTime))
            }
            return created
        } catch {
            try? await opened.store.removeStaging(draft.taskId)
            // Two requests with one key at once: the other one's answer is the answer.
            if let key = idempotencyKey, case .uniqueViolation? = (error as? DatabaseError)?.kind,
                let answer = try await Idempotency.answer(
                    key, operation: "create", fingerprint: fingerprint, account: caller.accountId, as: CreatedUpload.self,
                    database: database)
            {
                return answer
            }
            throw error
        }
    }

    // MARK: Rules

    static func contentType(_ text: String?) throws(DriveError) -> String {
        guard let text, !text.isEmpty else { return "application/octet-stream" }
        let type = text.split(separator: ";", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        let parts = type.split(separator: "/", omittingEmptySubsequences: false)
        let allowed = text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
        guard text.utf8.count <= 255, allowed, parts.count == 2, parts.allSatisfy({ !$0.isEmpty && !$0.contains(" ") }) else {
            throw DriveError(
                .invalidRequest, "contentType must be a media type such as image/png, of at most 255 bytes.",
                details: ["rule": "contentType"])
        }
        return text
    }

    static func hash(_ text: String?) throws(DriveError) -> String? {
        guard let text, !text.isEmpty else { return nil }
        guard text.utf8.count == 64, Hex.decode(text) != nil else {
            throw DriveError(.invalidHash, "hash must be the file's SHA-256 in 64 hex digits.", details: ["rule": "hash"])
        }
        return text.lowercased()
    }

    static func checkExpiry(_ expiry: Timestamp?, now: Timestamp) throws(DriveError) {
        if let expiry, expiry <= now {
            throw DriveError(
                .invalidRequest, "expiredAt lies in the past.", details: ["rule": "expiredAt", "expiredAt": .string("\(expiry)")])
        }
    }

    func checkBundle(_ bundle: UUID?, account: UUID) async throws {
        guard let bundle else { return }
        let now = surroundings.now()
        let found = try await database.read { sql in
            try sql.first(
                "SELECT id FROM bundles WHERE id = $1 AND account_id = $2 AND (expired_at IS NULL OR expired_at > $3)",
                [.uuid(bundle), .uuid(account), .timestamp(now)]) != nil
        }
        guard found else { throw DriveError(.notFound, "There is no bundle with this id.", details: ["rule": "bundleId"]) }
    }

    private func ownDuplicate(_ hash: String, size: Int64, account: UUID) async throws -> CloudFile? {
        let now = surroundings.now()
        return try await database.read { sql in
            try sql.first(
                """
                SELECT * FROM files f WHERE account_id = $1 AND hash = $2 AND size = $3 AND (expired_at IS NULL OR expired_at > $4)
                    AND NOT EXISTS (SELECT 1 FROM file_checksums b
                        WHERE b.checksum = f.hash AND b.pool_id = f.pool_id AND b.damaged_at IS NOT NULL)
                ORDER BY created_at DESC LIMIT 1
                """, [.uuid(account), .text(hash), .integer(size), .timestamp(now)]
            ).map(FileRow.cloudFile)
        }
    }

    /// Runs a storage operation and gives its failure in the callers' vocabulary.
    func staging<Result: Sendable>(_ work: () async throws -> Result) async throws -> Result {
        do {
            return try await work()
        } catch let error as StorageError {
            logger.error("storage failed", metadata: ["error": "\(error)"])
            throw error.asDriveError
        }
    }
}
