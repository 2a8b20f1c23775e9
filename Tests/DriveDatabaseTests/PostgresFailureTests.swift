import DriveModel
import EngineTestSupport
import Testing

@testable import DriveDatabase

/// What PostgreSQL's codes mean in the vocabulary of both engines (PostgreSQL's manual, appendix A).
@Suite struct PostgresFailureTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var sqlState: String
        var kind: DatabaseError.Kind

        var testDescription: String { "\(sqlState) \(kind)" }
    }

    private static let kinds: [(DatabaseError.Kind, [String])] = [
        // Connection exceptions, but not a statement whose arguments are miscounted.
        (.unavailable, ["08000", "08001", "08003", "08004", "08006", "08007"]),
        (.statement, ["08P01"]),
        (.uniqueViolation("c"), ["23505"]),
        (.constraintViolation, ["23000", "23001", "23502", "23503", "23514", "23P01", "40002"]),
        (.busy, ["40000", "40001", "40P01", "55P03", "57014"]),
        // The outcome is not known, or the server ended the transaction for its length.
        (.unavailable, ["40003", "25P03", "25P04"]),
        (.full, ["53100"]),
        (.unavailable, ["53000", "53200", "53300", "53400", "57000", "57P01", "57P02", "57P03", "57P04", "57P05"]),
        (.ioFailure, ["58000", "58030", "58P01", "58P02"]),
        (.corrupt, ["XX001", "XX002"]),
        // A change within a read, a statement after a failed one, and plain mistakes.
        (.statement, ["25006", "25001", "25P02", "0A000", "22P02", "22003", "26000", "42601", "42703", "42P01", "42P18"]),
        (.statement, ["54000", "55000", "55006", "55P02", "P0001", "XX000"]),
    ]

    static let rows = kinds.flatMap { kind, states in states.map { Row(sqlState: $0, kind: kind) } }

    @Test(arguments: rows) func aCodeHasItsKind(row: Row) {
        let error = PostgresFailure("m", sqlState: row.sqlState, constraint: "c").databaseError
        #expect(error.kind == row.kind)
        #expect(error.message == "m (SQLSTATE \(row.sqlState))")
    }

    /// Where the connection went with the statement, nothing is said against the statement.
    @Test(arguments: ["08P01", "25P02", "42601", nil]) func aLostConnectionIsUnavailable(sqlState: String?) {
        #expect(PostgresFailure("m", sqlState: sqlState, isConnectionLost: true).databaseError.kind == .unavailable)
    }

    @Test func aFailureOfLibpqAloneIsTheStatements() {
        #expect(PostgresFailure("m").databaseError.kind == .statement)
    }

    /// The codes as they come from a server; only what may succeed as a whole is repeated.
    @Test(.enabled(if: Engine.isPostgresRequired), .timeLimit(.minutes(1)))
    func theServersCodesArrive() async throws {
        try await PostgresSandbox.with { sandbox in
            let database = try sandbox.open(
                connections: 1, configuration: PostgresConfiguration(maximumAttempts: 2, random: { $0.lowerBound }))
            for row in Self.rows {
                let runs = Counter()
                let error = await #expect(throws: DatabaseError.self) {
                    try await database.write { sql in
                        runs.raise()
                        try sql.execute("DO 'BEGIN RAISE ''x'' USING ERRCODE = ''\(row.sqlState)'', CONSTRAINT = ''c''; END'")
                    }
                }
                #expect(error?.kind == row.kind, "\(row.sqlState)")
                // A statement that the server forgot is prepared again.
                #expect(runs.count == (["40001", "40P01", "26000"].contains(row.sqlState) ? 2 : 1), "\(row.sqlState)")
            }
            await database.close()
        }
    }

    /// Points around each COMMIT of a write: nothing stays of a transaction whose COMMIT could not be sent.
    @Test(
        .enabled(if: Engine.isPostgresRequired), .timeLimit(.minutes(1)),
        arguments: [("ENOSPC", DatabaseError.Kind.full), ("EIO", .ioFailure)])
    func aFaultAtCommitUndoesTheWrite(code: String, kind: DatabaseError.Kind) async throws {
        try await PostgresSandbox.with { sandbox in
            let database = try PostgresDatabase(
                connectionString: sandbox.connectionString, maximumConnections: 1, logger: Engine.logger,
                faults: try Faults(specification: "database.commit.before:errno=\(code)@2"))
            try await database.change("CREATE TABLE items (id BIGINT PRIMARY KEY)")
            let insert = "INSERT INTO items VALUES (1)"
            let error = await #expect(throws: DatabaseError.self) { try await database.change(insert) }
            #expect(error?.kind == kind)
            try await database.change(insert)
            let count = try await database.read { try $0.query("SELECT id FROM items").count }
            #expect(count == 1)
            await database.close()
        }
    }
}
