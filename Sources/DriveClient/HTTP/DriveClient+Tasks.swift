import DriveModel
import Foundation
import NIOHTTP1

/// Whose tasks a call may see and change.
public enum AccountScope: Hashable, Sendable {
    /// The caller's own.
    case own
    /// Everybody's; for administrators.
    case all

    var tasks: [String] {
        switch self {
        case .own: DriveClient.tasks
        case .all: ["api", "admin", "tasks"]
        }
    }
}

/// Which tasks a list shows, and in which order; nil leaves it to the server.
public struct TaskFilter: Hashable, Sendable {
    public var type: TaskType?
    public var kind: String?
    public var status: TaskStatus?
    public var batchId: String?
    /// One account of all; with `AccountScope.all` only.
    public var accountId: UUID?
    /// A field's name as the API documents it.
    public var sortBy: String?
    public var sortDescending: Bool?

    public init(
        type: TaskType? = nil, kind: String? = nil, status: TaskStatus? = nil, batchId: String? = nil, accountId: UUID? = nil,
        sortBy: String? = nil, sortDescending: Bool? = nil
    ) {
        self.type = type
        self.kind = kind
        self.status = status
        self.batchId = batchId
        self.accountId = accountId
        self.sortBy = sortBy
        self.sortDescending = sortDescending
    }
}

extension DriveClient {
    static let tasks = ["api", "tasks"]

    /// Makes a task. The same key gives the first answer again; without one, a key of its own makes the call's retries harmless.
    public func createTask(
        _ request: CreateTaskRequest, idempotencyKey: String? = nil, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSummary {
        try await send(once(HTTPCall(.POST, Self.tasks).json(request), idempotencyKey), retrying: policy).decode()
    }

    /// The call with an idempotency key, so that it may be repeated.
    func once(_ call: HTTPCall, _ key: String?) -> HTTPCall {
        var call = call
        call.headers.append(("Idempotency-Key", key ?? surroundings.system.newIdentifier()))
        return call
    }

    /// Tasks, those that changed last first.
    public func tasks(
        _ filter: TaskFilter = TaskFilter(), offset: Int = 0, limit: Int = 50, of scope: AccountScope = .own,
        retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> Page<TaskSummary> {
        let call = HTTPCall(
            .GET, scope.tasks,
            query: [
                ("type", filter.type?.rawValue), ("kind", filter.kind), ("status", filter.status?.rawValue), ("batchId", filter.batchId),
                ("accountId", filter.accountId?.lowercaseString), ("sortBy", filter.sortBy),
                ("sortDescending", filter.sortDescending.map { String($0) }), ("offset", String(offset)), ("limit", String(limit)),
            ])
        return try await page(call, policy)
    }

    /// A task as it stands.
    public func task(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSummary {
        try await send(HTTPCall(.GET, scope.tasks + [id]), retrying: policy).decode()
    }

    /// How many tasks there are of each status and type, and the ten that changed last.
    public func taskStatistics(
        of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskStatistics {
        try await send(HTTPCall(.GET, scope.tasks + ["stats"]), retrying: policy).decode()
    }

    /// The tasks that were made last.
    public func recentTasks(limit: Int = 10, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> [TaskSummary] {
        try await send(HTTPCall(.GET, Self.tasks + ["recent"], query: [("limit", String(limit))]), retrying: policy).decode()
    }

    /// The attempts of a task that did not complete it, oldest first.
    public func taskAttempts(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> [TaskAttempt] {
        try await send(HTTPCall(.GET, scope.tasks + [id, "attempts"]), retrying: policy).decode()
    }

    /// What became of each of the things a task worked on.
    public func taskItems(
        _ id: String, offset: Int = 0, limit: Int = 50, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> Page<TaskItem> {
        let call = HTTPCall(.GET, scope.tasks + [id, "items"], query: [("offset", String(offset)), ("limit", String(limit))])
        return try await page(call, policy)
    }

    /// For administrators: what waits and runs in every queue.
    public func taskQueues(retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> [TaskQueueState] {
        try await send(HTTPCall(.GET, AccountScope.all.tasks + ["queues"]), retrying: policy).decode()
    }
}
