import DriveModel
import NIOHTTP1

/// `POST /tasks/batches`: 1 to 1,000 tasks, made all or none.
public struct CreateBatchRequest: Codable, Hashable, Sendable {
    public var name: String
    /// `dependsOn` may name an earlier task of the same batch as `#0`, `#1`….
    public var tasks: [CreateTaskRequest]

    public init(name: String, tasks: [CreateTaskRequest]) {
        self.name = name
        self.tasks = tasks
    }
}

extension DriveClient {
    /// Makes a group of tasks. The same key gives the first answer again; without one, a key of its own makes retries harmless.
    public func createTaskBatch(
        _ request: CreateBatchRequest, idempotencyKey: String? = nil, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskBatch {
        try await send(once(HTTPCall(.POST, AccountScope.own.batches).json(request), idempotencyKey), retrying: policy).decode()
    }

    /// A group's counts and joint progress; its tasks are those of `TaskFilter.batchId`.
    public func taskBatch(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskBatch {
        try await send(HTTPCall(.GET, scope.batches + [id]), retrying: policy).decode()
    }

    /// Groups, the newest first.
    public func taskBatches(
        offset: Int = 0, limit: Int = 50, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> Page<TaskBatch> {
        try await page(HTTPCall(.GET, scope.batches, query: [("offset", String(offset)), ("limit", String(limit))]), policy)
    }

    /// Cancels the group's open tasks.
    public func cancelTaskBatch(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskBatch {
        try await send(HTTPCall(.POST, scope.batches + [id, "cancel"]), retrying: policy).decode()
    }

    /// Has a task made again and again. The same key gives the first answer again; without one, a key of its own makes retries
    /// harmless.
    /// - Parameter cron: five fields in UTC, `@daily`, or `@every 15m`.
    public func createTaskSchedule(
        cron: String, task: CreateTaskRequest, idempotencyKey: String? = nil, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSchedule {
        struct Request: Encodable {
            var cron: String
            var task: CreateTaskRequest
        }
        let call = try HTTPCall(.POST, AccountScope.own.schedules).json(Request(cron: cron, task: task))
        return try await send(once(call, idempotencyKey), retrying: policy).decode()
    }

    /// Timetables, the oldest first.
    public func taskSchedules(
        of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> [TaskSchedule] {
        try await send(HTTPCall(.GET, scope.schedules), retrying: policy).decode()
    }

    /// Ends a timetable. The tasks it made stay.
    public func deleteTaskSchedule(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) {
        try await delete(scope.schedules + [id], retrying: policy)
    }
}

extension AccountScope {
    fileprivate var batches: [String] { tasks + ["batches"] }
    fileprivate var schedules: [String] { tasks + ["schedules"] }
}
