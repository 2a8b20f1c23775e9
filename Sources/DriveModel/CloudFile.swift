import Foundation

/// A stored file as its owner sees it.
public struct CloudFile: Codable, Hashable, Sendable {
    public var id: String
    public var name: String
    /// Bytes.
    public var size: Int64
    public var contentType: String
    /// SHA-256 of the content, lower-case hex.
    public var hash: String
    public var poolId: UUID
    public var bundleId: UUID?
    /// What the owner attached; any JSON object.
    public var userMeta: [String: JSONValue]
    public var expiredAt: Timestamp?
    public var createdAt: Timestamp
    public var updatedAt: Timestamp

    public init(
        id: String, name: String, size: Int64, contentType: String, hash: String, poolId: UUID, bundleId: UUID? = nil,
        userMeta: [String: JSONValue] = [:], expiredAt: Timestamp? = nil, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.size = size
        self.contentType = contentType
        self.hash = hash
        self.poolId = poolId
        self.bundleId = bundleId
        self.userMeta = userMeta
        self.expiredAt = expiredAt
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// A named group of files with one expiry.
public struct FileBundle: Codable, Hashable, Sendable {
    public var id: UUID
    public var name: String
    public var description: String?
    public var expiredAt: Timestamp?
    public var fileCount: Int64
    public var totalSize: Int64
    public var createdAt: Timestamp
    public var updatedAt: Timestamp

    public init(
        id: UUID, name: String, description: String?, expiredAt: Timestamp?, fileCount: Int64, totalSize: Int64,
        createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.description = description
        self.expiredAt = expiredAt
        self.fileCount = fileCount
        self.totalSize = totalSize
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}
