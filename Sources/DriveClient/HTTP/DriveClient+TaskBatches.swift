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
    private static let batches = tasks + ["batches"]
    private static let schedules = tasks + ["schedules"]

    /// Makes a group of tasks. The same key gives the first answer again; without one, a key of its own makes retries harmless.
    public func createTaskBatch(
        _ request: CreateBatchRequest, idempotencyKey: String? = nil, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskBatch {
        try await send(once(HTTPCall(.POST, Self.batches).json(request), idempotencyKey), retrying: policy).decode()
    }

    /// A group's counts and joint progress; its tasks are those of `TaskFilter.batchId`.
    public func taskBatch(_ id: String, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> TaskBatch {
        try await send(HTTPCall(.GET, Self.batches + [id]), retrying: policy).decode()
    }

    /// The caller's groups, the newest first.
    public func taskBatches(
        offset: Int = 0, limit: Int = 50, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> Page<TaskBatch> {
        try await page(HTTPCall(.GET, Self.batches, query: [("offset", String(offset)), ("limit", String(limit))]), policy)
    }

    /// Cancels the group's open tasks.
    public func cancelTaskBatch(_ id: String, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> TaskBatch {
        try await send(HTTPCall(.POST, Self.batches + [id, "cancel"]), retrying: policy).decode()
    }

    /// Has a task made again and again.
    ///
    /// Not repeated by itself: where the reply is lost, `taskSchedules()` tells whether it was made.
    /// - Parameter cron: five fields in UTC, `@daily`, or `@every 15m`.
    public func createTaskSchedule(cron: String, task: CreateTaskRequest) async throws(DriveClientError) -> TaskSchedule {
        struct Request: Encodable {
            var cron: String
            var task: CreateTaskRequest
        }
        return try await send(try HTTPCall(.POST, Self.schedules).json(Request(cron: cron, task: task))).decode()
    }

    /// The caller's timetables.
    public func taskSchedules(retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> [TaskSchedule] {
        try await send(HTTPCall(.GET, Self.schedules), retrying: policy).decode()
    }

    /// Ends a timetable. The tasks it made stay.
    public func deleteTaskSchedule(_ id: String, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) {
        try await delete(Self.schedules + [id], retrying: policy)
    }
}
