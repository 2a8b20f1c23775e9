extension DriveConfiguration {
    /// The limits and periods of uploads.
    package struct Uploads: Sendable, Equatable {
        package var defaultChunkSize: Int64 = 5 << 20
        package var maxChunkSize: Int64 = 16 << 20
        /// An upload without activity for so long is swept.
        package var staleThreshold: Duration = .seconds(24 * 3600)
        /// The period of the housekeeping of uploads.
        package var cleanupInterval: Duration = .seconds(3600)
        /// How long the state of an upload may be answered from memory.
        package var cacheDuration: Duration = .seconds(30 * 60)
        package var maxFileSize: Int64 = 5 << 40
        package var maxOpenPerAccount = 1000
        /// Bytes of one account's unfinished uploads together; 0: no limit.
        package var maxOpenBytesPerAccount: Int64 = 1 << 40
        /// How long an upload may stay open where its creator does not say.
        package var defaultExpiry: Duration = .seconds(7 * 86_400)
        /// How long a `sessionToken` is good for, and by how much it is extended.
        package var sessionLifetime: Duration = .seconds(24 * 3600)
        /// The largest file of a one-request upload.
        package var directLimit: Int64 = 100 << 20
        /// Bytes that one request of a resumable upload may bring, where a proxy in front lets no more through; 0: no limit.
        package var maxRequestBody: Int64 = 0
        /// How long an `Idempotency-Key` gives the first answer again.
        package var idempotencyLifetime: Duration = .seconds(24 * 3600)
        /// A chunk's sender that sent nothing for so long may be replaced by another.
        package var claimStall: Duration = .seconds(3)
        /// Whether the `upload.*` events of the older edition are sent to every client.
        package var legacyEvents = false
    }
}
