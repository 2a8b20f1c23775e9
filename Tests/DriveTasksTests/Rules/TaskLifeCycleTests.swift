import DriveModel
import DriveTasks
import Testing

@Suite struct TaskLifeCycleTests {
    /// A state a task can be in, and where each event leads from there; what is not named is not allowed.
    struct Row: Sendable, CustomTestStringConvertible {
        let from: TaskState
        let ways: [TaskEvent: TaskState]

        init(_ status: TaskStatus, requested: TaskRequest? = nil, _ ways: [TaskEvent: TaskState]) {
            from = TaskState(status, requested: requested)
            self.ways = ways
        }

        var testDescription: String { from.status.rawValue + (from.requested.map { ", \($0.rawValue) requested" } ?? "") }
    }

    private static let isPausing = TaskState(.inProgress, requested: .pause)

    private static let table = [
        Row(
            .pending,
            [
                .start: TaskState(.inProgress), .pause: TaskState(.paused), .fail: TaskState(.failed), .cancel: TaskState(.cancelled),
                .expire: TaskState(.expired),
            ]),
        Row(
            .inProgress,
            [
                .pause: isPausing, .release: TaskState(.pending), .complete: TaskState(.completed), .fail: TaskState(.failed),
                .cancel: TaskState(.cancelled), .expire: TaskState(.expired),
            ]),
        Row(
            .inProgress, requested: .pause,
            [
                .pause: isPausing, .reachPause: TaskState(.paused), .resume: TaskState(.inProgress), .release: TaskState(.paused),
                .complete: TaskState(.completed), .fail: TaskState(.failed), .cancel: TaskState(.cancelled), .expire: TaskState(.expired),
            ]),
        Row(
            .paused,
            [
                .pause: TaskState(.paused), .resume: TaskState(.pending), .cancel: TaskState(.cancelled), .expire: TaskState(.expired),
            ]),
        Row(.completed, [:]),
        Row(.failed, [.retry: TaskState(.pending)]),
        Row(.cancelled, [.retry: TaskState(.pending), .cancel: TaskState(.cancelled)]),
        Row(.expired, [:]),
    ]

    private static let goals: [TaskEvent: TaskStatus] = [
        .start: .inProgress, .pause: .paused, .reachPause: .paused, .resume: .pending, .release: .pending, .complete: .completed,
        .fail: .failed, .cancel: .cancelled, .expire: .expired, .retry: .pending,
    ]

    @Test(arguments: table, TaskEvent.allCases)
    func decidesEveryPair(row: Row, event: TaskEvent) {
        #expect(TaskLifeCycle.next(row.from, on: event) == row.ways[event])
    }

    /// A row may still hold a request when its task does not run any more; it decides nothing there.
    @Test(arguments: table.filter { $0.from.status != .inProgress }, TaskEvent.allCases)
    func aRequestCountsOnlyWhileTheTaskRuns(row: Row, event: TaskEvent) {
        #expect(TaskLifeCycle.next(TaskState(row.from.status, requested: .pause), on: event) == row.ways[event])
    }

    @Test func theTableIsWhole() {
        #expect(Set(Self.table.map(\.from.status)) == Set(TaskStatus.allCases))
        #expect(Set(Self.goals.keys) == Set(TaskEvent.allCases))
        for row in Self.table {
            // Whatever is reached is a state of the table: a request stands on a running task alone.
            for state in row.ways.values { #expect(Self.table.contains { $0.from == state }) }
        }
    }

    /// Nothing leaves an ended task but the owner's word that it be tried again.
    @Test(arguments: table.filter(\.from.status.isTerminal))
    func onlyRetryLeavesAnEnd(row: Row) {
        for event in TaskEvent.allCases where event != .retry {
            let next = TaskLifeCycle.next(row.from, on: event)
            #expect(next == nil || next == row.from, "\(event)")
        }
    }

    /// What was repeated because its reply was lost answers as the first time.
    @Test(arguments: table, [TaskEvent.pause, .cancel])
    func aRepetitionChangesNothing(row: Row, event: TaskEvent) throws {
        guard let first = TaskLifeCycle.next(row.from, on: event) else { return }
        #expect(TaskLifeCycle.next(first, on: event) == first)
    }

    @Test(arguments: table, TaskEvent.allCases)
    func aRefusalNamesBothStatuses(row: Row, event: TaskEvent) throws {
        if let next = row.ways[event] {
            #expect(try TaskLifeCycle.change(row.from, on: event, task: "t1") == next)
            return
        }
        let error = #expect(throws: DriveError.self) { try TaskLifeCycle.change(row.from, on: event, task: "t1") }
        let goal = try #require(Self.goals[event])
        #expect(TaskLifeCycle.goal(of: event) == goal)
        #expect(error?.code == .taskState)
        #expect(
            error?.details == [
                "taskId": "t1", "status": .string(row.from.status.rawValue), "wanted": .string(goal.rawValue),
                "event": .string(event.rawValue),
            ])
        let message = try #require(error?.message)
        #expect(message.contains(row.from.status.rawValue) && message.contains(goal.rawValue))
    }
}
