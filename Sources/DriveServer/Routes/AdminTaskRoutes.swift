import DriveModel
import DriveTasks
import Hummingbird

/// `/admin/tasks`: everybody's tasks, batches and timetables, and the queues, for administrators.
enum AdminTaskRoutes {
    static let all: [Route] =
        [Route(.get, "/admin/tasks/queues", .admin, queues)]
        + TaskManagement.routes(below: "/admin/tasks", .admin) { _ in .everybody }
        + TaskBatchRoutes.routes(below: "/admin/tasks", .admin) { _ in .everybody }

    @Sendable private static func queues(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.tasks.queues())
    }
}
