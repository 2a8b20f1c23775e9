import DriveDatabase
import Foundation
import Logging
import Testing

/// A database engine under test. Each use gets an empty migrated database of its own.
enum Engine: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite, postgresql

    var testDescription: String { rawValue }

    /// PostgreSQL too where its server is given: `make test` starts one.
    static var underTest: [Engine] { postgresURL == nil ? [.sqlite] : allCases }

    private static var postgresURL: String? { ProcessInfo.processInfo.environment["DRIVE_TEST_POSTGRES_URL"] }

    static let logger: Logger = {
        var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        return logger
    }()

    func with(_ folder: String, _ body: (any Database) async throws -> Void) async throws {
        switch self {
        case .sqlite:
            try await Self.run(try SQLiteDatabase(path: folder + "/test.sqlite", logger: Self.logger), body)
        case .postgresql:
            let url = try #require(Self.postgresURL)
            let schema = "test_" + UUID().uuidString.replacing("-", with: "").lowercased()
            let administrator = try PostgresDatabase(connectionString: url, maximumConnections: 1, logger: Self.logger)
            _ = try await administrator.write { try $0.execute("CREATE SCHEMA \(schema)") }
            let separator = url.contains("?") ? "&" : "?"
            let result: Result<Void, any Error>
            do {
                let database = try PostgresDatabase(
                    connectionString: "\(url)\(separator)options=-csearch_path%3D\(schema)", maximumConnections: 6, logger: Self.logger)
                try await Self.run(database, body)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            _ = try await administrator.write { try $0.execute("DROP SCHEMA \(schema) CASCADE") }
            await administrator.close()
            try result.get()
        }
    }

    private static func run(_ database: any Database, _ body: (any Database) async throws -> Void) async throws {
        do {
            try await Schema.migrate(database)
            try await body(database)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }
}

extension Database {
    /// One statement in a transaction of its own; how many rows it changed.
    @discardableResult
    func change(_ sql: String, _ arguments: [SQLValue] = []) async throws -> Int {
        try await write { try $0.execute(sql, arguments) }
    }

    /// The number a query gives as `value`.
    func number(_ sql: String, _ arguments: [SQLValue] = []) async throws -> Int64 {
        try await read { try $0.first(sql, arguments)?.int64("value") ?? 0 }
    }
}
