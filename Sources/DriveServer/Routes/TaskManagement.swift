import DriveEvents
import DriveModel
import DriveTasks
import Foundation
import HTTPTypes
import Hummingbird

/// The routes that exist twice: for an account's own tasks, and for everybody's.
enum TaskManagement {
    /// - Parameter scope: whose tasks a call may touch.
    static func routes(
        below path: String, _ access: Route.Access, scope: @escaping @Sendable (Call) throws -> TaskScope
    ) -> [Route] {
        func route(
            _ method: HTTPRequest.Method, _ suffix: String, _ handle: @escaping @Sendable (Call, TaskScope) async throws -> Response
        ) -> Route {
            Route(method, path + suffix, access) { call in try await handle(call, try scope(call)) }
        }
        func change(
            _ name: String, _ action: @escaping @Sendable (TaskService, String, TaskScope, Caller) async throws -> TaskSummary
        ) -> Route {
            route(.post, "/{taskId}/" + name) { call, scope in
                try call.reply(try await action(call.services.tasks, try call.parameter("taskId"), scope, try call.caller))
            }
        }
        return [
            route(.get, "", list),
            route(.get, "/stats", statistics),
            route(.get, "/dead", dead),
            route(.post, "/dead/redrive", redrive),
            route(.get, "/{taskId}", get),
            route(.delete, "/{taskId}", delete),
            route(.get, "/{taskId}/attempts", attempts),
            route(.get, "/{taskId}/items", items),
            route(.put, "/{taskId}/priority", setPriority),
            change("pause") { try await $0.pauseTask($1, in: $2, by: $3) },
            change("resume") { try await $0.resumeTask($1, in: $2, by: $3) },
            change("cancel") { try await $0.cancelTask($1, in: $2, by: $3) },
            change("retry") { try await $0.retryTask($1, in: $2, by: $3) },
        ]
    }

    @Sendable private static func list(_ call: Call, _ scope: TaskScope) async throws -> Response {
        let page = try await call.services.tasks.tasks(try query(call, scope), in: scope)
        return try call.reply(page: page.items, total: page.total)
    }

    @Sendable private static func dead(_ call: Call, _ scope: TaskScope) async throws -> Response {
        var query = try query(call, scope)
        query.onlyDead = true
        let page = try await call.services.tasks.tasks(query, in: scope)
        return try call.reply(page: page.items, total: page.total)
    }

    private static func query(_ call: Call, _ scope: TaskScope) throws -> TaskListQuery {
        var query = TaskListQuery()
        query.type = try call.query("type", as: TaskType.self)
        query.kind = call.query("kind")
        query.status = try call.query("status", as: TaskStatus.self)
        query.batchId = call.query("batchId")
        query.accountId = scope == .everybody ? try call.queryUUID("accountId") : nil
        query.sort = try call.query("sortBy", as: TaskListQuery.Sort.self) ?? .lastActivity
        query.descending = try call.query("sortDescending", default: true)
        (query.offset, query.limit) = try call.paging
        return query
    }

    @Sendable private static func statistics(_ call: Call, _ scope: TaskScope) async throws -> Response {
        try call.reply(try await call.services.tasks.statistics(in: scope))
    }

    @Sendable private static func redrive(_ call: Call, _ scope: TaskScope) async throws -> Response {
        let request = try await call.json(Exactly<RedriveRequest>.self).value
        return try call.reply(
            RedriveReply(redriven: try await call.services.tasks.redrive(request.taskIds, in: scope, by: try call.caller)))
    }

    @Sendable private static func get(_ call: Call, _ scope: TaskScope) async throws -> Response {
        try call.reply(try await call.services.tasks.task(try call.parameter("taskId"), in: scope))
    }

    @Sendable private static func delete(_ call: Call, _ scope: TaskScope) async throws -> Response {
        try await call.services.tasks.deleteTask(try call.parameter("taskId"), in: scope, by: try call.caller)
        return Response(status: .noContent)
    }

    @Sendable private static func attempts(_ call: Call, _ scope: TaskScope) async throws -> Response {
        try call.reply(try await call.services.tasks.attempts(try call.parameter("taskId"), in: scope))
    }

    @Sendable private static func items(_ call: Call, _ scope: TaskScope) async throws -> Response {
        let (offset, limit) = try call.paging
        let page = try await call.services.tasks.items(try call.parameter("taskId"), offset: offset, limit: limit, in: scope)
        return try call.reply(page: page.items, total: page.total)
    }

    @Sendable private static func setPriority(_ call: Call, _ scope: TaskScope) async throws -> Response {
        let request: PriorityRequest = try await call.json()
        return try call.reply(
            try await call.services.tasks.setPriority(
                request.priority, of: try call.parameter("taskId"), in: scope, by: try call.caller))
    }
}

private struct PriorityRequest: Decodable {
    /// 0 to 100, higher first.
    var priority: Int
}

private struct RedriveRequest: Decodable {
    /// nil: all dead letters.
    var taskIds: [String]?
}

extension RedriveRequest: KnownMembers {
    static var members: Set<String> { ["taskIds"] }
}

private struct RedriveReply: Encodable {
    var redriven: [String]
}
