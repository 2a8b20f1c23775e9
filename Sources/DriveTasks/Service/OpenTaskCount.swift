import DriveDatabase
import DriveModel
import Foundation
import Synchronization

/// How many open tasks an account has, roughly: counted now and then, as an exact count for every new task would cost more
/// than the task.
final class OpenTaskCount: Sendable {
    private struct Known {
        var count: Int
        var at: ContinuousClock.Instant
        var addedSince: Int
    }

    private static let freshness = Duration.seconds(30)
    private let known = Mutex<[UUID: Known]>([:])

    /// Throws `TOO_MANY_TASKS` where the account has its most already.
    func expectRoom(for added: Int, account: UUID, most: Int, database: any Database) async throws {
        let current = known.withLock { known -> Int? in
            guard let entry = known[account], ContinuousClock.now - entry.at < Self.freshness else { return nil }
            known[account]?.addedSince += added
            return entry.count + entry.addedSince
        }
        var count = current ?? 0
        if current.map({ $0 + added > most }) ?? true {
            count = try await database.read { sql in
                try sql.first(
                    """
                    SELECT COUNT(*) AS open FROM (SELECT 1 FROM tasks WHERE account_id = $1 AND status IN ('Pending', 'InProgress', 'Paused')
                    LIMIT $2) AS counted
                    """, [.uuid(account), .int(most)])?.int("open") ?? 0
            }
            let counted = count
            known.withLock { known in
                if known.count > 10_000 { known.removeAll() }
                known[account] = Known(count: counted, at: .now, addedSince: added)
            }
        }
        guard count + added <= most else {
            throw DriveError(
                .tooManyTasks, "An account has at most \(most) open tasks; let some end, or cancel them.",
                details: ["rule": "maximumOpenTasks", "maximum": .integer(Int64(most))], retryAfter: 60)
        }
    }
}
