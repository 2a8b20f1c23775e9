import Dispatch
import EngineTestSupport
import Synchronization

@testable import DriveDatabase

extension Engine {
    /// For tests of that engine alone.
    static var isPostgresRequired: Bool { required.contains(.postgresql) }

    /// Makes a database, runs the DDL (with `{type}` place-holders) and then `body`, and takes the database away.
    func withDatabase(_ ddl: [String] = [], _ body: (any Database) async throws -> Void) async throws {
        try await Self.withTemporaryFolder { folder in
            try await withUnmigrated(folder, connections: 4) { database in
                for statement in ddl { try await database.change(database.dialect.columnTypes(in: statement)) }
                try await body(database)
            }
        }
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
