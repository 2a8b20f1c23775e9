import DriveCrypto
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

    /// A short text that two equal requests share, and no two others: a SHA-256.
    public static func fingerprint(of request: some Encodable) throws -> String {
        var hash = SHA256Stream()
        try DriveJSON.encoder().encode(request).withUnsafeBytes { hash.update($0) }
        return hash.hexDigest()
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

/// A request that may bring a key of its client's, by which it makes its thing once however often it comes.
struct IdempotentRequest: Sendable {
    var key: String?
    /// What it makes: one word for each route.
    var operation: String
    var fingerprint: String
    var account: UUID
    var database: any Database

    /// Makes the thing, or finds the one that the key made before.
    ///
    /// Throws `IDEMPOTENCY_KEY_REUSED` where the key stands for another request, `IDEMPOTENCY_RESULT_GONE` where what it made was
    /// removed meanwhile: the request was done, and doing it again is not what a repetition means.
    /// - Parameters:
    ///   - find: the thing by its id.
    ///   - make: makes it, and calls `remember` in the same transaction.
    func once<Made: Sendable>(
        find: (String) async throws -> Made, make: () async throws -> (made: Made, isNew: Bool)
    ) async throws -> (made: Made, isNew: Bool) {
        if let id = try await knownId() { return (try await found(id, find), false) }
        do {
            return try await make()
        } catch let error as DatabaseError {
            // The same key at the same time: the other one's answer is the answer.
            guard case .uniqueViolation = error.kind, let id = try await knownId() else { throw error }
            return (try await found(id, find), false)
        }
    }

    /// Keeps the id of what was made, in the transaction that made it.
    func remember(_ id: String, now: Timestamp, in sql: any SQLSession) throws {
        guard let key else { return }
        try Idempotency.remember(
            key, operation: operation, fingerprint: fingerprint, account: account, taskId: id, response: [id], now: now, in: sql)
    }

    private func knownId() async throws -> String? {
        guard let key else { return nil }
        return try await Idempotency.answer(
            key, operation: operation, fingerprint: fingerprint, account: account, as: [String].self, database: database)?.first
    }

    private func found<Made>(_ id: String, _ find: (String) async throws -> Made) async throws -> Made {
        do {
            return try await find(id)
        } catch let error as DriveError where error.code.category == .notFound {
            throw DriveError(
                .idempotencyResultGone,
                "This Idempotency-Key made the \(operation) \(id), which was removed since; to make another one, use a new key.",
                details: ["rule": "Idempotency-Key", "id": .string(id)])
        }
    }
}
