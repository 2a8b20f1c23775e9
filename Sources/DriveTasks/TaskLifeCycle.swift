import DriveModel

/// What may happen to a task.
public enum TaskEvent: Hashable, Sendable, CaseIterable {
    case start, pause, resume, release, complete, fail, cancel, expire, retry
}

/// The one function that decides every change of a task's status. `docs/tasks.md` draws it.
public enum TaskLifeCycle {
    /// The status after `event`, or nil where it is not allowed.
    public static func next(_ status: TaskStatus, on event: TaskEvent) -> TaskStatus? {
        switch (status, event) {
        case (.pending, .start): .inProgress
        case (.pending, .pause), (.inProgress, .pause): .paused
        case (.paused, .resume): .pending
        // A worker gives a task back: a graceful stop, an expired lease, a failure that is tried again.
        case (.inProgress, .release): .pending
        case (.inProgress, .complete): .completed
        case (.pending, .fail), (.inProgress, .fail): .failed
        case (.pending, .cancel), (.inProgress, .cancel), (.paused, .cancel): .cancelled
        case (.pending, .expire), (.inProgress, .expire), (.paused, .expire): .expired
        // Redrive of a dead letter.
        case (.failed, .retry): .pending
        default: nil
        }
    }
}
