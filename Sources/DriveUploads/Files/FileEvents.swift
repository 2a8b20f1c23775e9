import DriveDatabase
import DriveEvents
import DriveModel
import Foundation

/// The events of files, bundles and quotas, for their owner. They belong to no task, so who follows one task is not told of them.
/// They are appended last in a transaction: the row of an account's numbers comes after all others in the order of locks.
enum FileEvents {
    // MARK: Files

    /// Why a file went.
    enum Reason: String, Sendable {
        case deleted, expired
        /// With its bundle.
        case bundle
    }

    static func created(_ file: CloudFile, by taskId: String?) -> DriveEvent {
        var data: [String: JSONValue] = [
            "size": .integer(file.size), "contentType": .string(file.contentType), "poolId": .string(file.poolId.lowercaseString),
            "createdAt": .string("\(file.createdAt)"),
        ]
        if let bundleId = file.bundleId { data["bundleId"] = .string(bundleId.lowercaseString) }
        if let taskId { data["taskId"] = .string(taskId) }
        return event("file.created", file.id, file.name, data)
    }

    /// A change of what its owner can set; nil where everything stayed as it was.
    static func updated(from old: CloudFile, to new: CloudFile) -> DriveEvent? {
        let changed = [
            old.name == new.name ? nil : "name", old.userMeta == new.userMeta ? nil : "userMeta",
            old.bundleId == new.bundleId ? nil : "bundleId", old.expiredAt == new.expiredAt ? nil : "expiredAt",
        ].compactMap { $0 }
        guard !changed.isEmpty else { return nil }
        return event("file.updated", new.id, new.name, update(changed, at: new.updatedAt))
    }

    static func moved(_ id: String, name: String, from source: UUID, to target: UUID, now: Timestamp) -> DriveEvent {
        event(
            "file.moved", id, name,
            [
                "fromPoolId": .string(source.lowercaseString), "toPoolId": .string(target.lowercaseString), "movedAt": .string("\(now)"),
            ])
    }

    static func deleted(_ file: FileService.Removed, because reason: Reason, now: Timestamp) -> DriveEvent {
        event(
            "file.deleted", file.id, file.name,
            ["size": .integer(file.size), "reason": .string(reason.rawValue), "deletedAt": .string("\(now)")])
    }

    private static func event(_ type: String, _ id: String, _ name: String, _ more: [String: JSONValue]) -> DriveEvent {
        DriveEvent(type: type, taskId: nil, data: more.merging(["fileId": .string(id), "name": .string(name)]) { $1 })
    }

    private static func update(_ changed: [String], at time: Timestamp) -> [String: JSONValue] {
        ["changed": .array(changed.map { .string($0) }), "updatedAt": .string("\(time)")]
    }

    // MARK: Bundles

    static func created(_ bundle: FileBundle) -> DriveEvent {
        event("bundle.created", bundle.id, bundle.name, ["createdAt": .string("\(bundle.createdAt)")])
    }

    /// Nil where everything stayed as it was.
    static func updated(from old: FileBundle, to new: FileBundle) -> DriveEvent? {
        let changed = [
            old.name == new.name ? nil : "name", old.description == new.description ? nil : "description",
            old.expiredAt == new.expiredAt ? nil : "expiredAt",
        ].compactMap { $0 }
        guard !changed.isEmpty else { return nil }
        return event("bundle.updated", new.id, new.name, update(changed, at: new.updatedAt))
    }

    /// - Parameter withFiles: whether its files went with it. Those that stay are in no bundle, and have no event of their own.
    static func deleted(bundle id: UUID, name: String, withFiles: Bool, because reason: Reason, now: Timestamp) -> DriveEvent {
        event(
            "bundle.deleted", id, name,
            ["reason": .string(reason.rawValue), "withFiles": .bool(withFiles), "deletedAt": .string("\(now)")])
    }

    private static func event(_ type: String, _ id: UUID, _ name: String, _ more: [String: JSONValue]) -> DriveEvent {
        DriveEvent(
            type: type, taskId: nil,
            data: more.merging(["bundleId": .string(id.lowercaseString), "name": .string(name)]) { $1 })
    }

    // MARK: Quota

    /// The use of a quota rose over a threshold; nil where it did not.
    ///
    /// - Parameters:
    ///   - rise: bytes by which the use has just changed.
    ///   - defaultQuota: bytes for accounts without a quota of their own; nil: no limit.
    static func quotaWarning(_ usage: QuotaLedger.Usage?, rise: Int64, default defaultQuota: Int64?, now: Timestamp) -> DriveEvent? {
        guard let usage, let limit = QuotaLedger.limit(own: usage.ownQuota, default: defaultQuota),
            let threshold = QuotaThreshold.crossed(before: usage.usedBytes - rise, after: usage.usedBytes, limit: limit)
        else { return nil }
        return DriveEvent(
            type: "quota.warning", taskId: nil,
            data: [
                "usedBytes": .integer(usage.usedBytes), "quotaBytes": .integer(limit), "percent": .integer(Int64(threshold.rawValue)),
                "changedAt": .string("\(now)"),
            ])
    }
}

extension DriveEvent {
    /// The event as one of this account's among those of others.
    func outboxEvent(of account: UUID) throws -> OutboxEvent {
        OutboxEvent(account: account, type: type, taskId: taskId, data: try DriveJSON.text(data))
    }
}

extension EventOutbox {
    /// Appends events of many accounts in a transaction that may append others of `account` after them: the rows of all are
    /// taken in one order all the same.
    static func append(_ events: [OutboxEvent], before account: UUID, now: Timestamp, in sql: any SQLSession) throws {
        let accounts = Set(events.map(\.account)).union([account])
        if sql.dialect == .postgresql, accounts.count > 1 {
            try sql.query(
                "SELECT 1 AS held FROM event_sequences WHERE account_id \(sql.dialect.isAnyUUID("$1")) ORDER BY account_id FOR UPDATE",
                [sql.dialect.list(accounts.map(\.lowercaseString).sorted())])
        }
        try append(events, now: now, in: sql)
    }
}
