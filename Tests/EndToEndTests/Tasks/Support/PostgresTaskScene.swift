import DriveModel
import Foundation
import TestSupport
import Testing

/// A PostgreSQL role and schema of a test's own, behind a proxy: what is done to them harms nobody else.
struct PostgresTaskScene: Sendable {
    let name: String
    let proxy: LoopbackProxy
    let data: DataFolder

    static func with(_ name: String, _ body: @escaping @Sendable (PostgresTaskScene) async throws -> Void) async throws {
        let server = try #require(PostgresSchema.server.flatMap { URLComponents(string: $0) })
        let own = "e2e_" + UUID().uuidString.lowercased().replacing("-", with: "")
        let proxy = try LoopbackProxy(to: try #require(server.port))
        defer { proxy.close() }
        var address = server
        address.host = "127.0.0.1"
        address.port = proxy.port
        address.user = own
        address.password = own
        let data = try DataFolder.make(name, environment: ["DATABASE_URL": try #require(address.string)])
        defer { data.remove() }
        let scene = PostgresTaskScene(name: own, proxy: proxy, data: data)
        // The role's schema is the first in its search path by its name.
        try await scene.execute("CREATE ROLE \(own) LOGIN PASSWORD '\(own)'", "CREATE SCHEMA \(own) AUTHORIZATION \(own)")
        do {
            try await Slots.servers.with { try await body(scene) }
            try await scene.drop()
        } catch {
            try? await scene.drop()
            throw error
        }
    }

    private func drop() async throws {
        try await endConnections()
        try await execute("DROP SCHEMA \(name) CASCADE", "DROP OWNED BY \(name)", "DROP ROLE \(name)")
    }

    /// Runs statements as the test server's superuser, past the proxy.
    func execute(_ statements: String...) async throws {
        for statement in statements { _ = try await query(statement) }
    }

    /// The rows' first columns.
    @discardableResult
    func query(_ statement: String) async throws -> [String] {
        let server = try #require(PostgresSchema.server)
        let result = try await DriveCommand.run(
            ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", "SET search_path TO \(name)", "-c", statement, server], program: "psql")
        guard result.exit == .exited(0) else { throw CommandFailed(description: "psql: \(result.exit) \(result.errors)") }
        return result.output.split(separator: "\n").map(String.init)
    }

    /// A whole number.
    func count(_ statement: String) async throws -> Int { Int(try await query(statement).first ?? "") ?? -1 }

    /// Ends every connection of the role, as a restart of the database would.
    func endConnections() async throws {
        try await execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '\(name)'")
    }

    /// -1: any number.
    func limitConnections(_ limit: Int) async throws { try await execute("ALTER ROLE \(name) CONNECTION LIMIT \(limit)") }

    /// Waits until the worker process holds a task and has finished a step of it, whose id is returned.
    func task(heldBy worker: WorkerProcess) async throws -> String {
        var found: [String] = []
        do {
            try await eventually(within: .seconds(15), "the worker to be in the middle of a task") {
                found = try await query(
                    """
                    SELECT t.task_id FROM tasks t JOIN task_workers w ON w.worker_id = t.lease_owner
                    WHERE w.name LIKE 'worker@%#\(worker.pid)' AND EXISTS (SELECT 1 FROM task_items i WHERE i.task_id = t.task_id)
                    """)
                return !found.isEmpty
            }
        } catch is TimedOut {
            throw TimedOut(what: "the worker to be in the middle of a task; its log: \(worker.log.suffix(3000))")
        }
        return found[0]
    }
}
