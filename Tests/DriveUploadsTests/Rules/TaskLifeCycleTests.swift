import DriveModel
import DriveTasks
import Testing

@Suite struct TaskLifeCycleTests {
    /// Every change that is allowed; all other pairs are not.
    private static let allowed: [TaskStatus: [TaskEvent: TaskStatus]] = [
        .pending: [.start: .inProgress, .pause: .paused, .fail: .failed, .cancel: .cancelled, .expire: .expired],
        .inProgress: [.pause: .paused, .release: .pending, .complete: .completed, .fail: .failed, .cancel: .cancelled, .expire: .expired],
        .paused: [.resume: .pending, .cancel: .cancelled, .expire: .expired],
        .failed: [.retry: .pending],
    ]

    @Test(arguments: TaskStatus.allCases, TaskEvent.allCases)
    func decidesEveryPair(status: TaskStatus, event: TaskEvent) {
        #expect(TaskLifeCycle.next(status, on: event) == Self.allowed[status]?[event])
    }

    @Test(arguments: TaskStatus.allCases)
    func nothingLeavesATerminalStatusButRedrive(status: TaskStatus) {
        let ways = TaskEvent.allCases.filter { TaskLifeCycle.next(status, on: $0) != nil }
        if status.isTerminal { #expect(ways == (status == .failed ? [.retry] : [])) } else { #expect(!ways.isEmpty) }
    }
}
