import DriveDatabase
import DriveModel
import Foundation

/// Quota: reserved at create, settled in the transaction of the state change. Each function is one part of a
/// caller's transaction; the conditional update makes races impossible.
enum QuotaLedger {
    /// Stands for "no limit"; half of the range, so that sums never overflow.
    static let unlimited = Int64.max / 2

    /// What an account may use: its own quota, or the default; a negative one is no limit.
    static func limit(of account: UUID, default defaultQuota: Int64?, in sql: any SQLSession) throws -> Int64? {
        let own = try sql.first("SELECT quota_bytes FROM accounts WHERE id = $1", [.uuid(account)])?.optionalInt64("quota_bytes")
        return limit(own: own, default: defaultQuota)
    }

    static func limit(own: Int64?, default defaultQuota: Int64?) -> Int64? {
        guard let quota = own ?? defaultQuota, quota >= 0 else { return nil }
        return min(quota, unlimited)
    }

    /// What files use of an account's quota, right after a change.
    struct Usage {
        var usedBytes: Int64
        /// The account's own quota; nil where the default holds.
        var ownQuota: Int64?

        /// What the change's own statement returns, where `$1` is the account.
        static let columns = "used_bytes, (SELECT quota_bytes FROM accounts WHERE id = $1) AS quota_bytes"

        init(_ row: SQLRow) throws {
            usedBytes = try row.int64("used_bytes")
            ownQuota = try row.optionalInt64("quota_bytes")
        }
    }

    /// What one more upload takes.
    struct Demand {
        /// Bytes against the quota: the size times the pool's cost multiplier.
        var charge: Int64
        /// Bytes on the disk, whatever they cost.
        var bytes: Int64
    }

    /// Whether an upload would fit now: asked before a disk is made to allocate. `reserve` decides.
    /// Throws `FILE_TOO_LARGE`, `TOO_MANY_OPEN_UPLOADS`, `QUOTA_EXCEEDED`.
    static func expectRoom(for demand: Demand, account: UUID, settings: UploadSettings, in sql: any SQLSession) throws {
        let quota = try limit(of: account, default: settings.defaultQuota, in: sql) ?? unlimited
        let row = try sql.first("SELECT * FROM account_usage WHERE account_id = $1", [.uuid(account)])
        if let refusal = try refusal(of: demand, usage: row, quota: quota, settings: settings) { throw refusal }
    }

    /// Reserves room for one more open upload. Throws `FILE_TOO_LARGE`, `TOO_MANY_OPEN_UPLOADS`, `QUOTA_EXCEEDED`.
    static func reserve(_ demand: Demand, for account: UUID, settings: UploadSettings, in sql: any SQLSession) throws {
        let quota = try limit(of: account, default: settings.defaultQuota, in: sql) ?? unlimited
        let ceiling = settings.maximumOpenBytesPerAccount ?? unlimited
        try sql.execute("INSERT INTO account_usage (account_id) VALUES ($1) ON CONFLICT (account_id) DO NOTHING", [.uuid(account)])
        let taking = """
            UPDATE account_usage SET reserved_bytes = reserved_bytes + $2, open_bytes = open_bytes + $3, open_uploads = open_uploads + 1
            WHERE account_id = $1
            """
        let taken: [SQLValue] = [.uuid(account), .integer(demand.charge), .integer(demand.bytes)]
        let changed = try sql.execute(
            "\(taking) AND used_bytes + reserved_bytes <= $4 AND open_bytes <= $5 AND open_uploads < $6",
            taken + [
                .integer(quota - demand.charge), .integer(ceiling - demand.bytes), .integer(settings.maximumOpenPerAccount),
            ])
        guard changed == 0 else { return }
        // Another upload may have ended since: what refuses is decided under the row's lock.
        let row = try sql.first("SELECT * FROM account_usage WHERE account_id = $1\(sql.dialect.forUpdate)", [.uuid(account)])
        if let refusal = try refusal(of: demand, usage: row, quota: quota, settings: settings) { throw refusal }
        try sql.execute(taking, taken)
    }

    /// Changes what an open upload holds. Throws as `reserve` does where it grows.
    static func resize(
        from old: Demand, to new: Demand, for account: UUID, settings: UploadSettings, in sql: any SQLSession
    ) throws {
        let more = Demand(charge: new.charge - old.charge, bytes: new.bytes - old.bytes)
        if more.charge > 0 || more.bytes > 0 {
            let quota = try limit(of: account, default: settings.defaultQuota, in: sql) ?? unlimited
            let row = try sql.first("SELECT * FROM account_usage WHERE account_id = $1\(sql.dialect.forUpdate)", [.uuid(account)])
            if let refusal = try refusal(of: more, usage: row, quota: quota, settings: settings, isNew: false) { throw refusal }
        }
        try sql.execute(
            "UPDATE account_usage SET reserved_bytes = reserved_bytes + $2, open_bytes = open_bytes + $3 WHERE account_id = $1",
            [.uuid(account), .integer(more.charge), .integer(more.bytes)])
    }

    /// The rule that refuses an upload, where one does.
    private static func refusal(
        of demand: Demand, usage row: SQLRow?, quota: Int64, settings: UploadSettings, isNew: Bool = true
    ) throws -> DriveError? {
        let ceiling = settings.maximumOpenBytesPerAccount ?? unlimited
        let open = try row?.int64("open_bytes") ?? 0
        let openDetails: [String: JSONValue] = [
            "rule": "maxOpenBytesPerAccount", "maximumBytes": .integer(ceiling), "openBytes": .integer(open),
            "neededBytes": .integer(demand.bytes),
        ]
        let (used, reserved) = (try row?.int64("used_bytes") ?? 0, try row?.int64("reserved_bytes") ?? 0)
        if demand.bytes > ceiling {
            return DriveError(
                .fileTooLarge, "The unfinished uploads of an account have at most \(ceiling) bytes; this file alone has more.",
                details: openDetails)
        }
        // What passes only when the caller frees room goes before what passes by itself.
        if used + reserved > quota - demand.charge {
            return noRoom(for: demand.charge, quota: quota, used: used, reserved: reserved)
        }
        if isNew, try row?.int64("open_uploads") ?? 0 >= settings.maximumOpenPerAccount {
            return DriveError(
                .tooManyOpenUploads, "The account has \(settings.maximumOpenPerAccount) open uploads; complete or cancel some.",
                details: ["rule": "maxOpenPerAccount", "maximum": .integer(settings.maximumOpenPerAccount)], retryAfter: 60)
        }
        if open > ceiling - demand.bytes {
            return DriveError(
                .tooManyOpenUploads,
                "The account's unfinished uploads have \(open) of at most \(ceiling) bytes: no room for \(demand.bytes) more; complete or cancel some.",
                details: openDetails, retryAfter: 60)
        }
        return nil
    }

    private static func noRoom(for charge: Int64, quota: Int64, used: Int64, reserved: Int64) -> DriveError {
        DriveError(
            .quotaExceeded,
            "The quota of \(quota) bytes has no room for \(charge) more: \(used) are used by files, \(reserved) reserved by unfinished uploads.",
            details: [
                "quotaBytes": .integer(quota), "usedBytes": .integer(used), "reservedBytes": .integer(reserved),
                "neededBytes": .integer(charge),
            ])
    }

    /// Changes what files cost by `more` bytes, fewer where it is negative, as where they move to a pool of another price.
    /// Throws `QUOTA_EXCEEDED` where the quota has no room for growth.
    ///
    /// - Parameter settings: nil where nothing refuses: an administrator decided.
    /// - Returns: nil where nothing changed.
    static func recharge(by more: Int64, for account: UUID, settings: UploadSettings?, in sql: any SQLSession) throws -> Usage? {
        guard more != 0 else { return nil }
        if let settings, let refusal = try refusalOfGrowth(by: more, for: account, settings: settings, in: sql) { throw refusal }
        return try sql.first(
            "UPDATE account_usage SET used_bytes = used_bytes + $2 WHERE account_id = $1 RETURNING \(Usage.columns)",
            [.uuid(account), .integer(more)]
        ).map(Usage.init)
    }

    /// Why files cannot cost `more` bytes; nil where they can. Holds the account's row in a transaction that changes it.
    static func refusalOfGrowth(
        by more: Int64, for account: UUID, settings: UploadSettings, isLook: Bool = false, in sql: any SQLSession
    ) throws -> DriveError? {
        guard more > 0, let quota = try limit(of: account, default: settings.defaultQuota, in: sql) else { return nil }
        let row = try sql.first(
            "SELECT used_bytes, reserved_bytes FROM account_usage WHERE account_id = $1\(isLook ? "" : sql.dialect.forUpdate)",
            [.uuid(account)])
        let (used, reserved) = (try row?.int64("used_bytes") ?? 0, try row?.int64("reserved_bytes") ?? 0)
        return used + reserved > quota - more ? noRoom(for: more, quota: quota, used: used, reserved: reserved) : nil
    }

    /// Ends a reservation; `charged` bytes become used, 0 where the upload came to nothing.
    @discardableResult
    static func settle(
        _ reserved: Demand, charged: Int64, files: Int64, for account: UUID, in sql: any SQLSession
    ) throws -> Usage? {
        try sql.first(
            """
            UPDATE account_usage SET reserved_bytes = reserved_bytes - $2, used_bytes = used_bytes + $3,
                file_count = file_count + $4, open_bytes = open_bytes - $5, open_uploads = open_uploads - 1 WHERE account_id = $1
            RETURNING \(Usage.columns)
            """, [.uuid(account), .integer(reserved.charge), .integer(charged), .integer(files), .integer(reserved.bytes)]
        ).map(Usage.init)
    }

    /// Gives the bytes of removed files back.
    static func release(charged: Int64, files: Int64, for account: UUID, in sql: any SQLSession) throws {
        try sql.execute(
            "UPDATE account_usage SET used_bytes = used_bytes - $2, file_count = file_count - $3 WHERE account_id = $1",
            [.uuid(account), .integer(charged), .integer(files)])
    }

    /// Counts an open upload's preallocated bytes against its pool. Throws `POOL_POLICY`.
    static func openBytes(_ bytes: Int64, in pool: Pool, sql: any SQLSession) throws {
        let ceiling = pool.policy.maxOpenBytes ?? unlimited
        let changed = try sql.execute(
            "UPDATE pools SET open_bytes = open_bytes + $2 WHERE id = $1 AND open_bytes <= $3",
            [.uuid(pool.id), .integer(bytes), .integer(ceiling - bytes)])
        guard changed == 1 else {
            throw DriveError(
                .poolPolicy, "Pool \(pool.name) holds as many unfinished uploads as it admits; try again later.",
                details: ["rule": "maxOpenBytes", "maxOpenBytes": .integer(ceiling)], retryAfter: 60)
        }
    }

    static func closeBytes(_ bytes: Int64, pool: UUID, sql: any SQLSession) throws {
        try sql.execute("UPDATE pools SET open_bytes = open_bytes - $2 WHERE id = $1", [.uuid(pool), .integer(bytes)])
    }
}
