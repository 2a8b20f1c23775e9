extension SettingsTable {
    private static let chunkStep: Int64 = 64 << 10

    @SettingsBuilder static var uploads: [any SettingDescription] {
        Setting(
            \.uploads.defaultChunkSize, "uploads.defaultChunkSize", "UPLOAD_DEFAULT_CHUNK_SIZE",
            .size(chunkStep...(1 << 30), multipleOf: chunkStep), "The size of chunks where the client names none.")
        Setting(
            \.uploads.maxChunkSize, "uploads.maxChunkSize", "UPLOAD_MAX_CHUNK_SIZE",
            .size(chunkStep...(1 << 30), multipleOf: chunkStep), "The largest size of chunks.")
        Setting(
            \.uploads.staleThreshold, "uploads.staleThresholdHours", "UPLOAD_STALE_THRESHOLD_HOURS",
            .duration(.seconds(60)...days(3650), bare: .hours), "An upload without activity for so long is swept.")
        Setting(
            \.uploads.cleanupInterval, "uploads.cleanupIntervalMinutes", "UPLOAD_CLEANUP_INTERVAL_MINUTES",
            .duration(.seconds(1)...days(30), bare: .minutes), "The time between two sweeps of uploads.")
        Setting(
            \.uploads.cacheDuration, "uploads.cacheDurationMinutes", "UPLOAD_CACHE_DURATION_MINUTES",
            .duration(.zero...days(30), bare: .minutes), "How long the state of an upload may be answered from memory.")
        Setting(
            \.uploads.maxFileSize, "uploads.maxFileSize", "UPLOAD_MAX_FILE_SIZE", .size(1...(1 << 60)),
            "The largest file.")
        Setting(
            \.uploads.maxOpenPerAccount, "uploads.maxOpenPerAccount", "UPLOAD_MAX_OPEN_PER_ACCOUNT", .integer(1...1_000_000),
            "The most unfinished uploads of one account.")
        Setting(
            \.uploads.maxOpenBytesPerAccount, "uploads.maxOpenBytesPerAccount", "UPLOAD_MAX_OPEN_BYTES_PER_ACCOUNT",
            .size(0...(1 << 60), zero: "no limit"),
            "The most bytes that one account's unfinished uploads may hold together, whatever they cost; no file is larger.")
        Setting(
            \.uploads.defaultExpiry, "uploads.defaultExpiry", "UPLOAD_DEFAULT_EXPIRY", .duration(.seconds(60)...days(3650)),
            "How long an upload may stay unfinished.")
        Setting(
            \.uploads.sessionLifetime, "uploads.sessionLifetime", "UPLOAD_SESSION_LIFETIME", .duration(.seconds(60)...days(365)),
            "How long the `sessionToken` of an upload is good for.")
        Setting(
            \.uploads.directLimit, "uploads.directLimit", "UPLOAD_DIRECT_LIMIT", .size(0...(1 << 40)),
            "The largest file of a one-request upload.")
        Setting(
            \.uploads.maxRequestBody, "uploads.maxRequestBody", "UPLOAD_MAX_REQUEST_BODY", .size(0...(1 << 60), zero: "no limit"),
            "The most bytes that one request of a resumable upload may bring: what a proxy in front lets through. Clients are told.")
        Setting(
            \.uploads.idempotencyLifetime, "uploads.idempotencyLifetime", "UPLOAD_IDEMPOTENCY_LIFETIME",
            .duration(.seconds(60)...days(365)), "How long an `Idempotency-Key` gives its first answer again.")
        Setting(
            \.uploads.claimStall, "uploads.claimStall", "UPLOAD_CLAIM_STALL", .duration(.milliseconds(100)...(.seconds(600))),
            "The sender of a chunk that sent nothing for so long may be replaced by another.")
        Setting(
            \.uploads.legacyEvents, "uploads.legacyUploadEvents", "UPLOAD_LEGACY_EVENTS", .boolean,
            "Whether the older `upload.*` events go to every client; without it, to those that ask.")
    }
}
