import DriveEvents
import DriveModel
import Foundation

/// How tasks of a type are run.
public struct TaskPolicy: Sendable {
    /// How often a failing task is tried, and after which waits.
    public var retry: RetryPolicy
    /// A running task without a sign of progress for this long loses its slot.
    public var stallAfter: Duration
    /// Tasks of the type that run at the same time, over all servers; nil: as many as there are slots.
    public var maximumRunning: Int?

    public init(retry: RetryPolicy = RetryPolicy(), stallAfter: Duration = .seconds(600), maximumRunning: Int? = nil) {
        self.retry = retry
        self.stallAfter = stallAfter
        self.maximumRunning = maximumRunning
    }
}

/// What a handler makes of a request before it becomes a task.
public struct TaskPlan: Sendable {
    /// The task's name where the request gives none.
    public var name: String
    /// As they are stored; never a secret.
    public var parameters: [String: JSONValue]
    /// The pool whose limit it counts against.
    public var poolId: UUID?
    /// Bytes or items, by which the duration is estimated.
    public var size: Int64?

    public init(name: String, parameters: [String: JSONValue], poolId: UUID? = nil, size: Int64? = nil) {
        self.name = name
        self.parameters = parameters
        self.poolId = poolId
        self.size = size
    }
}

/// Does the tasks of one type; a Custom one of one kind.
///
/// A handler is idempotent: it may be run again from its last checkpoint at any time, also while an attempt of a worker
/// that was taken for dead still runs. What it changes in the database it changes by `TaskContext.commit`, which checks
/// the fencing token; what it writes elsewhere it writes to places of its own attempt.
public protocol TaskHandler: Sendable {
    var type: TaskType { get }
    /// What distinguishes Custom tasks; nil for every other type.
    var kind: String? { get }
    /// The queue its tasks wait in; a worker serves some queues.
    var queue: String { get }
    var policy: TaskPolicy { get }

    /// Checks a request before anything is stored. Throws `DriveError` naming the rule.
    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan

    /// Runs one attempt, from the checkpoint on; returns the results. A thrown `DriveError` that repetition cannot mend
    /// (`TaskFailure.isRetryable`) fails the task at once; `TaskInterruption` is passed on as it came.
    func run(_ task: any TaskContext) async throws -> [String: JSONValue]
}

extension TaskHandler {
    public var kind: String? { nil }
    public var queue: String { TaskQueues.drive }
    public var policy: TaskPolicy { TaskPolicy() }
}

/// Names of queues.
public enum TaskQueues {
    /// Every worker of Drive serves it.
    public static let drive = "drive"
    /// What only the server itself does.
    public static let server = "server"
    /// Custom tasks of a kind without a handler here, for workers that lease over HTTP.
    public static func custom(_ kind: String) -> String { "custom:" + kind }
}

/// Why an attempt is to end before its end. Not an error of the task: it costs no attempt, but for a stall.
public enum TaskInterruption: Error, Hashable, Sendable {
    /// Its owner paused it.
    case paused
    /// Its owner cancelled it, or it was ended otherwise.
    case cancelled
    /// The worker is to stop.
    case stopped
    /// It showed no progress for too long.
    case stalled
    /// Another worker has the task by now.
    case fenced
}

/// Why an attempt failed.
public struct TaskFailure: Error, Hashable, Sendable {
    /// A stable code, as in `DriveError`.
    public var code: String
    public var message: String
    /// Whether another attempt may succeed.
    public var isRetryable: Bool
    /// Whoever failed asked not to be tried again any sooner; the longer one of this and the policy's wait counts.
    public var retryAfter: Duration?

    public init(code: String, message: String, isRetryable: Bool, retryAfter: Duration? = nil) {
        self.code = code
        self.message = message
        self.isRetryable = isRetryable
        self.retryAfter = retryAfter
    }
}
