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
        guard let quota = own ?? defaultQuota, quota >= 0 else { return nil }
        return min(quota, unlimited)
    }

    /// Whether the bytes would fit now: asked before a disk is made to allocate. `reserve` decides.
    static func expectRoom(for bytes: Int64, account: UUID, settings: UploadSettings, in sql: any SQLSession) throws {
        guard let limit = try limit(of: account, default: settings.defaultQuota, in: sql) else { return }
        let row = try sql.first("SELECT * FROM account_usage WHERE account_id = $1", [.uuid(account)])
        let (used, reserved) = (try row?.int64("used_bytes") ?? 0, try row?.int64("reserved_bytes") ?? 0)
        guard used + reserved <= limit - bytes else { throw exceeded(limit, used: used, reserved: reserved, needed: bytes) }
    }

    private static func exceeded(_ limit: Int64, used: Int64, reserved: Int64, needed: Int64) -> DriveError {
        DriveError(
            .quotaExceeded, "The quota of \(limit) bytes has no room for \(needed) more.",
            details: [
                "quotaBytes": .integer(limit), "usedBytes": .integer(used), "reservedBytes": .integer(reserved),
                "neededBytes": .integer(needed),
            ])
    }

    /// Reserves bytes for one more open upload. Throws `QUOTA_EXCEEDED`, `TOO_MANY_OPEN_UPLOADS`.
    static func reserve(_ bytes: Int64, for account: UUID, settings: UploadSettings, in sql: any SQLSession) throws {
        let limit = try limit(of: account, default: settings.defaultQuota, in: sql) ?? unlimited
        try sql.execute("INSERT INTO account_usage (account_id) VALUES ($1) ON CONFLICT (account_id) DO NOTHING", [.uuid(account)])
        let changed = try sql.execute(
            """
            UPDATE account_usage SET reserved_bytes = reserved_bytes + $2, open_uploads = open_uploads + 1
            WHERE account_id = $1 AND used_bytes + reserved_bytes <= $3 AND open_uploads < $4
            """, [.uuid(account), .integer(bytes), .integer(limit - bytes), .integer(settings.maximumOpenPerAccount)])
        guard changed == 0 else { return }
        let row = try sql.first("SELECT * FROM account_usage WHERE account_id = $1", [.uuid(account)])
        let (used, reserved) = (try row?.int64("used_bytes") ?? 0, try row?.int64("reserved_bytes") ?? 0)
        if try row?.int64("open_uploads") ?? 0 >= settings.maximumOpenPerAccount {
            throw DriveError(
                .tooManyOpenUploads, "The account has \(settings.maximumOpenPerAccount) open uploads; complete or cancel some.",
                details: ["maximum": .integer(settings.maximumOpenPerAccount)], retryAfter: 60)
        }
        throw exceeded(limit, used: used, reserved: reserved, needed: bytes)
    }

    /// Ends a reservation; `charged` bytes become used, 0 where the upload came to nothing.
    static func settle(
        reserved: Int64, charged: Int64, files: Int64, for account: UUID, in sql: any SQLSession
    ) throws {
        try sql.execute(
            """
            UPDATE account_usage SET reserved_bytes = reserved_bytes - $2, used_bytes = used_bytes + $3,
                file_count = file_count + $4, open_uploads = open_uploads - 1 WHERE account_id = $1
            """, [.uuid(account), .integer(reserved), .integer(charged), .integer(files)])
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
