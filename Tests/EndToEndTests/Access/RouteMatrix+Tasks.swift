import NIOHTTP1

extension RouteMatrix {
    /// A kind that no worker takes.
    static let kind = "matrix"

    private static let custom = #"{"type":"Custom","kind":"\#(kind)"}"#

    static let tasks: [Route] = [
        Route(method: .POST, path: "/tasks", access: .caller, body: custom),
        Route(
            method: .POST, path: "/tasks?after={customId}", access: .owner,
            body: #"{"type":"Custom","kind":"\#(kind)","dependsOn":["{customId}"]}"#),
        Route(method: .GET, path: "/tasks", access: .caller),
        Route(method: .GET, path: "/tasks/stats", access: .caller),
        Route(method: .GET, path: "/tasks/recent", access: .caller),
        Route(method: .GET, path: "/tasks/dead", access: .caller),
        Route(method: .POST, path: "/tasks/dead/redrive", access: .caller, body: "{}"),
        Route(method: .DELETE, path: "/tasks/cleanup?olderThanDays=0", access: .caller),
        Route(method: .GET, path: "/tasks/{customId}", access: .owner),
        Route(method: .DELETE, path: "/tasks/{customId}", access: .owner),
        Route(method: .POST, path: "/tasks/{customId}/pause", access: .owner),
        Route(method: .POST, path: "/tasks/{customId}/resume", access: .owner),
        Route(method: .POST, path: "/tasks/{customId}/cancel", access: .owner),
        Route(method: .POST, path: "/tasks/{customId}/retry", access: .owner),
        Route(method: .PUT, path: "/tasks/{customId}/priority", access: .owner, body: #"{"priority":7}"#),
        Route(method: .GET, path: "/tasks/{customId}/attempts", access: .owner),
        Route(method: .GET, path: "/tasks/{customId}/items", access: .owner),
        Route(method: .POST, path: "/tasks/batches", access: .caller, body: #"{"name":"a","tasks":[\#(custom)]}"#),
        Route(method: .GET, path: "/tasks/batches", access: .caller),
        Route(method: .GET, path: "/tasks/batches/{batchId}", access: .owner),
        Route(method: .POST, path: "/tasks/batches/{batchId}/cancel", access: .owner),
        Route(method: .POST, path: "/tasks/schedules", access: .caller, body: #"{"cron":"0 0 1 1 *","task":\#(custom)}"#),
        Route(method: .GET, path: "/tasks/schedules", access: .caller),
        Route(method: .DELETE, path: "/tasks/schedules/{scheduleId}", access: .owner),
    ]

    /// With a lease that nobody has, so that the answer is 409.
    static let work: [Route] = [
        Route(method: .POST, path: workPrefix + "lease", access: .caller, body: #"{"kinds":["matrix-none"]}"#),
        Route(method: .POST, path: workPrefix + "heartbeat", access: .caller, body: #"{"leaseId":"none"}"#),
        Route(method: .POST, path: workPrefix + "progress", access: .caller, body: #"{"leaseId":"none","progress":1}"#),
        Route(method: .POST, path: workPrefix + "complete", access: .caller, body: #"{"leaseId":"none"}"#),
        Route(method: .POST, path: workPrefix + "fail", access: .caller, body: #"{"leaseId":"none","errorMessage":"a"}"#),
        Route(method: .POST, path: workPrefix + "release", access: .caller, body: #"{"leaseId":"none"}"#),
    ]

    static let administratorsTasks: [Route] = [
        Route(method: .GET, path: "/admin/tasks?accountId={accountId}", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/queues", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/stats", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/dead", access: .administrator),
        Route(method: .POST, path: "/admin/tasks/dead/redrive", access: .administrator, body: #"{"taskIds":[]}"#),
        Route(method: .GET, path: "/admin/tasks/{customId}", access: .administrator),
        Route(method: .POST, path: "/admin/tasks/{customId}/pause", access: .administrator),
        Route(method: .POST, path: "/admin/tasks/{customId}/resume", access: .administrator),
        Route(method: .POST, path: "/admin/tasks/{customId}/cancel", access: .administrator),
        Route(method: .POST, path: "/admin/tasks/{customId}/retry", access: .administrator),
        Route(method: .DELETE, path: "/admin/tasks/{customId}", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/{customId}/attempts", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/{customId}/items", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/batches?accountId={accountId}", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/batches/{batchId}", access: .administrator),
        Route(method: .POST, path: "/admin/tasks/batches/{batchId}/cancel", access: .administrator),
        Route(method: .GET, path: "/admin/tasks/schedules?accountId={accountId}", access: .administrator),
        Route(method: .DELETE, path: "/admin/tasks/schedules/{scheduleId}", access: .administrator),
        Route(method: .PUT, path: "/admin/tasks/{customId}/priority", access: .administrator, body: #"{"priority":7}"#),
    ]
}
