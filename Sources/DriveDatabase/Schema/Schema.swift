import DriveModel

/// Numbered changes of the schema, each in a transaction of its own, run in order at start.
public enum Schema {
    struct Migration: Sendable {
        let version: Int
        let name: String
        /// Statements with `{type}` place-holders that the dialect fills in.
        let statements: [String]
    }

    static let migrations: [Migration] = [
        Migration(version: 1, name: "foundation", statements: Foundation.statements),
        // Seen while a blob was read; the next upload of the same content takes its place.
        Migration(version: 2, name: "damaged blobs", statements: ["ALTER TABLE file_checksums ADD COLUMN damaged_at {timestamp}"]),
        Migration(version: 3, name: "stream uploads", statements: Streams.statements),
        Migration(version: 4, name: "task engine", statements: Tasks.statements),
        Migration(version: 5, name: "task ends", statements: TaskEnds.statements),
        Migration(version: 6, name: "notifications", statements: Ring.statements + RingForwarding.statements),
    ]

    /// `{folded}` is text that both engines sort by its code points, whatever the database's locale.
    private static func folded(_ statement: String, _ dialect: SQLDialect) -> String {
        statement.replacing("{folded}", with: dialect == .sqlite ? "TEXT" : "VARCHAR COLLATE \"C\"")
            .replacing("{sequence task_order}", with: "CREATE SEQUENCE task_order")
            .replacing("{counter task_order}", with: "CREATE TABLE task_order (last INTEGER NOT NULL)")
            .replacing("{counter row task_order}", with: "INSERT INTO task_order (last) VALUES (0)")
    }

    /// The version this program works with.
    public static var currentVersion: Int { migrations.last?.version ?? 0 }

    /// Brings the database to `currentVersion`. Running it again, or from several processes at once, is harmless.
    ///
    /// Throws `DatabaseError`; a database newer than this program is refused, as it may hold what we would destroy.
    public static func migrate(_ database: any Database, now: Timestamp = Surroundings.system.now()) async throws {
        let found = try await database.write { sql in
            if sql.dialect == .postgresql { try sql.query("SELECT pg_advisory_xact_lock(7417653012391)") }
            try sql.execute(
                sql.dialect.columnTypes(
                    in: """
                        CREATE TABLE IF NOT EXISTS schema_migrations (
                            version {int} PRIMARY KEY, name {text} NOT NULL, applied_at {timestamp} NOT NULL)
                        """))
            return try sql.first("SELECT COALESCE(MAX(version), 0) AS version FROM schema_migrations")?.int("version") ?? 0
        }
        guard found <= currentVersion else {
            throw DatabaseError(
                .statement, "the database has schema version \(found), this program knows \(currentVersion): use a newer drive")
        }
        for migration in migrations where migration.version > found {
            try await database.write { sql in
                if sql.dialect == .postgresql { try sql.query("SELECT pg_advisory_xact_lock(7417653012391)") }
                let done = try sql.first(
                    "SELECT version FROM schema_migrations WHERE version = $1", [.int(migration.version)])
                guard done == nil else { return }
                for statement in migration.statements {
                    // A sequence has a counter row for its counterpart.
                    let isOthers = statement.hasPrefix(sql.dialect == .sqlite ? "{sequence " : "{counter ")
                    if !isOthers { try sql.execute(sql.dialect.columnTypes(in: folded(statement, sql.dialect))) }
                }
                try sql.execute(
                    "INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3)",
                    [.int(migration.version), .text(migration.name), .timestamp(now)])
            }
        }
    }
}
