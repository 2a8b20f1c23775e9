import DriveModel
import Foundation

/// What clients know of their tasks when the server dies.
struct CrashTasksLedger: Sendable {
    /// A task somebody was told of.
    struct Known: Sendable {
        /// As a response told it last.
        var told: TaskSummary
        /// What was asked of it since then, without an answer: `pause`, `resume`, `cancel`, `retry`.
        var asked: String?
        /// Whether it was ever to be cancelled, or its worker said that it failed for good.
        var mayEndOtherwise = false
    }

    /// A file that tasks work on.
    struct Stored: Sendable {
        var file: CloudFile
        var bytes: [UInt8]
    }

    /// What a worker outside of Drive knows of its lease.
    struct Lease: Sendable {
        var leaseId: String
        /// What it said at the end, before it was answered.
        var end: End?
        /// The last checkpoint that was acknowledged, and one that was sent since.
        var checkpoint: JSONValue?
        var sentCheckpoint: JSONValue?

        enum End: Sendable, Equatable {
            case complete([String: JSONValue])
            case fail, release
        }

        func allows(_ found: JSONValue?) -> Bool { found == checkpoint || (sentCheckpoint != nil && found == sentCheckpoint) }
    }

    /// By their ids, as all of these.
    var tasks: [String: Known] = [:]
    var files: [String: Stored] = [:]
    /// By their tasks; one that ended with an answer is gone.
    var leases: [String: Lease] = [:]
    var batches: [String: TaskBatch] = [:]
}

extension CrashTasksLedger.Known {
    /// Why a task cannot look like this, after what was told; nil: it can.
    func problem(with now: TaskSummary) -> String? {
        func broken(_ why: String) -> String {
            "\(told.type.rawValue) \(told.taskId): \(why): told \(Self.text(told)), asked \(asked ?? "nothing"), found \(Self.text(now))"
        }
        if now.progress < told.progress { return broken("its progress went back") }
        if now.attempt > now.maxAttempts { return broken("it has more attempts than it may have") }
        let allowed: Set<TaskStatus>
        switch (told.status, asked) {
        case (.completed, _):
            guard now.status == .completed, now.results == told.results else { return broken("a completed task changed") }
            return nil
        case (.failed, nil), (.expired, nil): allowed = [told.status]
        case (.cancelled, "retry"), (.failed, "retry"): allowed = Set(TaskStatus.allCases)
        case (.cancelled, _): allowed = [.cancelled]
        case (.paused, "cancel"): allowed = [.paused, .cancelled]
        case (.paused, nil), (.paused, "pause"): allowed = [.paused]
        case (.inProgress, nil) where told.requested == .pause: allowed = [.inProgress, .paused, .completed, .cancelled]
        default: allowed = Set(TaskStatus.allCases)
        }
        return allowed.contains(now.status) ? nil : broken("it cannot have come there")
    }

    private static func text(_ task: TaskSummary) -> String {
        let requested = task.requested.map { ", \($0.rawValue) requested" } ?? ""
        return "\(task.status.rawValue) at \(task.progress)%\(requested), attempt \(task.attempt), results \(task.results)"
    }
}

extension CrashLedger {
    func changeTasks(_ body: (inout CrashTasksLedger) -> Void) { change { body(&$0.tasks) } }

    func noteTask(_ taskId: String, _ body: (inout CrashTasksLedger.Known) -> Void) {
        changeTasks { tasks in
            if var known = tasks.tasks[taskId] {
                body(&known)
                tasks.tasks[taskId] = known
            }
        }
    }

    /// A response told how a task stands. Throws where that cannot be.
    func told(_ task: TaskSummary) throws {
        if let known = all.tasks.tasks[task.taskId], let problem = known.problem(with: task) { throw unexpected(problem) }
        changeTasks { tasks in
            if tasks.tasks[task.taskId] == nil { tasks.tasks[task.taskId] = CrashTasksLedger.Known(told: task) }
            tasks.tasks[task.taskId]?.told = task
            tasks.tasks[task.taskId]?.asked = nil
        }
    }
}
