import DriveDatabase
import DriveModel
import DriveTasks

/// In which states a task can have been, by its events: these are numbered in the order of the changes they tell of. What has
/// no event (a start, a pause asked for, a task given back) may have happened between any two.
struct RaceModel {
    struct Event: Sendable {
        var sequence: Int64
        /// Without `task.`.
        var word: String
    }

    /// The states after each event, with its number.
    private var history: [(sequence: Int64, states: Set<TaskState>)] = []
    /// What no sequence of allowed changes explains.
    private(set) var contradiction: String?
    /// Terminal events since the task was made or retried.
    private(set) var endsInLife = 0

    init(_ events: [Event]) {
        var states: Set<TaskState> = []
        for event in events {
            let next = Self.states(after: event.word, from: states)
            if event.word == "progress" { continue }
            if ["completed", "failed", "cancelled", "expired"].contains(event.word) { endsInLife += 1 }
            if endsInLife > 1, contradiction == nil { contradiction = "a second end in one life: \(event.word)" }
            // A retry by its owner begins a new life; one by the engine comes before the end.
            if event.word == "retrying" { endsInLife = 0 }
            if next.isEmpty, contradiction == nil { contradiction = "\(event.word) out of \(states)" }
            states = Self.withoutEvents(next)
            history.append((event.sequence, states))
        }
        if events.first?.word != "created" { contradiction = "it was never created" }
    }

    var last: Set<TaskState> { history.last?.states ?? [] }

    /// Where it can have been while the account's events grew from the one number to the other.
    func states(from first: Int64, through last: Int64) -> Set<TaskState> {
        let begin = history.lastIndex { $0.sequence <= first } ?? 0
        return history[begin...].prefix { $0.sequence <= max(first, last) }.reduce(into: []) { $0.formUnion($1.states) }
    }

    /// Which changes an event may tell of.
    private static func states(after word: String, from states: Set<TaskState>) -> Set<TaskState> {
        let causes: [TaskEvent]
        switch word {
        case "created": return states.isEmpty ? [TaskState(.pending)] : []
        case "paused": causes = [.pause, .reachPause, .release]
        case "resumed": causes = [.resume]
        case "retrying": causes = [.release, .retry]
        case "completed": causes = [.complete]
        case "failed": causes = [.fail]
        case "cancelled": causes = [.cancel]
        default: return []
        }
        var next: Set<TaskState> = []
        for state in states {
            for cause in causes {
                guard let reached = TaskLifeCycle.next(state, on: cause), reached != state else { continue }
                switch word {
                case "paused" where reached.status != .paused: continue
                // Only who waits or runs fails and is tried again by the engine.
                case "retrying" where reached.status != .pending: continue
                case "failed" where state.status != .inProgress: continue
                default: next.insert(reached)
                }
            }
        }
        return next
    }

    private static func withoutEvents(_ states: Set<TaskState>) -> Set<TaskState> {
        var all = states
        if all.contains(TaskState(.pending)) { all.insert(TaskState(.inProgress)) }
        if all.contains(TaskState(.inProgress)) {
            all.formUnion([TaskState(.inProgress, requested: .pause), TaskState(.pending)])
        }
        return all
    }
}
