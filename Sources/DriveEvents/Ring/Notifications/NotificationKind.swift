/// What a person can be told of, and can choose not to be.
public enum NotificationKind: String, Codable, CaseIterable, Hashable, Sendable {
    case uploadCompleted = "upload.completed"
    /// An upload that failed, or whose time ran out.
    case uploadFailed = "upload.failed"
    /// A task that is no upload.
    case taskCompleted = "task.completed"
    /// It failed for good, or its time ran out.
    case taskFailed = "task.failed"
    /// A task or an upload; mostly its owner did so himself.
    case taskCancelled = "task.cancelled"
    /// All tasks of a batch have ended.
    case batchCompleted = "batch.completed"
    case quotaWarning = "quota.warning"
    /// What another program sent through Drive's RingService.
    case program = "notification.received"
}

/// How far a notification goes.
public enum NotificationDelivery: String, Codable, CaseIterable, Hashable, Sendable {
    /// Nowhere.
    case off
    /// Into the list of past notifications.
    case list
    /// Into the list, and to the account's devices.
    case push
}

/// What an account chose; the rest has its default.
public struct NotificationPreferences: Hashable, Sendable {
    public private(set) var chosen: [NotificationKind: NotificationDelivery]

    public init(_ chosen: [NotificationKind: NotificationDelivery] = [:]) {
        self.chosen = chosen
    }

    public subscript(kind: NotificationKind) -> NotificationDelivery { chosen[kind] ?? Self.standard(kind) }

    /// Every kind with what holds for it.
    public var all: [NotificationKind: NotificationDelivery] {
        Dictionary(uniqueKeysWithValues: NotificationKind.allCases.map { ($0, self[$0]) })
    }

    /// What holds where nothing was chosen: everything, but for what its owner has just done himself.
    public static func standard(_ kind: NotificationKind) -> NotificationDelivery { kind == .taskCancelled ? .off : .push }
}
