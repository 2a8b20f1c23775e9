import DriveModel
import Foundation

/// A task that is to be put into the queue, checked already.
public struct NewTask: Sendable {
    public var type: TaskType
    public var kind: String?
    public var queue: String
    public var name: String
    public var description: String?
    public var accountId: UUID
    public var priority: Int
    /// JSON text.
    public var parameters: String
    public var poolId: UUID?
    public var size: Int64?
    public var runAt: Timestamp?
    public var expiresAt: Timestamp?
    public var dependsOn: [String]
    public var uniqueKey: String?
    public var batchId: String?
    public var parentTaskId: String?
    public var maximumAttempts: Int

    /// - Throws: what the encoder throws.
    public init(
        type: TaskType, kind: String? = nil, queue: String = TaskQueues.drive, name: String, description: String? = nil, accountId: UUID,
        priority: Int = 0, parameters: [String: JSONValue] = [:], poolId: UUID? = nil, size: Int64? = nil, runAt: Timestamp? = nil,
        expiresAt: Timestamp? = nil, dependsOn: [String] = [], uniqueKey: String? = nil, batchId: String? = nil,
        parentTaskId: String? = nil,
        maximumAttempts: Int = RetryPolicy().maximumAttempts
    ) throws {
        self.type = type
        self.kind = kind
        self.queue = queue
        self.name = name
        self.description = description
        self.accountId = accountId
        self.priority = priority
        self.parameters = parameters.isEmpty ? "{}" : try DriveJSON.text(parameters)
        self.poolId = poolId
        self.size = size
        self.runAt = runAt
        self.expiresAt = expiresAt
        self.dependsOn = dependsOn
        self.uniqueKey = uniqueKey
        self.batchId = batchId
        self.parentTaskId = parentTaskId
        self.maximumAttempts = maximumAttempts
    }
}
