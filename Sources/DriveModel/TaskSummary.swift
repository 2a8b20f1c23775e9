import Foundation

/// A task as the API shows it: the spec's `PersistentTask`, and what the engine knows beside it.
public struct TaskSummary: Codable, Hashable, Sendable {
    public var id: UUID
    public var taskId: String
    public var type: TaskType
    /// What a Custom task is, to the worker that takes it; nil for the other types.
    public var kind: String?
    public var name: String
    public var description: String?
    public var status: TaskStatus
    /// What was asked of it and is not reached yet: a running task that is to pause is still InProgress.
    public var requested: TaskRequest?
    public var accountId: UUID
    /// 0 to 100, higher first.
    public var priority: Int
    /// 0 to 100, never going back.
    public var progress: Double
    public var statusMessage: String?
    public var parameters: [String: JSONValue]
    public var results: [String: JSONValue]
    public var errorCode: String?
    public var errorMessage: String?
    /// Attempts begun that count against `maxAttempts`.
    public var attempt: Int
    public var maxAttempts: Int
    /// Learned from finished tasks of this type and size; nil until there are enough of them.
    public var estimatedDurationSeconds: Int64?
    /// Not before this time.
    public var runAt: Timestamp?
    /// Where it has not ended by then, it is Expired.
    public var expiresAt: Timestamp?
    /// Tasks that are to be Completed first and are not yet.
    public var waitsFor: Int
    public var batchId: String?
    public var uniqueKey: String?
    public var parentTaskId: String?
    public var createdAt: Timestamp
    public var updatedAt: Timestamp
    public var lastActivity: Timestamp
    public var startedAt: Timestamp?
    public var completedAt: Timestamp?
    /// Since when it lies among the dead letters: it failed for good and can be redriven.
    public var deadAt: Timestamp?

    public init(
        id: UUID, taskId: String, type: TaskType, kind: String?, name: String, description: String?, status: TaskStatus,
        requested: TaskRequest?, accountId: UUID, priority: Int, progress: Double, statusMessage: String?,
        parameters: [String: JSONValue], results: [String: JSONValue], errorCode: String?, errorMessage: String?, attempt: Int,
        maxAttempts: Int, estimatedDurationSeconds: Int64?, runAt: Timestamp?, expiresAt: Timestamp? = nil, waitsFor: Int, batchId: String?,
        uniqueKey: String?,
        parentTaskId: String?, createdAt: Timestamp, updatedAt: Timestamp, lastActivity: Timestamp, startedAt: Timestamp?,
        completedAt: Timestamp?, deadAt: Timestamp?
    ) {
        self.id = id
        self.taskId = taskId
        self.type = type
        self.kind = kind
        self.name = name
        self.description = description
        self.status = status
        self.requested = requested
        self.accountId = accountId
        self.priority = priority
        self.progress = progress
        self.statusMessage = statusMessage
        self.parameters = parameters
        self.results = results
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.attempt = attempt
        self.maxAttempts = maxAttempts
        self.estimatedDurationSeconds = estimatedDurationSeconds
        self.runAt = runAt
        self.expiresAt = expiresAt
        self.waitsFor = waitsFor
        self.batchId = batchId
        self.uniqueKey = uniqueKey
        self.parentTaskId = parentTaskId
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.lastActivity = lastActivity
        self.startedAt = startedAt
        self.completedAt = completedAt
        self.deadAt = deadAt
    }
}

/// `POST /tasks`: a task to be done.
public struct CreateTaskRequest: Codable, Hashable, Sendable {
    public var type: TaskType
    /// Required for Custom, for nothing else.
    public var kind: String?
    /// nil: the type's own.
    public var name: String?
    public var description: String?
    /// 0 to 100; nil: 0.
    public var priority: Int?
    public var parameters: [String: JSONValue]?
    /// Not before this time.
    public var runAt: Timestamp?
    /// Where it has not ended by then, it is Expired; a running one is stopped.
    public var expiresAt: Timestamp?
    /// Ids of tasks that must be Completed first; where one fails or is cancelled, this one is cancelled.
    public var dependsOn: [String]?
    /// While a task of the account with this key is open, it is the answer and no second one is made.
    public var uniqueKey: String?
    /// nil: the type's own.
    public var maxAttempts: Int?

    public init(
        type: TaskType, kind: String? = nil, name: String? = nil, description: String? = nil, priority: Int? = nil,
        parameters: [String: JSONValue]? = nil, runAt: Timestamp? = nil, expiresAt: Timestamp? = nil, dependsOn: [String]? = nil,
        uniqueKey: String? = nil,
        maxAttempts: Int? = nil
    ) {
        self.type = type
        self.kind = kind
        self.name = name
        self.description = description
        self.priority = priority
        self.parameters = parameters
        self.runAt = runAt
        self.expiresAt = expiresAt
        self.dependsOn = dependsOn
        self.uniqueKey = uniqueKey
        self.maxAttempts = maxAttempts
    }
}

/// An attempt that did not complete its task: when, where, and why it ended.
public struct TaskAttempt: Codable, Hashable, Sendable {
    /// How an attempt ended without completing the task.
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        /// It threw; tried again where attempts are left.
        case failed
        /// Its worker showed no sign of life.
        case lost
        /// It showed no progress for too long.
        case stalled
    }

    public var attempt: Int
    public var outcome: Outcome
    public var errorCode: String
    public var errorMessage: String
    /// The worker that ran it.
    public var worker: String
    public var startedAt: Timestamp?
    public var endedAt: Timestamp

    public init(
        attempt: Int, outcome: Outcome, errorCode: String, errorMessage: String, worker: String, startedAt: Timestamp?, endedAt: Timestamp
    ) {
        self.attempt = attempt
        self.outcome = outcome
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.worker = worker
        self.startedAt = startedAt
        self.endedAt = endedAt
    }
}

/// What became of one of the things a task worked on.
public struct TaskItem: Codable, Hashable, Sendable {
    public enum Outcome: String, Codable, Sendable, CaseIterable {
        case succeeded, failed, skipped
        /// A dry run: it would be done.
        case planned
    }

    /// The file's id.
    public var itemId: String
    public var outcome: Outcome
    /// Why it failed or was skipped.
    public var code: String?
    public var message: String?

    public init(itemId: String, outcome: Outcome, code: String? = nil, message: String? = nil) {
        self.itemId = itemId
        self.outcome = outcome
        self.code = code
        self.message = message
    }
}

/// `GET /tasks/stats`.
public struct TaskStatistics: Codable, Hashable, Sendable {
    public var totalTasks: Int
    public var pendingTasks: Int
    public var inProgressTasks: Int
    public var pausedTasks: Int
    public var completedTasks: Int
    public var failedTasks: Int
    public var cancelledTasks: Int
    public var expiredTasks: Int
    public var deadLetters: Int
    /// Of all tasks, 0 to 100.
    public var averageProgress: Double
    /// Tasks by type.
    public var byType: [String: Int]
    /// The ten that changed last.
    public var recentActivity: [TaskSummary]

    public init(
        totalTasks: Int, pendingTasks: Int, inProgressTasks: Int, pausedTasks: Int, completedTasks: Int, failedTasks: Int,
        cancelledTasks: Int, expiredTasks: Int, deadLetters: Int, averageProgress: Double, byType: [String: Int],
        recentActivity: [TaskSummary]
    ) {
        self.totalTasks = totalTasks
        self.pendingTasks = pendingTasks
        self.inProgressTasks = inProgressTasks
        self.pausedTasks = pausedTasks
        self.completedTasks = completedTasks
        self.failedTasks = failedTasks
        self.cancelledTasks = cancelledTasks
        self.expiredTasks = expiredTasks
        self.deadLetters = deadLetters
        self.averageProgress = averageProgress
        self.byType = byType
        self.recentActivity = recentActivity
    }
}

/// A group of tasks with joint counts.
public struct TaskBatch: Codable, Hashable, Sendable {
    public var batchId: String
    public var name: String
    public var accountId: UUID
    public var totalTasks: Int
    public var completedTasks: Int
    public var failedTasks: Int
    public var cancelledTasks: Int
    /// The mean of the tasks' progress; an ended task counts 100.
    public var progress: Double
    public var createdAt: Timestamp
    /// When its last task ended.
    public var completedAt: Timestamp?

    public init(
        batchId: String, name: String, accountId: UUID, totalTasks: Int, completedTasks: Int, failedTasks: Int, cancelledTasks: Int,
        progress: Double, createdAt: Timestamp, completedAt: Timestamp?
    ) {
        self.batchId = batchId
        self.name = name
        self.accountId = accountId
        self.totalTasks = totalTasks
        self.completedTasks = completedTasks
        self.failedTasks = failedTasks
        self.cancelledTasks = cancelledTasks
        self.progress = progress
        self.createdAt = createdAt
        self.completedAt = completedAt
    }
}

/// How many tasks of a queue wait and run, for administrators.
public struct TaskQueueState: Codable, Hashable, Sendable {
    public var queue: String
    public var type: TaskType
    public var pending: Int
    /// Not due yet, or waiting for other tasks.
    public var scheduled: Int
    public var running: Int

    public init(queue: String, type: TaskType, pending: Int, scheduled: Int, running: Int) {
        self.queue = queue
        self.type = type
        self.pending = pending
        self.scheduled = scheduled
        self.running = running
    }
}

/// A task that is made again and again by a timetable.
public struct TaskSchedule: Codable, Hashable, Sendable {
    public var scheduleId: String
    public var accountId: UUID
    /// Five fields in UTC, `@daily`, or `@every 15m`.
    public var cron: String
    public var task: CreateTaskRequest
    public var nextRunAt: Timestamp
    public var lastRunAt: Timestamp?
    public var lastTaskId: String?

    public init(
        scheduleId: String, accountId: UUID, cron: String, task: CreateTaskRequest, nextRunAt: Timestamp, lastRunAt: Timestamp?,
        lastTaskId: String?
    ) {
        self.scheduleId = scheduleId
        self.accountId = accountId
        self.cron = cron
        self.task = task
        self.nextRunAt = nextRunAt
        self.lastRunAt = lastRunAt
        self.lastTaskId = lastTaskId
    }
}

/// What a worker outside of Drive gets to do.
public struct TaskLease: Codable, Hashable, Sendable {
    /// Names the lease in heartbeat, progress, complete and fail; known to its worker alone.
    public var leaseId: String
    /// Seconds without a heartbeat after which the task is given to another.
    public var expiresInSeconds: Int
    public var heartbeatSeconds: Int
    public var task: TaskSummary
    /// What the attempt before this one kept.
    public var checkpoint: JSONValue?

    public init(leaseId: String, expiresInSeconds: Int, heartbeatSeconds: Int, task: TaskSummary, checkpoint: JSONValue?) {
        self.leaseId = leaseId
        self.expiresInSeconds = expiresInSeconds
        self.heartbeatSeconds = heartbeatSeconds
        self.task = task
        self.checkpoint = checkpoint
    }
}
