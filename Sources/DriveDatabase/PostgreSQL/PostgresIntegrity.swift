import Logging

/// The checks that SQL offers without a program on the server's machine (`pg_amcheck`, `pg_checksums`).
enum PostgresIntegrity {
    static func findings(in database: PostgresDatabase, logger: Logger) async throws -> [String] {
        var findings = try await database.read { sql in
            let failures = try sql.first(
                "SELECT COALESCE(checksum_failures, 0) AS failures FROM pg_stat_database WHERE datname = current_database()")
            let invalid = try sql.query(
                """
                SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                WHERE NOT indisvalid AND relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY (current_schemas(false)))
                """)
            let count = try failures?.int("failures") ?? 0
            return (count > 0 ? ["\(count) pages failed their checksum"] : [])
                + (try invalid.map { "index \(try $0.text("name")) is invalid" })
        }
        guard let schema = try await amcheckSchema(database) else {
            logger.notice("the extension amcheck is not installed: PostgreSQL's indexes were not verified")
            return findings
        }
        for index in try await btrees(database) {
            // Each in a transaction of its own, as a finding breaks its transaction.
            do {
                try await database.read { sql in
                    try sql.execute("SET LOCAL statement_timeout = 0")
                    _ = try sql.query("SELECT \(schema).bt_index_check($1::bigint::oid::regclass, true)", [.integer(index.id)])
                }
            } catch let error as DatabaseError where error.kind == .corrupt {
                findings.append("index \(index.name): \(error.message)")
            } catch let error as DatabaseError where error.kind == .statement {
                logger.warning("index was not verified", metadata: ["index": "\(index.name)", "reason": "\(error.message)"])
            }
        }
        return findings
    }

    private static func amcheckSchema(_ database: PostgresDatabase) async throws -> String? {
        try await database.read { sql in
            try sql.first(
                """
                SELECT quote_ident(nspname) AS name FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
                WHERE extname = 'amcheck'
                """)?.text("name")
        }
    }

    private struct Index: Sendable {
        var id: Int64
        var name: String
    }

    private static func btrees(_ database: PostgresDatabase) async throws -> [Index] {
        try await database.read { sql in
            try sql.query(
                """
                SELECT pg_class.oid AS id, pg_class.oid::regclass::text AS name
                FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
                WHERE amname = 'btree' AND indisvalid AND indisready
                AND relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY (current_schemas(false)))
                """
            ).map { Index(id: try $0.int64("id"), name: try $0.text("name")) }
        }
    }
}
