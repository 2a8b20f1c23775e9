import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// Bundles: named groups of files with one expiry.
public final class BundleService: Sendable {
    /// Bundles an account has at most.
    static let maximumPerAccount = 10_000

    private let database: any Database
    private let surroundings: Surroundings

    public init(database: any Database, surroundings: Surroundings = .system) {
        self.database = database
        self.surroundings = surroundings
    }

    private static let missing = DriveError(.notFound, "There is no bundle with this id.")

    public func create(name: String, description: String?, expiredAt: Timestamp?, by caller: Caller) async throws -> FileBundle {
        try Self.validate(name: name, description: description)
        let surroundings = surroundings
        let now = surroundings.now()
        try UploadService.checkExpiry(expiredAt, now: now)
        let id = surroundings.newUUID()
        return try await database.write { sql in
            let count =
                try sql.first("SELECT COUNT(*) AS total FROM bundles WHERE account_id = $1", [.uuid(caller.accountId)])?.int("total") ?? 0
            guard count < Self.maximumPerAccount else {
                throw DriveError(
                    .forbidden, "An account has at most \(Self.maximumPerAccount) bundles.", details: ["rule": "maximumBundles"])
            }
            try sql.execute(
                "INSERT INTO bundles (id, account_id, name, description, expired_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)",
                [.uuid(id), .uuid(caller.accountId), .text(name), .text(description), .timestamp(expiredAt), .timestamp(now)])
            try AuditTrail.append(
                "bundle.create", on: "bundle", id: id.lowercaseString, by: caller, surroundings: surroundings, in: sql)
            let bundle = FileBundle(
                id: id, name: name, description: description, expiredAt: expiredAt, fileCount: 0, totalSize: 0, createdAt: now,
                updatedAt: now)
            try EventOutbox.append([FileEvents.created(bundle)], account: caller.accountId, now: now, in: sql)
            return bundle
        }
    }

    public func bundle(_ id: UUID, account: UUID) async throws -> FileBundle {
        guard let bundle = try await database.read({ sql in try FileRow.bundle(id, account: account, in: sql) }) else { throw Self.missing }
        return bundle
    }

    public func list(account: UUID, offset: Int, limit: Int) async throws -> Page<FileBundle> {
        try await database.read { sql in
            let total = try sql.first("SELECT COUNT(*) AS total FROM bundles WHERE account_id = $1", [.uuid(account)])?.int("total") ?? 0
            let rows = try sql.query(
                "SELECT \(FileRow.bundleColumns) FROM bundles b WHERE b.account_id = $1 ORDER BY b.created_at DESC, b.id LIMIT $2 OFFSET $3",
                [.uuid(account), .int(limit), .int(offset)])
            return Page(items: try rows.map(FileRow.bundle), total: total)
        }
    }

    /// Changes what is given; `.some(nil)` clears.
    public func update(
        _ id: UUID, name: String?, description: String??, expiredAt: Timestamp??, by caller: Caller
    ) async throws -> FileBundle {
        let surroundings = surroundings
        let now = surroundings.now()
        if case .some(.some(let expiry)) = expiredAt { try UploadService.checkExpiry(expiry, now: now) }
        return try await database.write { sql in
            guard let before = try FileRow.bundle(id, account: caller.accountId, in: sql) else { throw Self.missing }
            var bundle = before
            bundle.name = name ?? bundle.name
            if let description { bundle.description = description }
            if let expiredAt { bundle.expiredAt = expiredAt }
            bundle.updatedAt = now
            try Self.validate(name: bundle.name, description: bundle.description)
            try sql.execute(
                "UPDATE bundles SET name = $3, description = $4, expired_at = $5, updated_at = $6 WHERE id = $1 AND account_id = $2",
                [
                    .uuid(id), .uuid(caller.accountId), .text(bundle.name), .text(bundle.description), .timestamp(bundle.expiredAt),
                    .timestamp(now),
                ])
            try AuditTrail.append(
                "bundle.update", on: "bundle", id: id.lowercaseString, by: caller, surroundings: surroundings, in: sql)
            if let event = FileEvents.updated(from: before, to: bundle) {
                try EventOutbox.append([event], account: caller.accountId, now: now, in: sql)
            }
            return bundle
        }
    }

    /// Removes a bundle; its files stay, without it, unless `withFiles`.
    public func delete(_ id: UUID, withFiles: Bool, by caller: Caller) async throws {
        let surroundings = surroundings
        let now = surroundings.now()
        try await database.write { sql in
            guard let bundle = try FileRow.bundle(id, account: caller.accountId, in: sql) else { throw Self.missing }
            var events = try Self.remove(id, account: caller.accountId, withFiles: withFiles, now: now, in: sql)
            try AuditTrail.append(
                "bundle.delete", on: "bundle", id: id.lowercaseString, by: caller, details: ["withFiles": .bool(withFiles)],
                surroundings: surroundings, in: sql)
            events.append(FileEvents.deleted(bundle: id, name: bundle.name, withFiles: withFiles, because: .deleted, now: now))
            try EventOutbox.append(events, account: caller.accountId, now: now, in: sql)
        }
    }

    /// Removes a bundle; returns the events of its files that went with it, for their owner.
    static func remove(_ id: UUID, account: UUID, withFiles: Bool, now: Timestamp, in sql: any SQLSession) throws -> [DriveEvent] {
        // An upload on its way into the bundle goes on without it. First: uploads' rows come before those of usage.
        try sql.execute("UPDATE upload_tasks SET bundle_id = NULL WHERE bundle_id = $1 AND account_id = $2", [.uuid(id), .uuid(account)])
        var events: [DriveEvent] = []
        if withFiles {
            let files = try sql.query("SELECT id FROM files WHERE bundle_id = $1 AND account_id = $2", [.uuid(id), .uuid(account)])
            for file in files {
                guard let removed = try FileService.remove(try file.text("id"), account: account, now: now, in: sql) else { continue }
                events.append(FileEvents.deleted(removed, because: .bundle, now: now))
            }
        } else {
            try sql.execute("UPDATE files SET bundle_id = NULL WHERE bundle_id = $1 AND account_id = $2", [.uuid(id), .uuid(account)])
        }
        try sql.execute("DELETE FROM bundles WHERE id = $1 AND account_id = $2", [.uuid(id), .uuid(account)])
        return events
    }

    private static func validate(name: String, description: String?) throws(DriveError) {
        guard !name.isEmpty, name.utf8.count <= 255, !name.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
            throw DriveError(.invalidRequest, "A bundle's name has 1 to 255 bytes and no control characters.", details: ["rule": "name"])
        }
        guard (description?.utf8.count ?? 0) <= 4096, description?.unicodeScalars.contains("\0") != true else {
            throw DriveError(
                .invalidRequest, "A bundle's description has at most 4096 bytes, and no NUL.", details: ["rule": "description"])
        }
    }
}
