import DriveModel

/// What may happen to a task.
public enum TaskEvent: String, Hashable, Sendable, CaseIterable {
    /// A worker takes it.
    case start
    /// Its owner wants it to pause.
    case pause
    /// Its worker has stopped at a safe step.
    case reachPause
    /// Its owner wants it to go on.
    case resume
    /// Its worker gives it back: a graceful stop, an expired lease, a failure that is tried again.
    case release
    case complete, fail, cancel, expire
    /// It is to be tried again after it had ended: the redrive of a dead letter.
    case retry
}

/// A task's status with what was asked of it and is not reached yet.
public struct TaskState: Hashable, Sendable {
    public var status: TaskStatus
    public var requested: TaskRequest?

    public init(_ status: TaskStatus, requested: TaskRequest? = nil) {
        self.status = status
        self.requested = requested
    }
}

/// The one function that decides every change of a task's status. `docs/tasks.md` draws it.
public enum TaskLifeCycle {
    /// The state after `event`, or nil where it is not allowed. What a caller may have to repeat because its reply was lost
    /// (pause, cancel) is allowed where it has happened already, and changes nothing.
    public static func next(_ state: TaskState, on event: TaskEvent) -> TaskState? {
        switch (state.status, event) {
        case (.pending, .start): TaskState(.inProgress)
        case (.pending, .pause), (.paused, .pause): TaskState(.paused)
        // Asked for; reached when the worker says so.
        case (.inProgress, .pause): TaskState(.inProgress, requested: .pause)
        case (.inProgress, .reachPause): state.requested == .pause ? TaskState(.paused) : nil
        case (.inProgress, .resume): state.requested == .pause ? TaskState(.inProgress) : nil
        case (.paused, .resume): TaskState(.pending)
        // Whoever asked for a pause does not want it to run elsewhere.
        case (.inProgress, .release): TaskState(state.requested == .pause ? .paused : .pending)
        case (.inProgress, .complete): TaskState(.completed)
        case (.pending, .fail), (.inProgress, .fail): TaskState(.failed)
        case (.pending, .cancel), (.inProgress, .cancel), (.paused, .cancel), (.cancelled, .cancel): TaskState(.cancelled)
        case (.pending, .expire), (.inProgress, .expire), (.paused, .expire): TaskState(.expired)
        case (.failed, .retry), (.cancelled, .retry): TaskState(.pending)
        default: nil
        }
    }

    /// The state after `event`. Throws `TASK_STATE`, which names the status that is and the one that was wanted.
    public static func change(_ state: TaskState, on event: TaskEvent, task taskId: String) throws(DriveError) -> TaskState {
        if let next = next(state, on: event) { return next }
        throw DriveError(
            .taskState, "The task is \(state.status.rawValue); it cannot become \(goal(of: event).rawValue) from there.",
            details: [
                "taskId": .string(taskId), "status": .string(state.status.rawValue), "wanted": .string(goal(of: event).rawValue),
                "event": .string(event.rawValue),
            ])
    }

    /// The status an event leads to, where it is allowed at all.
    public static func goal(of event: TaskEvent) -> TaskStatus {
        switch event {
        case .start: .inProgress
        case .pause, .reachPause: .paused
        case .resume, .release, .retry: .pending
        case .complete: .completed
        case .fail: .failed
        case .cancel: .cancelled
        case .expire: .expired
        }
    }
}
