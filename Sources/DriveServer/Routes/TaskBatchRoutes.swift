import DriveModel
import DriveTasks
import Foundation
import HTTPTypes
import Hummingbird

/// `/tasks/batches` and `/tasks/schedules`: tasks made many at once, and again and again.
enum TaskBatchRoutes {
    static let all: [Route] = [
        Route(.post, "/tasks/batches", .account, createBatch),
        Route(.get, "/tasks/batches", .account, batches),
        Route(.get, "/tasks/batches/{batchId}", .account, batch),
        Route(.post, "/tasks/batches/{batchId}/cancel", .account, cancelBatch),
        Route(.post, "/tasks/schedules", .account, createSchedule),
        Route(.get, "/tasks/schedules", .account, schedules),
        Route(.delete, "/tasks/schedules/{scheduleId}", .account, deleteSchedule),
    ]

    @Sendable private static func createBatch(_ call: Call) async throws -> Response {
        let request: TaskBatchRequest = try await call.json()
        return try call.reply(
            try await call.services.tasks.createBatch(
                name: request.name, tasks: request.tasks.map(\.withParameterNames),
                idempotencyKey: call.request.headers[Fields.idempotencyKey], by: try call.caller), status: .created)
    }

    @Sendable private static func batches(_ call: Call) async throws -> Response {
        let (offset, limit) = try call.paging
        let page = try await call.services.tasks.batches(offset: offset, limit: limit, in: .account(try call.account))
        return try call.reply(page: page.items, total: page.total)
    }

    @Sendable private static func batch(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.tasks.batch(try call.parameter("batchId"), in: .account(try call.account)))
    }

    @Sendable private static func cancelBatch(_ call: Call) async throws -> Response {
        try call.reply(
            try await call.services.tasks.cancelBatch(try call.parameter("batchId"), in: .account(try call.account), by: try call.caller))
    }

    @Sendable private static func createSchedule(_ call: Call) async throws -> Response {
        let request: TaskScheduleRequest = try await call.json()
        return try call.reply(
            try await call.services.tasks.createSchedule(cron: request.cron, task: request.task.withParameterNames, by: try call.caller),
            status: .created)
    }

    @Sendable private static func schedules(_ call: Call) async throws -> Response {
        let schedules = try await call.services.tasks.schedules(in: .account(try call.account))
        return try call.reply(page: schedules, total: schedules.count)
    }

    @Sendable private static func deleteSchedule(_ call: Call) async throws -> Response {
        try await call.services.tasks.deleteSchedule(
            try call.parameter("scheduleId"), in: .account(try call.account), by: try call.caller)
        return Response(status: .noContent)
    }
}

struct TaskBatchRequest: Decodable {
    var name: String
    /// 1 to 1,000.
    var tasks: [CreateTaskRequest]
}

struct TaskScheduleRequest: Decodable {
    /// Five fields in UTC, `@daily`, or `@every 15m`.
    var cron: String
    var task: CreateTaskRequest
}
