import DriveModel
import DriveTasks
import Foundation
import HTTPTypes
import Hummingbird

/// `/tasks`: an account's tasks. What administrators can do too is in `TaskManagement`.
enum TaskRoutes {
    static let all: [Route] =
        [
            Route(.post, "/tasks", .account, create),
            Route(.get, "/tasks/recent", .account, recent),
            Route(.delete, "/tasks/cleanup", .account, cleanUp),
        ] + TaskManagement.routes(below: "/tasks", .account) { .account(try $0.account) }

    @Sendable private static func create(_ call: Call) async throws -> Response {
        let request = try await call.json(Exactly<CreateTaskRequest>.self).value
        let created = try await call.services.tasks.createTask(
            request.withParameterNames, idempotencyKey: call.request.headers[Fields.idempotencyKey], by: try call.caller)
        return try call.reply(created.task, status: created.isNew ? .created : .ok)
    }

    @Sendable private static func recent(_ call: Call) async throws -> Response {
        try call.reply(
            try await call.services.tasks.recentTasks(
                limit: try call.query("limit", default: 10, in: 1...100), in: .account(try call.account)))
    }

    @Sendable private static func cleanUp(_ call: Call) async throws -> Response {
        let days = try call.query("olderThanDays", default: 30, in: 0...36_500)
        return try call.reply([
            "removed": try await call.services.tasks.cleanUpTasks(
                olderThan: .seconds(days * 86_400), in: .account(try call.account), by: try call.caller)
        ])
    }
}

extension Call {
    /// `offset` and `limit` of a list.
    var paging: (offset: Int, limit: Int) {
        get throws(DriveError) {
            (try query("offset", default: 0, in: 0...10_000_000), try query("limit", default: 50, in: 1...500))
        }
    }
}
