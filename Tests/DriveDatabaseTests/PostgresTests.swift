import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveDatabase

/// What only PostgreSQL can get into: lost connections, deadlocks, time-outs, stale plans.
@Suite(.serialized, .enabled(if: Engine.isPostgresRequired), .timeLimit(.minutes(2)))
struct PostgresTests {
    static let items = "CREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR UNIQUE)"

    @Test func aKilledBackendIsReplaced() async throws {
        try await withDatabase(connections: 1) { database, sandbox in
            let victim = try await database.read { try $0.first("SELECT pg_backend_pid() AS pid")?.int64("pid") }
            let other = try sandbox.open(connections: 1)
            _ = try await other.read { try $0.execute("SELECT pg_terminate_backend($1::int, 5000)", [.integer(victim)]) }
            await other.close()
            let successor = try await database.write { try $0.first("SELECT pg_backend_pid() AS pid")?.int64("pid") }
            #expect(successor != victim)
        }
    }

    @Test func aBreakBeforeCommitRepeatsTheClosure() async throws {
        try await withDatabase { database, _ in
            let runs = Counter()
            try await database.write { sql in
                try sql.execute("INSERT INTO items VALUES (1, 'a')")
                if runs.raise() == 1 { try sql.execute("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)") }
            }
            #expect(runs.count == 2)
            let count = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(count == 1)
        }
    }

    @Test func aBreakAtCommitIsUnavailableAndNotRepeated() async throws {
        try await withDatabase { database, _ in
            for statement in [
                """
                CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END'
                """,
                """
                CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION die()
                """,
            ] { try await database.change(statement) }
            let runs = Counter()
            let error = await #expect(throws: DatabaseError.self) {
                try await database.write { sql in
                    runs.raise()
                    try sql.execute("INSERT INTO items VALUES (1, 'a')")
                }
            }
            #expect(error?.kind == .unavailable)
            #expect(runs.count == 1)
            let count = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(count == 0)
        }
    }

    @Test func aLongStatementIsCancelled() async throws {
        let configuration = PostgresConfiguration(statementTimeout: .milliseconds(200))
        try await withDatabase(connections: 1, configuration: configuration) { database, _ in
            let error = await #expect(throws: DatabaseError.self) { try await database.read { try $0.execute("SELECT pg_sleep(30)") } }
            #expect(error?.kind == .busy)
            let one = try await database.read { try $0.first("SELECT 1 AS one")?.int("one") }
            #expect(one == 1)
        }
    }

    @Test func anIdleTransactionIsEndedAndNotRepeated() async throws {
        let configuration = PostgresConfiguration(idleInTransactionTimeout: .milliseconds(100))
        try await withDatabase(connections: 1, configuration: configuration) { database, _ in
            let runs = Counter()
            let error = await #expect(throws: DatabaseError.self) {
                try await database.write { sql in
                    runs.raise()
                    try sql.execute("INSERT INTO items VALUES (1, 'a')")
                    Thread.sleep(forTimeInterval: 0.5)
                    try sql.execute("INSERT INTO items VALUES (2, 'b')")
                }
            }
            #expect(error?.isRetryable == true)
            #expect(runs.count == 1)
            let count = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(count == 0)
        }
    }

    @Test func aDeadlockIsResolvedByRepetition() async throws {
        try await withDatabase { database, _ in
            try await database.change("INSERT INTO items VALUES (1, ''), (2, '-')")
            let runs = Counter()
            let arrived = [Signal(), Signal()]
            let orders: [(Int, [Int])] = [(0, [1, 2]), (1, [2, 1])]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, ids) in orders {
                    group.addTask {
                        try await database.write { sql in
                            runs.raise()
                            let change = "UPDATE items SET name = name || $1 WHERE id = $2"
                            try sql.execute(change, [.text("x"), .int(ids[0])])
                            arrived[number].send()
                            guard arrived[1 - number].wait() else { throw Refusal() }
                            try sql.execute(change, [.text("x"), .int(ids[1])])
                        }
                    }
                }
                try await group.waitForAll()
            }
            let names = try await database.read { try $0.query("SELECT name FROM items ORDER BY id").map { try $0.text("name") } }
            #expect(names == ["xx", "-xx"])
            #expect(runs.count >= 3, "one of the two ran again")
        }
    }

    @Test func carryingOnAfterAFailedStatementFailsAsAWhole() async throws {
        try await withDatabase { database, _ in
            let error = await #expect(throws: DatabaseError.self) {
                try await database.write { sql in
                    try sql.execute("INSERT INTO items VALUES (1, 'a')")
                    _ = try? sql.execute("INSERT INTO items VALUES (1, 'b')")
                    return 1
                }
            }
            #expect(error?.kind == .uniqueViolation("items_pkey"))
            let count = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(count == 0)
            // By a savepoint a closure may recover.
            try await database.write { sql in
                try sql.execute("INSERT INTO items VALUES (1, 'a')")
                try sql.execute("SAVEPOINT attempt")
                _ = try? sql.execute("INSERT INTO items VALUES (1, 'b')")
                try sql.execute("ROLLBACK TO attempt")
            }
            let recovered = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(recovered == 1)
        }
    }

    @Test func aStalePlanIsPreparedAgain() async throws {
        try await withDatabase(connections: 1) { database, _ in
            try await database.change("INSERT INTO items VALUES (1, 'a')")
            let select = "SELECT * FROM items WHERE id = $1"
            _ = try await database.read { try $0.query(select, [.int(1)]) }
            try await database.change("ALTER TABLE items ADD COLUMN extra INTEGER DEFAULT 7")
            let extra = try await database.read { try $0.first(select, [.int(1)])?.int("extra") }
            #expect(extra == 7)
            try await database.change("DEALLOCATE ALL")
            let again = try await database.read { try $0.first(select, [.int(1)])?.int("extra") }
            #expect(again == 7)
        }
    }

    @Test func preparedStatementsAreBounded() async throws {
        try await withDatabase(connections: 1, configuration: PostgresConfiguration(statementCacheSize: 3)) { database, _ in
            let numbers = try await database.read { sql in
                try (0..<20).map { number in
                    try sql.first("SELECT \(number % 7) + $1 AS value", [.int(1)])?.int("value")
                }
            }
            #expect(numbers == (0..<20).map { $0 % 7 + 1 })
            let prepared = try await database.read { try $0.first("SELECT count(*) AS n FROM pg_prepared_statements")?.int("n") }
            #expect(prepared == 3)
        }
    }

    @Test func textWithNULIsRefusedNotCut() async throws {
        try await withDatabase { database, _ in
            let error = await #expect(throws: DatabaseError.self) {
                try await database.change("INSERT INTO items VALUES (1, $1)", [.text("a\0b")])
            }
            #expect(error?.kind == .statement)
            let count = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(count == 0)
        }
    }

    @Test func aFullQueueIsBusy() async throws {
        try await withDatabase(connections: 1, configuration: PostgresConfiguration(maximumQueueLength: 1)) { database, _ in
            let gate = Signal()
            let (began, announce) = AsyncStream<Void>.makeStream()
            async let first = database.read { _ in
                announce.finish()
                return gate.wait()
            }
            for await _ in began {}
            async let second = database.read { _ in true }
            while database.queueLength < 1 { await Task.yield() }
            let error = await #expect(throws: DatabaseError.self) { try await database.read { _ in true } }
            #expect(error?.kind == .busy)
            gate.send()
            let results = try await [first, second]
            #expect(results == [true, true])
        }
    }

    private func withDatabase(
        connections: Int = 4, configuration: PostgresConfiguration = .init(),
        _ body: (PostgresDatabase, PostgresSandbox) async throws -> Void
    ) async throws {
        try await PostgresSandbox.with { sandbox in
            // Not within the limits that a test is about.
            try await closing(sandbox.open(connections: 1)) { try await $0.change(Self.items) }
            try await closing(sandbox.open(connections: connections, configuration: configuration)) { try await body($0, sandbox) }
        }
    }

    private func closing(_ database: PostgresDatabase, _ body: (PostgresDatabase) async throws -> Void) async throws {
        do {
            try await body(database)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }
}
