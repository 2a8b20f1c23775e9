import DriveDatabase
import DriveModel
import Foundation

/// Rows of `files` and `bundles` as values. Every look-up is through the owner.
enum FileRow {
    static func cloudFile(_ row: SQLRow) throws -> CloudFile {
        CloudFile(
            id: try row.text("id"), name: try row.text("name"), size: try row.int64("size"), contentType: try row.text("content_type"),
            hash: try row.text("hash"), poolId: try row.uuid("pool_id"), bundleId: try row.optionalUUID("bundle_id"),
            userMeta: try row.decoded("user_meta"), expiredAt: try row.optionalTimestamp("expired_at"),
            createdAt: try row.timestamp("created_at"), updatedAt: try row.timestamp("updated_at"))
    }

    static func find(_ id: String, account: UUID, in sql: any SQLSession) throws -> CloudFile? {
        try sql.first("SELECT * FROM files WHERE id = $1 AND account_id = $2", [.text(id), .uuid(account)]).map(cloudFile)
    }

    static let bundleColumns = """
        b.*, (SELECT COUNT(*) FROM files f WHERE f.bundle_id = b.id) AS file_count,
        (SELECT COALESCE(SUM(f.size), 0) FROM files f WHERE f.bundle_id = b.id) AS total_size
        """

    static func bundle(_ row: SQLRow) throws -> FileBundle {
        FileBundle(
            id: try row.uuid("id"), name: try row.text("name"), description: try row.optionalText("description"),
            expiredAt: try row.optionalTimestamp("expired_at"), fileCount: try row.int64("file_count"),
            totalSize: try row.int64("total_size"), createdAt: try row.timestamp("created_at"), updatedAt: try row.timestamp("updated_at"))
    }

    static func bundle(_ id: UUID, account: UUID, in sql: any SQLSession) throws -> FileBundle? {
        try sql.first("SELECT \(bundleColumns) FROM bundles b WHERE b.id = $1 AND b.account_id = $2", [.uuid(id), .uuid(account)])
            .map(bundle)
    }
}

extension FileName {
    /// The normalised name, or `INVALID_FILE_NAME` with the rule that refused.
    static func validated(_ text: String) throws(DriveError) -> String {
        do {
            return try FileName(text).value
        } catch {
            throw DriveError(.invalidFileName, error.message, details: ["rule": .string(error.rawValue)])
        }
    }
}
