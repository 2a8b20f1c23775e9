/// The table of all settings: reading, checks, help and documentation follow from it.
package enum SettingsTable {
    /// The groups, in the order of the documentation.
    package static let groups: [(title: String, settings: [any SettingDescription])] = [
        ("Server", server), ("Database and storage", storage), ("Uploads", uploads), ("Tasks and quota", tasks),
        ("Notifications", ring + ringService),
        ("Access", access),
        ("Rate limits", rateLimits), ("CORS", cors), ("TLS", tls), ("Connections", connections), ("Threads, log and tests", process),
    ]

    /// Every setting.
    package static let all: [any SettingDescription] = groups.flatMap(\.settings)

    /// The keys of the YAML file that hold other keys: `server`, `rateLimits.account`.
    static let groupKeys: [String] = Set(
        all.flatMap { setting in
            let parts = setting.key.split(separator: ".")
            return (1...parts.count).dropLast().map { parts.prefix($0).joined(separator: ".") }
        }
    ).sorted()

    /// Names that other commands read, or that tell where the file is: known, and none of the server's settings.
    package static let otherEnvironmentNames: Set<String> = [
        "DRIVE_CONFIG", "DRIVE_ACCOUNT", "DRIVE_BUNDLE", "DRIVE_CA_FILE", "DRIVE_CHUNK_SIZE", "DRIVE_CONTENT_TYPE", "DRIVE_DEDUPE",
        "DRIVE_EXPIRES", "DRIVE_FORCE", "DRIVE_JSON", "DRIVE_LIMIT", "DRIVE_NAME", "DRIVE_OFFSET", "DRIVE_OUTPUT", "DRIVE_PARALLEL",
        "DRIVE_PATIENCE", "DRIVE_POOL", "DRIVE_QUERY", "DRIVE_QUIET", "DRIVE_ROLE", "DRIVE_SERVER", "DRIVE_SORT", "DRIVE_STATE_DIR",
        "DRIVE_SINCE", "DRIVE_STATUS", "DRIVE_TOKEN", "DRIVE_TOKEN_FILE", "DRIVE_TOKEN_NAME", "DRIVE_TTL", "DRIVE_TYPES",
    ]

    /// An environment name that begins so and is not known is reported.
    static let watchedPrefixes = ["DRIVE_", "UPLOAD_", "STORAGE_"]

    static func days(_ count: Int) -> Duration { .seconds(count * 86_400) }

    @SettingsBuilder static var server: [any SettingDescription] {
        Setting(
            \.dataFolder, "data", "DRIVE_DATA", option: "--data", .text("a path"),
            "The folder of the database, the blobs and the generated secrets.")
        Setting(
            \.server.host, "server.host", "DRIVE_HOST", option: "--host", .text("an address or a host name"),
            "The address to listen on.")
        Setting(
            \.server.port, "server.port", "DRIVE_PORT", option: "--port", .integer(0...65_535, zero: "any free port"),
            "The port to listen on.")
        Setting(
            \.server.publicURL, "server.publicURL", "DRIVE_PUBLIC_URL", .optional(.webAddress, shown: "from the request"),
            "The address by which clients reach the server, used in links.")
        Setting(
            \.server.trustedProxies, "server.trustedProxies", "DRIVE_TRUSTED_PROXIES",
            .list(of: .network, plural: "networks such as `10.0.0.0/8`, or single addresses"),
            "The networks whose `Forwarded` and `X-Forwarded-*` headers count.")
    }

    @SettingsBuilder static var storage: [any SettingDescription] {
        Setting(
            \.database.url, "database.url", "DATABASE_URL",
            .optional(
                .secret(
                    .matching("an address such as `postgres://user:password@host:5432/name`", reason: "is not a PostgreSQL address") {
                        $0.hasPrefix("postgres://") || $0.hasPrefix("postgresql://")
                    }), shown: "SQLite in the data folder"),
            secret: true, "The PostgreSQL database; empty: SQLite in the data folder.")
        Setting(
            \.database.poolSize, "database.poolSize", "DRIVE_DATABASE_POOL_SIZE", .integer(1...1000),
            "The most connections to the database.")
        Setting(
            \.storage.uploadsPath, "storage.uploadsPath", "STORAGE_UPLOADS_PATH",
            .optional(.text("a path"), shown: "`staging` in each pool's folder"),
            "The staging folder of unfinished uploads, for every pool on its file system; the default pool must be one of them.")
        Setting(
            \.storage.directIOFrom, "storage.directIOFrom", "STORAGE_DIRECT_IO_FROM", .size(0...(1 << 60)),
            "An upload of this size or more is written around the page cache, where the file system can; `1024PiB`: none is.")
        Setting(
            \.storage.preferredRemote, "storage.preferredRemote", "STORAGE_PREFERRED_REMOTE",
            .optional(.uuid, shown: "the first pool"), "The pool of uploads that name none.")
        Setting(
            \.storage.blobGracePeriod, "storage.blobGracePeriod", "DRIVE_BLOB_GRACE_PERIOD", .duration(.zero...days(365)),
            "How long a blob without references is kept.")
    }

    @SettingsBuilder static var tasks: [any SettingDescription] {
        Setting(
            \.tasks.retention, "tasks.retention", "DRIVE_TASK_RETENTION", .duration(.seconds(60)...days(3650)),
            "How long a task that has ended is kept.")
        Setting(
            \.tasks.slots, "tasks.slots", "DRIVE_TASK_SLOTS", .integer(1...1000), "Tasks that one process runs at the same time.")
        Setting(
            \.tasks.maxRunningPerAccount, "tasks.maxRunningPerAccount", "DRIVE_TASKS_PER_ACCOUNT", .integer(0...100_000, zero: "no limit"),
            "Tasks of one account that run at the same time, over all servers.")
        Setting(
            \.tasks.maxRunningPerPool, "tasks.maxRunningPerPool", "DRIVE_TASKS_PER_POOL", .integer(0...100_000, zero: "no limit"),
            "Tasks on one pool that run at the same time, over all servers.")
        Setting(
            \.tasks.drainTime, "tasks.drainTime", "DRIVE_TASK_DRAIN_TIME", .duration(.zero...(.seconds(3600))),
            "How long running tasks may run on when the process stops; then they are given back, and go on elsewhere or later.")
        Setting(
            \.tasks.leasePatience, "tasks.leasePatience", "DRIVE_TASK_LEASE_PATIENCE", .duration(.seconds(3)...(.seconds(3600))),
            "A worker without a sign of life for so long is taken for lost, and its tasks run again. The same on all servers.")
        Setting(
            \.quota.defaultBytes, "quota.default", "DRIVE_QUOTA", .quota,
            "What an account may store where nothing else is said.")
    }

    @SettingsBuilder static var rateLimits: [any SettingDescription] {
        Setting(
            \.rateLimits.account.requestsPerSecond, "rateLimits.account.requestsPerSecond", "DRIVE_RATE_ACCOUNT",
            .integer(0...1_000_000, zero: "no limit"), "Requests per second of one account.")
        Setting(
            \.rateLimits.account.burst, "rateLimits.account.burst", "DRIVE_RATE_ACCOUNT_BURST", .integer(1...10_000_000),
            "Requests of one account at once.")
        Setting(
            \.rateLimits.address.requestsPerSecond, "rateLimits.address.requestsPerSecond", "DRIVE_RATE_ADDRESS",
            .integer(0...1_000_000, zero: "no limit"), "Requests per second from one address.")
        Setting(
            \.rateLimits.address.burst, "rateLimits.address.burst", "DRIVE_RATE_ADDRESS_BURST", .integer(1...10_000_000),
            "Requests from one address at once.")
        Setting(
            \.rateLimits.failedSignInsPerMinute, "rateLimits.failedSignInsPerMinute", "DRIVE_RATE_FAILED_SIGNINS",
            .integer(0...1_000_000, zero: "no limit"), "Failed sign-ins per minute from one address.")
    }

    @SettingsBuilder static var process: [any SettingDescription] {
        Setting(
            \.threads.io, "threads.io", "DRIVE_IO_THREADS", .optional(.integer(1...1024), word: "auto"),
            "Threads for file I/O; `auto`: four per processor, at least 16.")
        Setting(
            \.threads.hashing, "threads.hashing", "DRIVE_HASHING_THREADS", .optional(.integer(1...1024), word: "auto"),
            "Threads for hashing; `auto`: one per processor.")
        Setting(
            \.log.levels, "log.level", "LOG_LEVEL", .logLevels,
            "The least level that is logged, alone or per category; `none` leaves critical entries.")
        Setting(
            \.log.format, "log.format", "LOG_FORMAT", .word(),
            "The form of log lines; `auto`: text on a terminal, JSON otherwise.")
        Setting(
            \.faults, "faults", "DRIVE_FAULTS", .optional(.text("a specification of the fault layer")),
            "Faults that storage is to show, for tests alone.")
    }
}

extension ValueParser where Value == Int64? {
    /// A quota: a size; `unlimited` and 0 give nil.
    static var quota: ValueParser {
        let base = ValueParser<Int64>.size(0...(1 << 60), zero: "unlimited")
        let optional = ValueParser.optional(base, word: "unlimited")
        return ValueParser(
            allowed: optional.allowed,
            // An empty quota is more likely a mistake than a wish for no limit: the variable counts as not set.
            parse: { (node) throws(ValueRejection) -> Int64? in
                if case .text(let text, _) = node, text.trimmingBlanks().isEmpty { throw ValueRejection("is empty") }
                return try optional.parse(node).flatMap { $0 == 0 ? nil : $0 }
            },
            format: optional.format)
    }
}
