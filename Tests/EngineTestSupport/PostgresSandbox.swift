import DriveDatabase
import Foundation

/// A schema of its own on the server that `scripts/with-postgres` started.
public struct PostgresSandbox: Sendable {
    /// With `search_path` set to the schema.
    public let connectionString: String
    public let schema: String

    /// No server was given.
    public struct NoServer: Error, CustomStringConvertible {
        public var description: String {
            "DRIVE_TEST_POSTGRES_URL is not set: run the tests by `make test`, or say DRIVE_TEST_SKIP_POSTGRES=1"
        }
    }

    /// Where the server is; nil where none was given.
    public static var serverURL: String? { ProcessInfo.processInfo.environment["DRIVE_TEST_POSTGRES_URL"] }

    /// Makes a schema and drops it, with all that is in it, after `body`. Throws `NoServer`, or what the database or `body` throws.
    public static func with(_ body: (PostgresSandbox) async throws -> Void) async throws {
        guard let url = serverURL else { throw NoServer() }
        let schema = "test_" + UUID().uuidString.replacing("-", with: "").lowercased()
        let administrator = try PostgresDatabase(connectionString: url, maximumConnections: 1, logger: Engine.logger)
        try await administrator.change("CREATE SCHEMA \(schema)")
        let separator = url.contains("?") ? "&" : "?"
        let sandbox = PostgresSandbox(connectionString: "\(url)\(separator)options=-csearch_path%3D\(schema)", schema: schema)
        let result: Result<Void, any Error>
        do {
            try await body(sandbox)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await administrator.change("DROP SCHEMA \(schema) CASCADE")
        await administrator.close()
        try result.get()
    }

    /// A database over the schema; the caller's to close, and before the schema is dropped.
    public func open(connections: Int = 4, configuration: PostgresConfiguration = .init()) throws -> PostgresDatabase {
        try PostgresDatabase(
            connectionString: connectionString, maximumConnections: connections, logger: Engine.logger, configuration: configuration)
    }
}
