import DriveDatabase
import DriveModel
import Foundation

/// First answers by the client's key, so that a lost reply can be asked for again.
public enum Idempotency {
    private struct Stored: Sendable {
        var operation: String
        var fingerprint: String
        var response: String
    }

    /// The stored answer; nil where the key is new. Throws `IDEMPOTENCY_KEY_REUSED` where the request is another one.
    public static func answer<Answer: Decodable & Sendable>(
        _ key: String, operation: String, fingerprint: String, account: UUID, as type: Answer.Type, database: any Database
    ) async throws -> Answer? {
        guard (1...255).contains(key.utf8.count) else {
            throw DriveError(.invalidRequest, "Idempotency-Key has 1 to 255 bytes.", details: ["rule": "Idempotency-Key"])
        }
        let stored = try await database.read { sql in
            try sql.first(
                "SELECT operation, fingerprint, response FROM idempotency_keys WHERE account_id = $1 AND key = $2",
                [.uuid(account), .text(key)]
            ).map {
                Stored(operation: try $0.text("operation"), fingerprint: try $0.text("fingerprint"), response: try $0.text("response"))
            }
        }
        guard let stored else { return nil }
        guard stored.operation == operation, stored.fingerprint == fingerprint else {
            throw DriveError(
                .idempotencyConflict, "This Idempotency-Key was used for another request; use a new one.",
                details: ["rule": "Idempotency-Key"])
        }
        return try DriveJSON.value(Answer.self, from: stored.response)
    }

    /// Stores an answer in the transaction of what it tells of. A taken key throws a unique violation, which undoes it.
    public static func remember(
        _ key: String, operation: String, fingerprint: String, account: UUID, taskId: String, response: some Encodable, now: Timestamp,
        in sql: any SQLSession
    ) throws {
        try sql.execute(
            """
            INSERT INTO idempotency_keys (account_id, key, operation, fingerprint, task_id, response, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [
                .uuid(account), .text(key), .text(operation), .text(fingerprint), .text(taskId), .encoded(response), .timestamp(now),
            ])
    }
}
