import DriveModel
import DriveTasks
import Foundation
import HTTPTypes
import Hummingbird

/// `/tasks/batches` and `/tasks/schedules`: tasks made many at once, and again and again. What administrators can do too is in
/// `routes`.
enum TaskBatchRoutes {
    static let all: [Route] =
        [
            Route(.post, "/tasks/batches", .account, createBatch),
            Route(.post, "/tasks/schedules", .account, createSchedule),
        ] + routes(below: "/tasks", .account) { .account(try $0.account) }

    /// The routes that exist twice, as those of `TaskManagement`.
    static func routes(
        below path: String, _ access: Route.Access, scope: @escaping @Sendable (Call) throws -> TaskScope
    ) -> [Route] {
        func route(
            _ method: HTTPRequest.Method, _ suffix: String, _ handle: @escaping @Sendable (Call, TaskScope) async throws -> Response
        ) -> Route {
            Route(method, path + suffix, access) { call in try await handle(call, try scope(call)) }
        }
        return [
            route(.get, "/batches", batches),
            route(.get, "/batches/{batchId}", batch),
            route(.post, "/batches/{batchId}/cancel", cancelBatch),
            route(.get, "/schedules", schedules),
            route(.delete, "/schedules/{scheduleId}", deleteSchedule),
        ]
    }

    @Sendable private static func createBatch(_ call: Call) async throws -> Response {
        let request: TaskBatchRequest = try await call.json()
        let created = try await call.services.tasks.makeBatch(
            name: request.name, tasks: request.tasks.map(\.withParameterNames),
            idempotencyKey: call.request.headers[Fields.idempotencyKey], by: try call.caller)
        return try call.reply(created.batch, status: created.isNew ? .created : .ok)
    }

    @Sendable private static func batches(_ call: Call, _ scope: TaskScope) async throws -> Response {
        let (offset, limit) = try call.paging
        let page = try await call.services.tasks.batches(offset: offset, limit: limit, in: try call.account(of: scope))
        return try call.reply(page: page.items, total: page.total)
    }

    @Sendable private static func batch(_ call: Call, _ scope: TaskScope) async throws -> Response {
        try call.reply(try await call.services.tasks.batch(try call.parameter("batchId"), in: scope))
    }

    @Sendable private static func cancelBatch(_ call: Call, _ scope: TaskScope) async throws -> Response {
        try call.reply(try await call.services.tasks.cancelBatch(try call.parameter("batchId"), in: scope, by: try call.caller))
    }

    @Sendable private static func createSchedule(_ call: Call) async throws -> Response {
        let request: TaskScheduleRequest = try await call.json()
        let created = try await call.services.tasks.makeSchedule(
            cron: request.cron, task: request.task.withParameterNames,
            idempotencyKey: call.request.headers[Fields.idempotencyKey], by: try call.caller)
        return try call.reply(created.schedule, status: created.isNew ? .created : .ok)
    }

    @Sendable private static func schedules(_ call: Call, _ scope: TaskScope) async throws -> Response {
        let schedules = try await call.services.tasks.schedules(in: try call.account(of: scope))
        return try call.reply(page: schedules, total: schedules.count)
    }

    @Sendable private static func deleteSchedule(_ call: Call, _ scope: TaskScope) async throws -> Response {
        try await call.services.tasks.deleteSchedule(try call.parameter("scheduleId"), in: scope, by: try call.caller)
        return Response(status: .noContent)
    }
}

extension Call {
    /// One account of all, where an administrator's query names it.
    fileprivate func account(of scope: TaskScope) throws(DriveError) -> TaskScope {
        guard scope == .everybody, let account = try queryUUID("accountId") else { return scope }
        return .account(account)
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
