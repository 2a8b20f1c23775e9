import Foundation

/// `GET /api/billing/quota`: bytes as they count, that is, times the pools' cost multipliers.
public struct QuotaReply: Codable, Hashable, Sendable {
    /// nil where the account has no limit.
    public var quotaBytes: Int64?
    public var usedBytes: Int64
    /// Held by open uploads.
    public var reservedBytes: Int64
    /// nil where the account has no limit.
    public var availableBytes: Int64?

    public init(quotaBytes: Int64?, usedBytes: Int64, reservedBytes: Int64) {
        self.quotaBytes = quotaBytes
        self.usedBytes = usedBytes
        self.reservedBytes = reservedBytes
        self.availableBytes = quotaBytes.map { max(0, $0 - usedBytes - reservedBytes) }
    }
}

/// `GET /api/billing/usage`.
public struct UsageReply: Codable, Hashable, Sendable {
    public struct PoolUsage: Codable, Hashable, Sendable {
        public var poolId: UUID
        public var poolName: String
        public var fileCount: Int64
        /// Bytes as the files have them.
        public var totalBytes: Int64
        /// Bytes as they count against the quota.
        public var chargedBytes: Int64

        public init(poolId: UUID, poolName: String, fileCount: Int64, totalBytes: Int64, chargedBytes: Int64) {
            self.poolId = poolId
            self.poolName = poolName
            self.fileCount = fileCount
            self.totalBytes = totalBytes
            self.chargedBytes = chargedBytes
        }
    }

    public var fileCount: Int64
    public var totalBytes: Int64
    public var chargedBytes: Int64
    public var reservedBytes: Int64
    public var pools: [PoolUsage]

    public init(fileCount: Int64, totalBytes: Int64, chargedBytes: Int64, reservedBytes: Int64, pools: [PoolUsage]) {
        self.fileCount = fileCount
        self.totalBytes = totalBytes
        self.chargedBytes = chargedBytes
        self.reservedBytes = reservedBytes
        self.pools = pools
    }
}
