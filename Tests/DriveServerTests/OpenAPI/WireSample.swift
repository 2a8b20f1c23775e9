import DriveModel
import Foundation
import Testing

/// A wire type with every field set, and with none that may be left out.
struct WireSample: Sendable, CustomTestStringConvertible {
    var schema: String
    private let full: [any Encodable & Sendable]
    private let empty: [any Encodable & Sendable]

    var testDescription: String { schema }

    /// - Parameter full: where no single value has all fields, several that have them together.
    init<Value: Encodable & Sendable>(_ schema: String, full: [Value], empty: [Value]? = nil) {
        self.schema = schema
        self.full = full
        self.empty = empty ?? full
    }

    /// The keys that the full samples have together. Throws where a stored property is in none of them: the sample lags behind the type.
    func fullKeys() throws -> Set<String> {
        let keys = try full.reduce(into: Set<String>()) { try $0.formUnion(Self.keys($1)) }
        let flattened: Set<String> = ["policy"]
        for child in full.flatMap({ Mirror(reflecting: $0).children }) {
            guard let label = child.label, !flattened.contains(label), !keys.contains(label) else { continue }
            throw OpenAPIDocument.Malformed(description: "the sample of \(schema) does not set \(label)")
        }
        return keys
    }

    /// The keys that all empty samples have.
    func emptyKeys() throws -> Set<String> {
        var sets = try empty.map(Self.keys)
        let first = sets.isEmpty ? [] : sets.removeFirst()
        return sets.reduce(first) { $0.intersection($1) }
    }

    private static func keys(_ value: any Encodable) throws -> Set<String> {
        let object = try JSONSerialization.jsonObject(with: DriveJSON.encoder().encode(value)) as? [String: Any]
        return Set(object.map { Array($0.keys) } ?? [])
    }

    // MARK: Samples

    static let time = Timestamp(seconds: 1_800_000_000)
    private static let hash = String(repeating: "ab", count: 32)
    static let id = UUID()

    private static let file = CloudFile(
        id: "f", name: "a.txt", size: 1, contentType: "text/plain", hash: hash, poolId: id, bundleId: id, userMeta: ["a": 1],
        expiredAt: time, createdAt: time, updatedAt: time)

    private static func summary(optional: Bool) -> UploadSummary {
        UploadSummary(
            taskId: "t", fileName: "a.txt", fileSize: 1, contentType: "text/plain", hash: optional ? hash : nil, chunkSize: 1,
            chunksCount: 1,
            chunksUploaded: 1, bytesUploaded: 1, progress: 100, status: .completed, poolId: id, bundleId: optional ? id : nil,
            fileId: optional ? "f" : nil, errorMessage: optional ? "m" : nil, expiredAt: optional ? time : nil, createdAt: time,
            updatedAt: time, lastActivity: time)
    }

    private static func resume(optional: Bool) -> ResumeInformation {
        ResumeInformation(
            taskId: "t", fileName: "a.txt", fileSize: 1, contentType: "text/plain", hash: optional ? hash : nil, chunkSize: 1,
            chunksCount: 1,
            uploadedChunks: [0], status: .inProgress, fileId: optional ? "f" : nil, sessionToken: optional ? "s" : nil,
            sessionExpiresAt: optional ? time : nil)
    }

    private static func bundle(optional: Bool) -> FileBundle {
        FileBundle(
            id: id, name: "b", description: optional ? "d" : nil, expiredAt: optional ? time : nil, fileCount: 1, totalSize: 1,
            createdAt: time, updatedAt: time)
    }

    private static func pool(_ policy: PoolPolicy) -> Pool {
        Pool(id: id, name: "p", kind: "local", isDefault: true, policy: policy, createdAt: time, updatedAt: time)
    }

    private static let poolUsage = UsageReply.PoolUsage(poolId: id, poolName: "p", fileCount: 1, totalBytes: 1, chargedBytes: 1)

    static let all: [WireSample] = uploads + others + tasks

    private static let uploads = [
        WireSample(
            "CreateUploadRequest",
            full: [
                CreateUploadRequest(
                    fileName: "a.txt", fileSize: 1, contentType: "text/plain", poolId: id, bundleId: id, chunkSize: 65_536,
                    encryptPassword: "p", expiredAt: time, hash: hash, legacyUploadEvents: true)
            ],
            empty: [CreateUploadRequest(fileName: "a.txt", fileSize: 1)]),
        WireSample(
            "CreateUploadReply",
            full: [
                CreateUploadReply(existing: file),
                CreateUploadReply(taskId: "t", chunkSize: 1, chunksCount: 1, sessionToken: "s", sessionExpiresAt: time),
            ]),
        WireSample(
            "ChunkReply",
            full: [
                ChunkReply(taskId: "t", chunkIndex: 0, size: 1, checksum: "00000000", chunksUploaded: 1, chunksTotal: 1, progress: 100)
            ]),
        WireSample("VerifyingReply", full: [VerifyingReply(taskId: "t", progress: 50)]),
        WireSample("ResumeInformation", full: [resume(optional: true)], empty: [resume(optional: false)]),
        WireSample(
            "UploadProgress",
            full: [
                UploadProgress(
                    taskId: "t", status: .inProgress, progress: 50, chunksUploaded: 1, chunksTotal: 2, bytesUploaded: 1, bytesTotal: 2,
                    bytesVerified: 1, lastActivity: time)
            ]),
        WireSample("UploadSummary", full: [summary(optional: true)], empty: [summary(optional: false)]),
        WireSample(
            "UploadStatistics",
            full: [
                UploadStatistics(
                    totalTasks: 1, inProgressTasks: 0, completedTasks: 1, failedTasks: 0, expiredTasks: 0, totalUploadedBytes: 1,
                    averageProgress: 100, recentActivity: [summary(optional: true)])
            ]),
    ]

    private static let others = [
        WireSample(
            "CloudFile", full: [file],
            empty: [
                CloudFile(
                    id: "f", name: "a.txt", size: 1, contentType: "text/plain", hash: hash, poolId: id, createdAt: time, updatedAt: time)
            ]),
        WireSample("FileBundle", full: [bundle(optional: true)], empty: [bundle(optional: false)]),
        WireSample(
            "Pool",
            full: [
                pool(
                    PoolPolicy(
                        acceptTypes: ["image/*"], maxFileSize: 1, allowAnonymous: true, requireRole: "user", costMultiplier: 2,
                        defaultExpirySeconds: 1, maxOpenBytes: 1))
            ],
            empty: [pool(PoolPolicy())]),
        WireSample(
            "QuotaReply", full: [QuotaReply(quotaBytes: 2, usedBytes: 1, reservedBytes: 0)],
            empty: [QuotaReply(quotaBytes: nil, usedBytes: 1, reservedBytes: 0)]),
        WireSample(
            "UsageReply",
            full: [UsageReply(fileCount: 1, totalBytes: 1, chargedBytes: 1, reservedBytes: 0, pools: [poolUsage])]),
        WireSample("PoolUsage", full: [poolUsage]),
        WireSample(
            "ErrorReply", full: [ErrorReply(code: "c", message: "m", status: 400, details: [:], requestId: "r")],
            empty: [ErrorReply(code: "c", message: "m", status: 400, details: [:], requestId: nil)]),
    ]
}
