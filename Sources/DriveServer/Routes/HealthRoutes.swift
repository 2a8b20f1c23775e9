import DriveDatabase
import DriveModel
import DriveUploads
import Foundation
import Hummingbird

/// `/health`: for load balancers and monitors, without a token and without a secret.
enum HealthRoutes {
    static let all: [Route] = [
        Route(.get, "/health/live", .open, live),
        Route(.get, "/health/ready", .open, ready),
        Route(.get, "/health/uploads", .open, uploads),
        // Some load balancers probe so.
        Route(.head, "/health/live", .open, live),
        Route(.head, "/health/ready", .open, ready),
    ]

    @Sendable private static func live(_ call: Call) async throws -> Response {
        try call.reply(["status": "live"])
    }

    private struct UploadsReply: Encodable {
        var status: String
        var service: String
        var database: String
        var databaseMilliseconds: Double?
        var queues: [String: Int]
    }

    /// Asks the database; throws where it does not answer.
    private static func ping(_ call: Call) async throws -> Duration {
        let start = ContinuousClock.now
        _ = try await call.services.database.read { sql in try sql.query("SELECT 1 AS one") }
        return ContinuousClock.now - start
    }

    @Sendable private static func ready(_ call: Call) async throws -> Response {
        do {
            _ = try await ping(call)
            return try call.reply(["status": "ready"])
        } catch {
            throw DriveError(.databaseUnavailable, "The database does not answer.", retryAfter: 2)
        }
    }

    @Sendable private static func uploads(_ call: Call) async throws -> Response {
        let services = call.services
        var queues = ["databaseWrites": services.database.queueLength, "openUploads": services.uploads.openSessionCount]
        do {
            let time = try await ping(call)
            let waiting = try await services.database.read { sql in
                try sql.first("SELECT COUNT(*) AS total FROM tasks WHERE status = 'Pending' AND rank IS NOT NULL")?.int("total") ?? 0
            }
            queues["pendingTasks"] = waiting
            return try call.reply(
                UploadsReply(
                    status: "healthy", service: "healthy", database: "healthy", databaseMilliseconds: time.inSeconds * 1000, queues: queues)
            )
        } catch {
            return try call.reply(
                UploadsReply(status: "unhealthy", service: "healthy", database: "unreachable", databaseMilliseconds: nil, queues: queues),
                status: .serviceUnavailable)
        }
    }
}
