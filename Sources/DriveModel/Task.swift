import Foundation

/// What a persistent task does.
public enum TaskType: String, Codable, Sendable, CaseIterable {
    case fileUpload = "FileUpload"
    case fileMove = "FileMove"
    case fileCompress = "FileCompress"
    case fileDecompress = "FileDecompress"
    case fileEncrypt = "FileEncrypt"
    case fileDecrypt = "FileDecrypt"
    case bulkOperation = "BulkOperation"
    case storageMigration = "StorageMigration"
    case fileConversion = "FileConversion"
    case custom = "Custom"
}

/// Where a task stands in its life. `TaskLifeCycle` decides every change.
public enum TaskStatus: String, Codable, Sendable, CaseIterable {
    case pending = "Pending"
    case inProgress = "InProgress"
    case paused = "Paused"
    case completed = "Completed"
    case failed = "Failed"
    case cancelled = "Cancelled"
    case expired = "Expired"

    /// Whether nothing changes any more.
    public var isTerminal: Bool {
        switch self {
        case .completed, .failed, .cancelled, .expired: true
        case .pending, .inProgress, .paused: false
        }
    }

    /// The integer of the spec's `upload_tasks.status`; derived, never read back.
    public var uploadStatusCode: Int64 {
        switch self {
        case .pending, .inProgress, .paused: 0
        case .completed: 1
        case .failed, .cancelled: 2
        case .expired: 3
        }
    }
}

extension TaskStatus {
    /// The statuses of a task that may still change by itself.
    public static let open: [TaskStatus] = [.pending, .inProgress, .paused]
}

/// What was asked of a running task and is not reached yet.
public enum TaskRequest: String, Codable, Sendable, CaseIterable {
    /// Its worker stops at the next safe step; then it is Paused.
    case pause
}
