import Foundation
import Testing

/// What the runs over one database begin with: a folder with keys and an account, made once. Each run gets a copy.
struct CrashTemplate: Sendable {
    let token: String
    /// nil: no run over it has tasks.
    let tasks: CrashTasksScene?
    private let data: DataFolder
    /// The database on PostgreSQL's server; nil: SQLite, within the folder.
    private let database: String?

    static func make(for database: CrashPlan.Database, withTasks: Bool) async throws -> CrashTemplate {
        var data = try DataFolder.make("crash-template")
        var name: String?
        if database == .postgresql {
            let made = "crash_" + UUID().uuidString.prefix(8).lowercased()
            try await Self.run("CREATE DATABASE \(made)")
            data.environment = try Self.environment(of: made)
            name = made
        }
        let token = try await data.token(account: "crash")
        return CrashTemplate(token: token, tasks: withTasks ? try await CrashTasksScene.make(in: data) : nil, data: data, database: name)
    }

    /// Hands out a copy, and takes it away again. PostgreSQL copies a database in a tenth of a second.
    func withCopy(for seed: UInt64, _ body: (DataFolder) async -> CrashRun.Outcome) async throws -> CrashRun.Outcome {
        var copy = try DataFolder.make("crash-\(seed)")
        defer { copy.remove() }
        try FileManager.default.copyItem(atPath: data.path, toPath: copy.path)
        guard let database else { return await body(copy) }
        let name = "\(database)_\(seed)"
        try await Self.run("CREATE DATABASE \(name) TEMPLATE \(database)")
        copy.environment = try Self.environment(of: name)
        var outcome = await body(copy)
        do {
            // A backend may not have noticed yet that its server was killed.
            try await Self.run("DROP DATABASE \(name) WITH (FORCE)")
        } catch {
            outcome.failures.append("\(error)")
        }
        return outcome
    }

    func remove() async {
        data.remove()
        if let database { try? await Self.run("DROP DATABASE \(database) WITH (FORCE)") }
    }

    private static func environment(of database: String) throws -> [String: String] {
        var address = try #require(PostgresSchema.server.flatMap { URLComponents(string: $0) }, "DRIVE_TEST_POSTGRES_URL is no URL")
        address.path = "/" + database
        return ["DATABASE_URL": try #require(address.string)]
    }

    private static func run(_ sql: String) async throws {
        let result = try await DriveCommand.run(["-X", "-q", "-c", sql, try #require(PostgresSchema.server)], program: "psql")
        guard result.exit == .exited(0) else { throw CommandFailed(description: "psql: \(sql): \(result.exit) \(result.errors)") }
    }
}
