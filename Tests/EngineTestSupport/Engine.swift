import DriveDatabase
import Foundation
import Logging

/// A database engine under test. Each use gets a database of its own: a file, or a schema of the shared server.
public enum Engine: String, CaseIterable, Sendable, CustomStringConvertible {
    case sqlite, postgresql

    /// The name of its test cases.
    public var description: String { rawValue }

    /// PostgreSQL too where its server is given: `make test` starts one.
    public static var underTest: [Engine] { PostgresSandbox.serverURL == nil ? [.sqlite] : allCases }

    /// Both; PostgreSQL is left out only on the explicit word of whoever runs the tests. Its tests fail without a server.
    public static var required: [Engine] {
        ProcessInfo.processInfo.environment["DRIVE_TEST_SKIP_POSTGRES"] == "1" ? [.sqlite] : allCases
    }

    /// For whatever wants one: it writes nothing.
    public static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// Runs `body` over an empty migrated database, and takes that away.
    /// - Parameter folder: where SQLite keeps its file; the caller's to remove.
    public func with(_ folder: String, _ body: (any Database) async throws -> Void) async throws {
        try await withUnmigrated(folder, connections: 6) { database in
            try await Schema.migrate(database)
            try await body(database)
        }
    }

    /// The same, in a temporary folder of its own.
    public func with(_ body: (any Database) async throws -> Void) async throws {
        try await Self.withTemporaryFolder { try await with($0, body) }
    }

    /// Runs `body` over a database without a single table, and takes that away.
    /// - Parameters:
    ///   - folder: where SQLite keeps its file; the caller's to remove.
    ///   - connections: at most so many to PostgreSQL.
    public func withUnmigrated(_ folder: String, connections: Int, _ body: (any Database) async throws -> Void) async throws {
        switch self {
        case .sqlite:
            try await Self.closing(try SQLiteDatabase(path: folder + "/test.sqlite", logger: Self.logger), after: body)
        case .postgresql:
            try await PostgresSandbox.with { try await Self.closing(try $0.open(connections: connections), after: body) }
        }
    }

    /// Makes a folder, and removes it with all that is in it after `body`.
    public static func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "drive-engine-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.path(percentEncoded: false))
    }

    private static func closing(_ database: any Database, after body: (any Database) async throws -> Void) async throws {
        do {
            try await body(database)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }
}
