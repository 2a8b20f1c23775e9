import Foundation
import Logging
import Synchronization
import Testing

@testable import DriveDatabase

/// An engine under test. Each use gets a database of its own: a file, or a schema of the shared server.
enum Engine: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite, postgresql

    var testDescription: String { rawValue }

    /// Both; PostgreSQL is left out only on the explicit word of whoever runs the tests.
    static var underTest: [Engine] {
        ProcessInfo.processInfo.environment["DRIVE_TEST_SKIP_POSTGRES"] == "1" ? [.sqlite] : allCases
    }

    static var isPostgresUnderTest: Bool { underTest.contains(.postgresql) }

    /// Makes a database, runs the DDL (with `{type}` place-holders) and then `body`, and takes the database away.
    func withDatabase(
        _ ddl: [String] = [], _ body: (any Database) async throws -> Void
    ) async throws {
        switch self {
        case .sqlite:
            let folder = FileManager.default.temporaryDirectory.appending(path: "drive-db-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let database = try SQLiteDatabase(path: folder.appending(path: "test.sqlite").path(), logger: Self.logger)
            try await Self.run(database, ddl, body)
        case .postgresql:
            try await PostgresSandbox.with { sandbox in try await Self.run(try sandbox.open(), ddl, body) }
        }
    }

    static let logger: Logger = {
        var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        return logger
    }()

    private static func run(
        _ database: any Database, _ ddl: [String], _ body: (any Database) async throws -> Void
    ) async throws {
        do {
            for statement in ddl { try await database.change(database.dialect.columnTypes(in: statement)) }
            try await body(database)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }
}

/// A schema of its own on the server that `scripts/with-postgres` started.
struct PostgresSandbox: Sendable {
    /// With `search_path` set to the schema.
    let connectionString: String
    let schema: String

    struct NoServer: Error, CustomStringConvertible {
        var description: String {
            "DRIVE_TEST_POSTGRES_URL is not set: run the tests by `make test`, or say DRIVE_TEST_SKIP_POSTGRES=1"
        }
    }

    static func with(_ body: (PostgresSandbox) async throws -> Void) async throws {
        guard let url = ProcessInfo.processInfo.environment["DRIVE_TEST_POSTGRES_URL"] else { throw NoServer() }
        let schema = "test_" + UUID().uuidString.replacing("-", with: "").lowercased()
        let administrator = try PostgresDatabase(connectionString: url, maximumConnections: 1, logger: Engine.logger)
        try await administrator.change("CREATE SCHEMA \(schema)")
        let separator = url.contains("?") ? "&" : "?"
        let sandbox = PostgresSandbox(
            connectionString: "\(url)\(separator)options=-csearch_path%3D\(schema)", schema: schema)
        do {
            try await body(sandbox)
        } catch {
            try await administrator.change("DROP SCHEMA \(schema) CASCADE")
            await administrator.close()
            throw error
        }
        try await administrator.change("DROP SCHEMA \(schema) CASCADE")
        await administrator.close()
    }

    func open(
        connections: Int = 4, configuration: PostgresConfiguration = .init()
    ) throws -> PostgresDatabase {
        try PostgresDatabase(
            connectionString: connectionString, maximumConnections: connections, logger: Engine.logger,
            configuration: configuration)
    }
}

extension Database {
    /// One statement in a transaction of its own; how many rows it changed.
    @discardableResult
    func change(_ sql: String, _ arguments: [SQLValue] = []) async throws -> Int {
        try await write { try $0.execute(sql, arguments) }
    }
}

/// Says once that something happened; threads of a database may wait for it, never the cooperative pool.
final class Signal: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func send() { semaphore.signal() }

    /// False where it did not come within ten seconds.
    func wait() -> Bool {
        defer { semaphore.signal() }
        return semaphore.wait(timeout: .now() + 10) == .success
    }
}

/// A number that closures on several threads raise.
final class Counter: Sendable {
    private let value = Mutex(0)

    /// The number after raising it.
    @discardableResult
    func raise() -> Int {
        value.withLock { value in
            value += 1
            return value
        }
    }

    var count: Int { value.withLock { $0 } }
}

struct Refusal: Error, Equatable {}
