import Foundation

/// What a pool admits and what it costs. A pure value: `refusal(of:)` decides.
public struct PoolPolicy: Codable, Hashable, Sendable {
    /// Media types admitted: `image/png`, `image/*`; empty admits all.
    public var acceptTypes: [String]
    /// Bytes; nil sets no limit of the pool's own.
    public var maxFileSize: Int64?
    /// Whether somebody without an account may upload here (by a share link); off by default.
    public var allowAnonymous: Bool
    /// The role an account must have; nil admits every role.
    public var requireRole: String?
    /// What a byte counts against the quota; 1 by default, 0 is free.
    public var costMultiplier: Double
    /// Seconds after which a file without an expiry of its own goes; nil keeps it.
    public var defaultExpirySeconds: Int64?
    /// Bytes that open uploads may hold preallocated; nil sets no limit.
    public var maxOpenBytes: Int64?

    public init(
        acceptTypes: [String] = [], maxFileSize: Int64? = nil, allowAnonymous: Bool = false, requireRole: String? = nil,
        costMultiplier: Double = 1, defaultExpirySeconds: Int64? = nil, maxOpenBytes: Int64? = nil
    ) {
        self.acceptTypes = acceptTypes
        self.maxFileSize = maxFileSize
        self.allowAnonymous = allowAnonymous
        self.requireRole = requireRole
        self.costMultiplier = costMultiplier
        self.defaultExpirySeconds = defaultExpirySeconds
        self.maxOpenBytes = maxOpenBytes
    }

    /// The first rule that refuses a file of this type and size (bytes) from somebody of this role, or nil.
    public func refusal(contentType: String, size: Int64, role: String, poolName: String) -> DriveError? {
        if let requireRole, role != requireRole, role != AccountRole.admin.rawValue {
            return DriveError(
                .poolPolicy, "Pool \(poolName) asks for the role \(requireRole).",
                details: ["rule": "requireRole", "role": .string(requireRole)])
        }
        if let maxFileSize, size > maxFileSize {
            return DriveError(
                .fileTooLarge, "Pool \(poolName) takes files up to \(maxFileSize) bytes.",
                details: ["rule": "maxFileSize", "maxFileSize": .integer(maxFileSize)])
        }
        if !acceptTypes.isEmpty, !acceptTypes.contains(where: { Self.matches(contentType, pattern: $0) }) {
            return DriveError(
                .poolPolicy, "Pool \(poolName) takes the types \(acceptTypes.joined(separator: ", ")) only.",
                details: ["rule": "acceptTypes", "acceptTypes": .array(acceptTypes.map { .string($0) })])
        }
        return nil
    }

    /// Bytes a file of `size` counts against the quota: rounded up, never negative, never overflowing.
    public func charge(for size: Int64) -> Int64 {
        if costMultiplier == 1 { return size }
        let product = (Double(size) * costMultiplier).rounded(.up)
        // A multiplier that is no number charges like the largest one: never less than meant.
        guard product < Double(Int64.max / 4) else { return Int64.max / 4 }
        return product > 0 ? Int64(product) : 0
    }

    static func matches(_ contentType: String, pattern: String) -> Bool {
        let type = contentType.split(separator: ";").first.map { $0.filter { $0 != " " }.lowercased() } ?? ""
        let pattern = pattern.lowercased()
        if pattern == "*/*" || pattern == "*" { return true }
        return pattern.hasSuffix("/*") ? type.hasPrefix(pattern.dropLast()) : type == pattern
    }
}

/// A place for files, with its policy.
public struct Pool: Codable, Hashable, Sendable {
    public var id: UUID
    public var name: String
    /// `local`.
    public var kind: String
    public var isDefault: Bool
    public var policy: PoolPolicy
    public var createdAt: Timestamp
    public var updatedAt: Timestamp

    public init(
        id: UUID, name: String, kind: String, isDefault: Bool, policy: PoolPolicy, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.isDefault = isDefault
        self.policy = policy
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    private enum CodingKeys: String, CodingKey {
        case id, name, kind, isDefault, createdAt, updatedAt
    }

    // The policy's fields stand beside the pool's own, not in an object of their own.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(UUID.self, forKey: .id)
        name = try container.decode(String.self, forKey: .name)
        kind = try container.decode(String.self, forKey: .kind)
        isDefault = try container.decode(Bool.self, forKey: .isDefault)
        createdAt = try container.decode(Timestamp.self, forKey: .createdAt)
        updatedAt = try container.decode(Timestamp.self, forKey: .updatedAt)
        policy = try PoolPolicy(from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(name, forKey: .name)
        try container.encode(kind, forKey: .kind)
        try container.encode(isDefault, forKey: .isDefault)
        try container.encode(createdAt, forKey: .createdAt)
        try container.encode(updatedAt, forKey: .updatedAt)
        try policy.encode(to: encoder)
    }
}

/// Who may do what. An administrator edits pools, quotas and accounts.
public enum AccountRole: String, Codable, Sendable, CaseIterable {
    case user, admin
}
